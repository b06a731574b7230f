//! What workers there are, and keeping them as they should be: the model is brought up, a standby kept ready.

use std::time::Instant;

use workly_core::crash_budget::Place;
use workly_core::profile::Profile;
use workly_core::settings::Standby as StandbySetting;

use super::active::ActiveWorker;
use super::leaving::Leaving;
use super::probe_worker::ProbeWorker;
use super::settling::Settling;
use super::standby::{Standby, StandbyNews};
use super::startup::{FirstLoad, StartError};
use crate::manager::answers::handover::Reason;
use crate::manager::policy_driver::PolicyDriver;
use crate::manager::switching::switch::Switch;
use crate::manager::task::Task;
use crate::manager::waiting::Later;
use workly_library::experience::unix_ms;

/// The workers.
#[derive(Default)]
pub(crate) struct Workers {
    /// The model being brought up for the first time.
    pub(crate) first: Option<Later<Result<FirstLoad, StartError>>>,
    /// The one that holds the model and writes the answers.
    pub(crate) active: Option<ActiveWorker>,
    /// Where the model was last, also while no worker is active.
    pub(crate) last_profile: Option<Profile>,
    pub(crate) standby: Standby,
    pub(crate) probe: ProbeWorker,
    pub(crate) leaving: Leaving,
    /// Memory that workers gave back and that the card does not show yet.
    pub(crate) settling: Option<Settling>,
    /// Bytes that the KV cache of a token took when it was saved last.
    pub(crate) state_bytes_per_token: u64,
}

impl Task {
    /// Brings the model up: for the first time, or again where the policy wants it. What workers before it had of the card
    /// is waited for, lest it be taken for somebody else's.
    pub(crate) fn bring_up(&mut self) {
        match &self.driver {
            None => {
                if self.workers.leaving.on_gpu > 0 || self.workers.settling.is_some() {
                    return;
                }
                self.told.notices.clear();
                self.workers.first = Some(Box::pin(self.context.clone().first()));
            }
            Some(driver) => {
                let to = driver.state.profile();
                let reason = self.reason().cloned().unwrap_or(Reason::Unknown);
                self.begin_anew(to, reason);
            }
        }
    }

    /// The model is up for the first time, or will not come up.
    pub(crate) fn first_up(&mut self, result: Result<FirstLoad, StartError>) {
        match result {
            Ok(FirstLoad { running, card, before, ceiling, notices, fell_back }) => {
                let now = self.context.monitor.now_ms();
                let mut driver = PolicyDriver::new(running.profile, card, before.as_ref(), now);
                driver.ceiling = ceiling;
                if fell_back.is_some() {
                    driver.refused(now);
                }
                self.remembered_crashes(&driver);
                self.driver = Some(driver);
                self.told.notices = notices;
                let at = running.profile;
                self.place(running);
                self.workers.last_profile = Some(at);
                self.note_move(None, at, None, None);
                if let Some(StartError::Died(end)) = fell_back {
                    self.charge(Place::Gpu, &end, unix_ms(), false);
                }
            }
            Err(error) => self.load_failed(&error),
        }
    }

    /// Ends all workers and forgets the model; the one that was to follow is the model then. Answers that wait go on
    /// waiting.
    pub(crate) fn drop_model(&mut self) {
        if let Some(next) = self.wishes.next_model.take() {
            self.context.settings.take_model_of(&next);
            self.faults.forget();
        }
        self.answers.end_under_way();
        let decided = Instant::now();
        if let Some(active) = self.workers.active.take() {
            let running = active.running;
            if running.profile.uses_gpu() {
                self.await_memory(running.plan);
            }
            self.workers.leaving.end(running.worker, running.profile.uses_gpu(), decided);
        }
        if let Some(switch) = self.switch.take().filter(Switch::loads_gpu) {
            self.await_memory(switch.plan);
        }
        if let Some(running) = self.workers.standby.dismiss() {
            self.workers.leaving.end(running.worker, false, decided);
        }
        if let Some(worker) = std::mem::take(&mut self.workers.probe).worker {
            self.workers.leaving.end(worker, false, decided);
        }
        (self.workers.first, self.driver) = (None, None);
        self.answers.forget_checkpoints();
        self.workers.standby = Standby::default();
        self.workers.state_bytes_per_token = 0;
        self.asked.forget();
        self.told.forget();
    }

    /// Keeps a CPU worker ready while the model is on the GPU.
    pub(crate) fn tend_standby(&mut self) {
        let Some(active) = &self.workers.active else { return };
        let setting = self.context.settings.standby;
        if setting == StandbySetting::Off {
            if let Some(running) = self.workers.standby.dismiss() {
                self.workers.leaving.end(running.worker, false, Instant::now());
            }
        } else if active.profile().uses_gpu()
            && self.switch.is_none()
            && self.workers.standby.is_due(setting, active.running.model.size_bytes)
        {
            let coming = self.cpu_worker();
            self.workers.standby.coming(coming);
        }
    }

    pub(crate) fn standby_news(&mut self, news: StandbyNews) {
        match news {
            StandbyNews::Arrived(arrival) => match arrival.result {
                Ok(running) => self.workers.standby.keep(running),
                Err(error) => {
                    tracing::warn!(problem = ?error.problem(), "no standby");
                    self.workers.standby.failed();
                    if let StartError::Died(end) = error {
                        self.cpu_worker_crashed(&end, unix_ms());
                    }
                }
            },
            StandbyNews::Ended(end) => {
                tracing::warn!(kind = ?end.kind, "the standby ended");
                self.workers.standby.failed();
                self.cpu_worker_crashed(&end, unix_ms());
            }
        }
    }
}
