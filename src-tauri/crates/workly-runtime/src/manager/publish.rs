//! What others see of the manager: a snapshot, made anew after everything that happens.

use workly_core::wire::{ModelSnapshot, ModelState};

use super::task::Task;
use crate::experience::unix_ms;

impl Task {
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
        let progress = *self.site.progress.borrow();
        let state = self.state();
        let is_loading = state == ModelState::Loading;
        let in_force = settings.override_.filter(|wish| wish.until.is_none_or(|until| until > unix_ms() / 1_000));
        ModelSnapshot {
            state,
            load_fraction: progress.fraction.filter(|_| is_loading),
            model: placed.map(|running| running.model.clone()),
            profile: placed.map(|running| running.profile).or(progress.profile.filter(|_| is_loading)),
            switching_to: self.switch.as_ref().map(|switch| switch.to).filter(|_| placed.is_some()),
            strategy: self.strategy,
            why: self.why.as_ref().map(super::handover::Reason::sentence).filter(|why| !why.is_empty()),
            plan: self.pilot.as_ref().and_then(|pilot| pilot.solved(settings)),
            choice: settings.profile,
            auto_switching: settings.auto_switching,
            override_kind: in_force.map(|wish| wish.kind),
            standby_ready: self.standby.is_ready(),
            tokens_per_second: self.speed,
            notice: self.notice.clone(),
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
