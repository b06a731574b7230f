//! The next worker is there: the answers move to it, and the one they left goes.

use std::time::Instant;

use workly_core::policy::ProfilePlan;
use workly_core::profile::Profile;
use workly_core::settings::Standby;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::Notice;

use super::switch::{Arrival, Stage, Switch};
use crate::cpu::step_down_threads;
use crate::manager::answers::handover::{Handover, Released};
use crate::manager::task::Task;
use crate::manager::workers::active::ActiveWorker;
use crate::manager::workers::leaving::Gone;
use crate::manager::workers::settling::Settling;
use crate::manager::workers::startup::Running;
use workly_library::experience::unix_ms;

impl Task {
    /// The next worker is there, or will never be.
    pub(crate) fn target_up(&mut self, arrival: Arrival) {
        if let (Some(card), Some(driver)) = (arrival.card, &mut self.driver) {
            driver.sized_up(card);
        }
        if self.switch.is_none() {
            return;
        }
        match arrival.result {
            Ok(target) => {
                self.faults.refusals.reset();
                self.faults.cpu_refused_until = None;
                self.put_back(Some(Stage::HandingOver(Box::new(target))));
                self.ask_present();
            }
            Err(error) => self.target_failed(&error),
        }
    }

    /// Looks whether the present worker has given up all that the switch waits for, and leaves it then.
    pub(crate) fn leave_if_free(&mut self) {
        let Some(active) = &self.workers.active else { return };
        let waits = self.switch.as_ref().is_some_and(Switch::awaits_present);
        if waits && !self.answers.is_any_with(active.id) {
            self.ask_present();
        }
    }

    /// The worker has saved what it computed so far: the standby takes it over as well.
    pub(crate) fn checkpointed(&mut self) {
        self.answers.make_room();
        if let Some(file) = self.answers.to_take_along() {
            self.workers.standby.follow(&file);
        }
    }

    /// Leaves the present worker: what it was asked for is there, or will not come.
    pub(crate) fn leave_present(&mut self) {
        let stage = self.switch.as_mut().map(|switch| std::mem::replace(&mut switch.stage, Stage::AwaitingMemory));
        match stage {
            Some(Stage::HandingOver(target)) => self.adopt(*target),
            Some(Stage::Evacuating(_)) => self.evacuated(),
            other => self.put_back(other),
        }
    }

    pub(crate) fn put_back(&mut self, stage: Option<Stage>) {
        if let (Some(switch), Some(stage)) = (&mut self.switch, stage) {
            switch.stage = stage;
        }
    }

    /// The present worker has had its time: it is ended, ready or not, and the next one comes up.
    pub(crate) fn evacuated(&mut self) {
        if let Some(active) = &self.workers.active {
            self.answers.leave(&active.writer());
        }
        let Some(switch) = &self.switch else { return };
        let (to, plan, decided) = (switch.to, switch.plan, switch.decided);
        if let Some(active) = self.workers.active.take() {
            self.retire(active, decided);
        }
        let stage = if to.uses_gpu() { Stage::AwaitingMemory } else { self.prepare(to, plan) };
        self.put_back(Some(stage));
    }

    /// Puts a worker in its place; the one before, if any, comes back.
    pub(crate) fn place(&mut self, running: Running) -> Option<ActiveWorker> {
        let active = ActiveWorker { id: running.worker.serial(), running, since: unix_ms(), has_written: false };
        self.workers.active.replace(active)
    }

    /// Takes the next worker in the place of the present one. What is left of the switch goes on from there.
    pub(crate) fn adopt(&mut self, target: Running) {
        let Some(switch) = self.switch.take() else { return };
        let Switch { to, plan, reason, strategy, decided, .. } = switch;
        let at = target.profile;
        let old = self.place(target);
        let from = self.workers.last_profile.replace(at).unwrap_or(at);
        self.note_move(Some(from), at, Some(reason.clone()), Some(strategy));
        let frees_card = old.as_ref().is_none_or(|old| old.profile().uses_gpu());
        if !frees_card {
            self.answers.nothing_is_released();
        }
        if let Some(bytes) = self.answers.state_bytes_per_token() {
            self.workers.state_bytes_per_token = bytes;
        }
        self.answers.hand_to(|parked| {
            let mut left = parked.left;
            if !left.profile.uses_gpu() {
                left.released = Released::NoneEnds;
            }
            Handover {
                left,
                to: at,
                reason: reason.clone(),
                strategy,
                saved: parked.saved,
                restored: None,
                first_token: None,
            }
        });
        if let Some(old) = old {
            self.retire(old, decided);
        }
        if at != to {
            // The way to the GPU went over the CPU.
            let strategy = if strategy == SwitchStrategy::ViaCpu { strategy } else { SwitchStrategy::SideBySide };
            self.switch = Some(Switch { to, plan, reason, strategy, decided, stage: Stage::AwaitingMemory });
        }
    }

    /// Ends a worker that was left, or keeps it as the standby.
    pub(crate) fn retire(&mut self, old: ActiveWorker, decided: Instant) {
        let running = old.running;
        let settings = &self.context.settings;
        let to_gpu = self.workers.active.as_ref().is_some_and(|active| active.profile().uses_gpu());
        let fits = running.model.threads <= settings.threads.unwrap_or_else(step_down_threads);
        if !running.profile.uses_gpu()
            && to_gpu
            && fits
            && settings.standby != Standby::Off
            && self.workers.standby.is_absent()
        {
            self.workers.standby.keep(running);
            return;
        }
        if running.profile.uses_gpu() {
            self.await_memory(running.plan);
        }
        self.workers.leaving.end(running.worker, running.profile.uses_gpu(), decided);
    }

    /// A plan's memory is to come back to the card.
    pub(crate) fn await_memory(&mut self, plan: ProfilePlan) {
        let Some(driver) = &self.driver else { return };
        let own = driver.footprint(plan);
        if let Some(reading) = driver.reading().filter(|_| driver.sees() && own > 0) {
            self.workers.settling = Some(Settling::new(reading, own));
        }
    }

    /// Goes on once the memory of the worker that was left is back.
    pub(crate) fn settle(&mut self) {
        if self.workers.leaving.on_gpu > 0 {
            return;
        }
        let seen = self.inputs.readings.borrow().seen();
        if self.workers.settling.is_some_and(|settling| settling.is_over(seen.as_ref())) {
            self.workers.settling = None;
        }
        if self.workers.settling.is_some() {
            return;
        }
        if let Some(Switch { stage: Stage::AwaitingMemory, to, plan, .. }) = self.switch {
            let stage = self.prepare(to, plan);
            self.put_back(Some(stage));
        }
    }

    /// The pause after a refusal is over.
    pub(crate) fn try_again(&mut self) {
        let Some(Switch { stage: Stage::Pausing(_), to, plan, .. }) = self.switch else { return };
        let stage = if to.uses_gpu() { Stage::AwaitingMemory } else { self.prepare(Profile::CpuFallback, plan) };
        self.put_back(Some(stage));
    }

    /// A worker that was left is gone, or will not go.
    pub(crate) fn left_worker_gone(&mut self, gone: &Gone) {
        if let Some(after) = gone.after {
            self.answers.released(gone.worker, after);
        } else {
            tracing::error!(process_id = gone.process_id, "the worker cannot be ended");
            self.told.notices = vec![Notice::WorkerHeld { process_id: gone.process_id }];
        }
    }
}
