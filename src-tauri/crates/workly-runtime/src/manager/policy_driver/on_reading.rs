//! What follows from a reading of the card, or from other settings: the policy is asked, and what it wants is begun.

use std::time::Duration;

use tokio::time::Instant;
use workly_core::policy::ProfilePlan;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::reading::ProcessUse;
use workly_engine::protocol::Reply;
use workly_engine::worker::{CallEvent, Worker};

use super::Whereabouts;
use crate::manager::task::Task;
use crate::manager::workers::card::Card;
use crate::manager::workers::engine::Engine as _;
use crate::model_settings::ModelSettings;
use crate::monitor::Activity;
use workly_library::experience::unix_ms;

/// Time between two reports of a worker's devices, where no probe knows the card.
const DEVICES_EVERY: Duration = Duration::from_secs(5);
/// Time until a card that could not be sized up is tried again.
const SIZE_UP_AGAIN: Duration = Duration::from_mins(1);

impl Task {
    /// The monitor has looked.
    pub(crate) fn on_reading(&mut self) {
        let seen = self.inputs.readings.borrow_and_update().clone();
        self.ask_for_devices();
        if seen.full {
            self.workers.standby.give_way(self.context.settings.standby);
        }
        let (Some(whereabouts), Some(driver)) = (self.whereabouts(), &mut self.driver) else { return };
        let now = self.context.monitor.now_ms();
        let settings = &self.context.settings;
        let correction = driver.state.correction();
        let switch = driver.look(seen.sight, seen.full, &whereabouts, settings, unix_ms() / 1_000, now);
        let learned = driver.state.correction();
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
    pub(crate) fn configure(&mut self, mut settings: ModelSettings) {
        let before = &self.context.settings;
        let in_use = self.workers.first.is_some() || self.driver.is_some();
        let is_another_model = !before.is_same_model(&settings);
        self.wishes.next_model = (in_use && is_another_model).then(|| settings.clone());
        if self.wishes.next_model.is_some() {
            // The answer being written is finished by its own model, wherever that moves meanwhile.
            settings.take_model_of(before);
        } else if is_another_model {
            self.faults.forget();
        }
        let is_chosen_anew = before.profile != settings.profile;
        let is_overridden = before.override_ != settings.override_;
        self.context.settings = settings;
        if is_chosen_anew {
            self.choose_anew();
        }
        self.wishes.chosen_meanwhile |= (is_chosen_anew || is_overridden) && self.is_moving();
        self.reconsider();
    }

    /// What was seen last may now mean something else.
    pub(crate) fn reconsider(&mut self) {
        let (Some(whereabouts), Some(driver)) = (self.whereabouts(), &mut self.driver) else { return };
        let now = self.context.monitor.now_ms();
        let settings = &self.context.settings;
        if let Some(switch) = driver.reconsider(&whereabouts, settings, unix_ms() / 1_000, now) {
            self.follow(switch);
        }
    }

    /// Where the model is; while it moves, where it is going.
    pub(crate) fn whereabouts(&self) -> Option<Whereabouts> {
        let (profile, active) = match (&self.switch, &self.workers.active) {
            (Some(switch), _) => (switch.to, switch.plan),
            (None, Some(active)) => (active.profile(), active.running.plan),
            (None, None) => return None,
        };
        Some(Whereabouts {
            profile,
            active: if profile.uses_gpu() { active } else { ProfilePlan::NONE },
            moving: self.is_moving(),
            answering: self.answers.is_any_under_way(),
        })
    }

    /// Whether the model is on its way, or the card has not yet what a worker gave back.
    pub(crate) fn is_moving(&self) -> bool {
        self.switch.is_some() || self.workers.leaving.on_gpu > 0 || self.workers.settling.is_some()
    }

    /// The probe worker is there, or could not be started.
    pub(crate) fn probe_worker_up(&mut self, worker: Option<Worker>) {
        self.workers.probe.arrived(worker);
        self.asked.devices_after = Instant::now();
        self.ask_for_devices();
    }

    /// Where no probe knows the card, the worker on it tells of its memory, or the probe worker.
    fn ask_for_devices(&mut self) {
        let on_gpu =
            self.workers.active.as_ref().map(|active| &active.running).filter(|running| running.profile.uses_gpu());
        let Some(worker) = on_gpu.map(|running| &running.worker).or(self.workers.probe.worker.as_ref()) else { return };
        if self.no_probe_knows_card() && self.asked.devices.is_none() && Instant::now() >= self.asked.devices_after {
            self.asked.devices_after = Instant::now() + DEVICES_EVERY;
            self.asked.devices = Some(worker.devices());
        }
    }

    /// Whether the card that the model was sized up for is known from workers alone.
    pub(crate) fn no_probe_knows_card(&self) -> bool {
        let seen = self.inputs.readings.borrow();
        let card = self.driver.as_ref().and_then(|driver| driver.card.as_ref());
        card.is_some_and(|card| seen.gpu.as_ref().is_none_or(|gpu| gpu.backend == card.device.backend))
    }

    pub(crate) fn told_devices(&mut self, event: CallEvent) {
        match event {
            CallEvent::Reply(Reply::Devices { devices }) => {
                self.asked.devices = None;
                let Some(driver) = &self.driver else { return };
                if let Some(card) = &driver.card {
                    self.context.monitor.set_backend_devices(devices, &card.device);
                }
                if !driver.sees() {
                    // The first word of the card after a while: a choice may wait for it.
                    self.context.monitor.read_soon();
                }
            }
            CallEvent::Ended(_) => {
                self.asked.devices = None;
                if self.workers.probe.worker.is_some() {
                    self.workers.probe.lost();
                }
            }
            CallEvent::Reply(_) => self.asked.devices = None,
            CallEvent::Silent | CallEvent::Resumed => {}
        }
    }

    /// Finds out what the model takes of a card that was out of reach when it was loaded.
    fn size_up(&mut self) {
        let settings = &self.context.settings;
        let wants_gpu =
            settings.profile != ProfileChoice::Fixed(Profile::CpuFallback) && settings.gpu_layers != Some(0);
        let unknown = self.driver.as_ref().is_some_and(|driver| driver.card.is_none() && driver.sees());
        let may_wake = !self.inputs.readings.borrow().asleep;
        if wants_gpu && unknown && may_wake && self.asked.sizing.is_none() && Instant::now() >= self.asked.size_up_after
        {
            self.asked.size_up_after = Instant::now() + SIZE_UP_AGAIN;
            let context = self.context.clone();
            self.asked.sizing = Some(Box::pin(context.size_up()));
        }
    }

    pub(crate) fn sized_up(&mut self, card: Option<Card>) {
        if let (Some(driver), Some(card)) = (&mut self.driver, card) {
            self.context.monitor.set_backend_devices(card.devices.clone(), &card.device);
            driver.sized_up(card);
        }
    }

    /// The card has told who is on it.
    pub(crate) fn blame(&mut self, culprits: &[ProcessUse]) {
        self.told.blame(culprits);
        self.tell_move_if_complete();
        if let Some(switch) = &mut self.switch {
            switch.reason.blame(culprits);
        }
        self.answers.blame(culprits);
    }

    /// Tells the monitor how closely to watch.
    pub(crate) fn tell_monitor(&self) {
        // A model that comes up for the first time tells for itself when it wants the card.
        if self.workers.first.is_some() {
            return;
        }
        let settling = self.workers.settling.is_some();
        let Some(driver) = self.driver.as_ref().filter(|_| self.wishes.wanted) else {
            let activity = Activity { settling, model_loaded: settling, ..Activity::default() };
            return self.context.monitor.set_activity(activity);
        };
        let running = self.workers.active.as_ref().map(|active| &active.running);
        let on_gpu = running.filter(|running| running.profile.uses_gpu());
        let is_loading = self.switch.as_ref().is_some_and(|switch| switch.to.uses_gpu());
        self.context.monitor.set_activity(Activity {
            model_loaded: true,
            model_on_gpu: on_gpu.is_some() || is_loading,
            climbing: driver.is_climbing(),
            settling,
            own_bytes: Some(on_gpu.map_or(0, |running| driver.footprint(running.plan))),
            profile: running.map(|running| running.profile),
        });
    }
}
