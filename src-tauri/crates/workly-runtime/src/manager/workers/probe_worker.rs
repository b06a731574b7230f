//! The probe worker: where no probe knows the card, a worker without a model that tells how much of it is free while the model
//! is on the CPU, so that the way back is found. It takes no VRAM.

use std::time::Duration;

use tokio::time::Instant;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::OverrideWish;
use workly_engine::worker::Worker;

use crate::manager::task::Task;
use crate::manager::waiting::Later;
use workly_library::experience::unix_ms;

/// Time until another is started after one was lost.
const AGAIN: Duration = Duration::from_mins(1);

/// A worker without a model.
#[derive(Default)]
pub(crate) struct ProbeWorker {
    pub(crate) coming: Option<Later<Option<Worker>>>,
    pub(crate) worker: Option<Worker>,
    not_before: Option<Instant>,
}

impl ProbeWorker {
    /// It is there, or could not be started.
    pub(crate) fn arrived(&mut self, worker: Option<Worker>) {
        if worker.is_none() {
            self.lost();
        }
        self.worker = worker;
    }

    /// It ended by itself.
    pub(crate) fn lost(&mut self) {
        self.worker = None;
        self.not_before = Some(Instant::now() + AGAIN);
    }

    fn is_due(&self) -> bool {
        self.worker.is_none() && self.coming.is_none() && self.not_before.is_none_or(|time| Instant::now() >= time)
    }
}

impl Task {
    /// Starts a probe worker while one is of use, and ends it after that.
    pub(crate) fn tend_probe_worker(&mut self) {
        if !self.needs_probe_worker() {
            self.workers.probe.coming = None;
            if let Some(worker) = self.workers.probe.worker.take() {
                self.asked.devices = None;
                self.workers.leaving.end(worker, false, std::time::Instant::now());
            }
        } else if self.workers.probe.is_due() {
            let launcher = self.context.launcher.clone();
            self.workers.probe.coming = Some(Box::pin(async move { launcher.start_probe_worker().await.ok() }));
        }
    }

    fn needs_probe_worker(&self) -> bool {
        let settings = &self.context.settings;
        let on_cpu = self.workers.active.as_ref().is_some_and(|active| !active.profile().uses_gpu());
        let may_climb = settings.auto_switching
            && settings.profile != ProfileChoice::Fixed(Profile::CpuFallback)
            && settings.gpu_layers != Some(0)
            && self.driver.as_ref().is_some_and(|driver| !driver.cpu_only);
        let given_up = settings.override_.is_some_and(|wish| {
            wish.kind == OverrideWish::GiveUp && wish.until.is_none_or(|until| until > unix_ms() / 1_000)
        });
        let asleep = self.inputs.readings.borrow().asleep;
        on_cpu && may_climb && !given_up && !asleep && self.switch.is_none() && self.no_probe_knows_card()
    }
}
