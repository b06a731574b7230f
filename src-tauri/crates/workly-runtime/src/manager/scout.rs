//! The scout: where no probe knows the card, a worker without a model that tells how much of it is free while the model
//! is on the CPU, so that the way back is found. It takes no VRAM.

use std::time::Duration;

use tokio::time::Instant;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::OverrideWish;
use workly_engine::worker::Worker;
use workly_library::experience::unix_ms;

use super::task::Task;
use super::waiting::Later;

/// Time until another is sent after one was lost.
const AGAIN: Duration = Duration::from_mins(1);

/// A worker without a model.
#[derive(Default)]
pub(super) struct Scout {
    pub(super) coming: Option<Later<Option<Worker>>>,
    pub(super) worker: Option<Worker>,
    not_before: Option<Instant>,
}

impl Scout {
    /// It is there, or could not be started.
    pub(super) fn arrived(&mut self, worker: Option<Worker>) {
        if worker.is_none() {
            self.lost();
        }
        self.worker = worker;
    }

    /// It ended by itself.
    pub(super) fn lost(&mut self) {
        self.worker = None;
        self.not_before = Some(Instant::now() + AGAIN);
    }

    fn is_due(&self) -> bool {
        self.worker.is_none() && self.coming.is_none() && self.not_before.is_none_or(|time| Instant::now() >= time)
    }
}

impl Task {
    /// Sends a scout while one is of use, and calls it back after that.
    pub(super) fn tend_scout(&mut self) {
        if !self.needs_scout() {
            self.scout.coming = None;
            if let Some(worker) = self.scout.worker.take() {
                self.devices = None;
                self.leaving.end(worker, 0, false, std::time::Instant::now());
            }
        } else if self.scout.is_due() {
            let launcher = self.site.launcher.clone();
            self.scout.coming = Some(Box::pin(async move { launcher.start_scout().await.ok() }));
        }
    }

    fn needs_scout(&self) -> bool {
        let settings = &self.site.settings;
        let on_cpu = self.running.as_ref().is_some_and(|placed| !placed.running.profile.uses_gpu());
        let may_climb = settings.auto_switching
            && settings.profile != ProfileChoice::Fixed(Profile::CpuFallback)
            && settings.gpu_layers != Some(0)
            && self.pilot.as_ref().is_some_and(|pilot| !pilot.cpu_only);
        let given_up = settings.override_.is_some_and(|wish| {
            wish.kind == OverrideWish::GiveUp && wish.until.is_none_or(|until| until > unix_ms() / 1_000)
        });
        let asleep = self.looks.borrow().asleep;
        on_cpu && may_climb && !given_up && !asleep && self.switch.is_none() && self.no_probe_knows_card()
    }
}
