//! What follows from a look at the card, or from other settings: the policy is asked, and what it wants is begun.

use std::time::Duration;

use tokio::time::Instant;
use workly_core::policy::{EMERGENCY_PERCENT, ProfilePlan};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::reading::ProcessUse;
use workly_core::switch_plan::SwitchStrategy;
use workly_engine::protocol::{Command, Reply};
use workly_engine::worker::{CallEvent, Worker};
use workly_library::experience::unix_ms;

use super::handover::StateFolder;
use super::pilot::Whereabouts;
use super::switch::{EVACUATE_WITHIN, Stage};
use super::task::Task;
use crate::card::Card;
use crate::model_settings::ModelSettings;
use crate::monitor::Activity;

/// Time between two reports of a worker's devices, where no probe knows the card.
const DEVICES_EVERY: Duration = Duration::from_secs(5);
/// Time until a card that could not be sized up is tried again.
const SIZE_UP_AGAIN: Duration = Duration::from_mins(1);

impl Task {
    /// The monitor has looked.
    pub(super) fn looked(&mut self) {
        let seen = self.looks.borrow_and_update().clone();
        self.ask_for_devices();
        if seen.full {
            self.standby.give_way(self.site.settings.standby);
        }
        let (Some(whereabouts), Some(pilot)) = (self.whereabouts(), &mut self.pilot) else { return };
        let now = self.site.monitor.now_ms();
        let settings = &self.site.settings;
        let correction = pilot.state.correction();
        let switch = pilot.look(seen.sight, seen.full, &whereabouts, settings, unix_ms() / 1_000, now);
        let learned = pilot.state.correction();
        if (learned - correction).abs() > f64::EPSILON {
            self.remember(move |known| known.correction = Some(learned));
        }
        if let Some(switch) = switch {
            self.follow(switch);
        }
        self.hurry();
        self.size_up();
    }

    /// The settings changed.
    pub(super) fn configure(&mut self, mut settings: ModelSettings) {
        let before = &self.site.settings;
        let in_use = self.first.is_some() || self.pilot.is_some();
        self.next_model = (in_use && !before.is_same_model(&settings)).then(|| settings.clone());
        if self.next_model.is_some() {
            // The answer being written is finished by its own model, wherever that moves meanwhile.
            settings.take_model_of(before);
        }
        let is_chosen_anew = before.profile != settings.profile;
        let is_overridden = before.override_ != settings.override_;
        self.site.settings = settings;
        if is_chosen_anew {
            self.choose_anew();
        }
        self.chosen_meanwhile |= (is_chosen_anew || is_overridden) && self.is_moving();
        self.reconsider();
    }

    /// What was seen last may now mean something else.
    pub(super) fn reconsider(&mut self) {
        let (Some(whereabouts), Some(pilot)) = (self.whereabouts(), &mut self.pilot) else { return };
        let now = self.site.monitor.now_ms();
        let settings = &self.site.settings;
        if let Some(switch) = pilot.reconsider(&whereabouts, settings, unix_ms() / 1_000, now) {
            self.follow(switch);
        }
    }

    /// Where the model is; while it moves, where it is going.
    pub(super) fn whereabouts(&self) -> Option<Whereabouts> {
        let (profile, active) = match (&self.switch, &self.running) {
            (Some(switch), _) => (switch.to, switch.plan),
            (None, Some(placed)) => (placed.running.profile, placed.running.plan),
            (None, None) => return None,
        };
        Some(Whereabouts {
            profile,
            active: if profile.uses_gpu() { active } else { ProfilePlan::NONE },
            moving: self.is_moving(),
            answering: self.answering.is_some(),
        })
    }

    /// Whether the model is on its way, or the card has not yet what a worker gave back.
    pub(super) fn is_moving(&self) -> bool {
        self.switch.is_some() || self.leaving.on_gpu > 0 || self.settling.is_some()
    }

    /// A card that fills up while the next worker gets ready is not waited for any longer.
    fn hurry(&mut self) {
        let percent =
            self.pilot.as_ref().filter(|pilot| pilot.sees()).and_then(|pilot| pilot.reading()?.vram_percent());
        let is_full = percent.is_some_and(|percent| f64::from(percent) > EMERGENCY_PERCENT);
        let on_gpu = self.running.as_ref().is_some_and(|placed| placed.running.profile.uses_gpu());
        let Some(switch) = self.switch.as_mut().filter(|_| is_full && on_gpu) else { return };
        if !matches!(switch.stage, Stage::Preparing { profile: Profile::CpuFallback, .. }) {
            return;
        }
        let folder = StateFolder::new();
        let call = self.answering.as_ref().and_then(|answering| answering.call.as_ref());
        if let Some(call) = call {
            call.hand_over(folder.file());
        }
        let by = Instant::now() + EVACUATE_WITHIN;
        let has_call = call.is_some();
        switch.strategy = SwitchStrategy::Emergency;
        if let Stage::Preparing { coming, .. } = std::mem::replace(&mut switch.stage, Stage::Evacuating(folder, by)) {
            // The worker on its way is the one that goes on.
            self.standby.coming(coming);
        }
        if !has_call && !self.put_down() {
            self.evacuated();
        }
    }

    /// The scout is there, or could not be started.
    pub(super) fn scout_up(&mut self, worker: Option<Worker>) {
        self.scout.arrived(worker);
        self.devices_after = Instant::now();
        self.ask_for_devices();
    }

    /// Where no probe knows the card, the worker on it tells of its memory, or the scout.
    fn ask_for_devices(&mut self) {
        let on_gpu = self.running.as_ref().map(|placed| &placed.running).filter(|running| running.profile.uses_gpu());
        let Some(worker) = on_gpu.map(|running| &running.worker).or(self.scout.worker.as_ref()) else { return };
        if self.no_probe_knows_card() && self.devices.is_none() && Instant::now() >= self.devices_after {
            self.devices_after = Instant::now() + DEVICES_EVERY;
            self.devices = Some(worker.call(Command::Devices));
        }
    }

    /// Whether the card that the model was sized up for is known from workers alone.
    pub(super) fn no_probe_knows_card(&self) -> bool {
        let seen = self.looks.borrow();
        let card = self.pilot.as_ref().and_then(|pilot| pilot.card.as_ref());
        card.is_some_and(|card| seen.gpu.as_ref().is_none_or(|gpu| gpu.backend == card.device.backend))
    }

    pub(super) fn told_devices(&mut self, event: CallEvent) {
        match event {
            CallEvent::Reply(Reply::Devices { devices }) => {
                self.devices = None;
                let Some(pilot) = &self.pilot else { return };
                if let Some(card) = &pilot.card {
                    self.site.monitor.set_backend_devices(devices, &card.device);
                }
                if !pilot.sees() {
                    // The first word of the card after a while: a choice may wait for it.
                    self.site.monitor.read_soon();
                }
            }
            CallEvent::Ended(_) => {
                self.devices = None;
                if self.scout.worker.is_some() {
                    self.scout.lost();
                }
            }
            CallEvent::Reply(_) => self.devices = None,
            CallEvent::Silent | CallEvent::Resumed => {}
        }
    }

    /// Finds out what the model takes of a card that was out of reach when it was loaded.
    fn size_up(&mut self) {
        let settings = &self.site.settings;
        let wants_gpu =
            settings.profile != ProfileChoice::Fixed(Profile::CpuFallback) && settings.gpu_layers != Some(0);
        let unknown = self.pilot.as_ref().is_some_and(|pilot| pilot.card.is_none() && pilot.sees());
        let may_wake = !self.looks.borrow().asleep;
        if wants_gpu && unknown && may_wake && self.sizing.is_none() && Instant::now() >= self.size_up_after {
            self.size_up_after = Instant::now() + SIZE_UP_AGAIN;
            let site = self.site.clone();
            self.sizing = Some(Box::pin(site.size_up()));
        }
    }

    pub(super) fn sized_up(&mut self, card: Option<Card>) {
        if let (Some(pilot), Some(card)) = (&mut self.pilot, card) {
            self.site.monitor.set_backend_devices(card.devices.clone(), &card.device);
            pilot.sized_up(card);
        }
    }

    /// The card has told who is on it.
    pub(super) fn blame(&mut self, culprits: &[ProcessUse]) {
        if let Some(why) = &mut self.why {
            why.blame(culprits);
        }
        if let Some(reason) = self.made.as_mut().and_then(|made| made.reason.as_mut()) {
            reason.blame(culprits);
        }
        self.tell_move_if_complete();
        if let Some(switch) = &mut self.switch {
            switch.reason.blame(culprits);
        }
        if let Some(answering) = &mut self.answering {
            answering.answer.blame(culprits);
        }
    }

    /// Tells the monitor how closely to watch.
    pub(super) fn tell_monitor(&self) {
        // A model that comes up for the first time tells for itself when it wants the card.
        if self.first.is_some() {
            return;
        }
        let Some(pilot) = self.pilot.as_ref().filter(|_| self.wanted) else {
            return self.site.monitor.set_activity(Activity::default());
        };
        let placed = self.running.as_ref().map(|placed| &placed.running);
        let on_gpu = placed.filter(|running| running.profile.uses_gpu());
        let is_loading = self.switch.as_ref().is_some_and(|switch| switch.to.uses_gpu());
        self.site.monitor.set_activity(Activity {
            model_loaded: true,
            model_on_gpu: on_gpu.is_some() || is_loading,
            climbing: pilot.is_climbing(),
            settling: self.settling.is_some(),
            own_bytes: Some(on_gpu.map_or(0, |running| pilot.footprint(running.plan))),
            profile: placed.map(|running| running.profile),
        });
    }
}
