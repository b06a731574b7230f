//! What others see of the manager: a snapshot, made anew after everything that happens.

use workly_core::profile::Profile;
use workly_core::switch_plan::SwitchStrategy;
use workly_library::experience::unix_ms;
use workly_wire::model::{ModelSnapshot, ModelState};
use workly_wire::monitor::DecisionEntry;

use super::handover::Reason;
use super::task::Task;

/// A move that was made.
pub(super) struct Made {
    pub(super) unix_ms: u64,
    pub(super) from: Option<Profile>,
    pub(super) to: Profile,
    pub(super) reason: Option<Reason>,
    pub(super) strategy: Option<SwitchStrategy>,
}

impl Task {
    /// Notes a move; it is told once those who caused it are named, or the next one follows.
    pub(super) fn note_move(&mut self, from: Option<Profile>, to: Profile, reason: Option<Reason>) {
        self.tell_move();
        let strategy = self.strategy.filter(|_| from.is_some());
        self.made = Some(Made { unix_ms: unix_ms(), from, to, reason, strategy });
        self.tell_move_if_complete();
    }

    /// Tells of the last move, if its reason is complete by now.
    pub(super) fn tell_move_if_complete(&mut self) {
        let complete = |made: &Made| made.reason.as_ref().is_none_or(Reason::is_complete);
        if self.made.as_ref().is_some_and(complete) {
            self.tell_move();
        }
    }

    fn tell_move(&mut self) {
        let Some(Made { unix_ms, from, to, reason, strategy }) = self.made.take() else { return };
        let why = reason.as_ref().and_then(Reason::why);
        // Nobody listening is no fault.
        let _ = self.decisions.send(DecisionEntry { unix_ms, from, to, why, strategy });
    }

    /// Publishes the snapshot, if anything in it has changed.
    pub(super) fn publish(&self) {
        let now = self.describe();
        self.snapshot.send_if_modified(|shown| {
            let differs = *shown != now;
            *shown = now;
            differs
        });
    }

    fn describe(&self) -> ModelSnapshot {
        let placed = self.running.as_ref().map(|placed| &placed.running);
        let settings = &self.site.settings;
        let progress = self.site.progress.borrow().clone();
        let state = self.state();
        let is_loading = state == ModelState::Loading;
        let in_force = settings.override_.filter(|wish| wish.until.is_none_or(|until| until > unix_ms() / 1_000));
        ModelSnapshot {
            state,
            answering: self.answering.is_some(),
            load_fraction: progress.fraction.filter(|_| is_loading),
            model: placed.map(|running| running.model.clone()),
            profile: placed.map(|running| running.profile).or(progress.profile.filter(|_| is_loading)),
            switching_to: self.switch.as_ref().map(|switch| switch.to).filter(|_| placed.is_some()),
            strategy: self.strategy,
            why: self.why.as_ref().and_then(Reason::why),
            plan: self.pilot.as_ref().and_then(|pilot| pilot.solved(settings)),
            choice: settings.profile,
            auto_switching: settings.auto_switching,
            override_kind: in_force.map(|wish| wish.kind),
            standby_ready: self.standby.is_ready(),
            tokens_per_second: self.speed,
            notices: if self.notices.is_empty() {
                progress.warning.filter(|_| is_loading).into_iter().collect()
            } else {
                self.notices.clone()
            },
            problem: self.problem.clone(),
            worker_pid: placed.map(|running| running.worker.process_id()),
        }
    }

    const fn state(&self) -> ModelState {
        if self.problem.is_some() {
            ModelState::Failed
        } else if !self.wanted {
            ModelState::Stopped
        } else if self.running.is_none() {
            ModelState::Loading
        } else if self.switch.is_some() {
            ModelState::Switching
        } else if self.answering.is_some() {
            ModelState::Generating
        } else {
            ModelState::Ready
        }
    }
}
