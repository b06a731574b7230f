//! How workers are started.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use workly_engine::end::WorkerEnd;
use workly_engine::fault::{FaultScript, VARIABLE};
use workly_engine::worker::{Patience, Worker, WorkerProgram};

/// Limits a Vulkan worker to the first device there is, software included.
pub(crate) const VULKAN_DEVICES: &str = "GGML_VK_VISIBLE_DEVICES";

/// Which backends a worker loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backends {
    /// The CPU alone; the worker lets other programs go first.
    Cpu,
    /// The GPUs as well.
    Gpu,
    /// The GPUs, and where there is none a device computed in software.
    GpuOrSoftware,
}

/// Starts workers of one program. Clones share what is left of the faults asked for.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    program: PathBuf,
    patience: Patience,
    faults: Arc<Mutex<FaultScript>>,
}

impl Launcher {
    /// `program` is started as `worker`.
    pub(crate) fn new(program: PathBuf, patience: Patience) -> Self {
        let faults = if cfg!(debug_assertions) { faults_asked_for() } else { FaultScript::default() };
        Self { program, patience, faults: Arc::new(Mutex::new(faults)) }
    }

    /// Starts a worker and waits for its hello.
    ///
    /// # Errors
    ///
    /// How it ended.
    pub(crate) async fn start(&self, backends: Backends) -> Result<Worker, WorkerEnd> {
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).next_worker();
        self.start_with(backends, fault.map(|fault| fault.to_string()).unwrap_or_default()).await
    }

    /// Starts a worker that will hold no model.
    ///
    /// # Errors
    ///
    /// How it ended.
    pub(crate) async fn start_probe_worker(&self) -> Result<Worker, WorkerEnd> {
        self.start_with(Backends::Gpu, String::new()).await
    }

    async fn start_with(&self, backends: Backends, fault: String) -> Result<Worker, WorkerEnd> {
        let set = if backends == Backends::Cpu { "cpu" } else { "all" };
        let mut arguments = vec!["worker", "--backends", set];
        if backends == Backends::Cpu {
            arguments.push("--low-priority");
        }
        let parent = std::process::id().to_string();
        arguments.extend(["--parent", &parent]);
        let mut environment: Vec<(OsString, OsString)> = vec![
            // A debugger that ggml starts on an abort holds the dead worker, and its GPU memory, for a second.
            ("GGML_NO_BACKTRACE".into(), "1".into()),
            (VARIABLE.into(), fault.into()),
        ];
        if backends == Backends::GpuOrSoftware {
            environment.push((VULKAN_DEVICES.into(), "0".into()));
        }
        let program = WorkerProgram {
            program: self.program.clone(),
            arguments: arguments.into_iter().map(OsString::from).collect(),
            environment,
        };
        Worker::start(&program, self.patience).await
    }
}

fn faults_asked_for() -> FaultScript {
    let asked = std::env::var(VARIABLE).unwrap_or_default();
    asked.parse().unwrap_or_else(|error| {
        tracing::error!("{VARIABLE}: {error}");
        FaultScript::default()
    })
}
