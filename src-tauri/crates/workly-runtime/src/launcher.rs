//! How workers are started.

mod environment;

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
    /// Our own environment, of which a worker sees a part.
    ours: Arc<[(OsString, OsString)]>,
    faults: Arc<Mutex<FaultScript>>,
}

impl Launcher {
    /// `program` is started as `worker`.
    pub(crate) fn new(program: PathBuf, patience: Patience) -> Self {
        let faults = if cfg!(debug_assertions) { faults_asked_for() } else { FaultScript::default() };
        Self { program, patience, ours: std::env::vars_os().collect(), faults: Arc::new(Mutex::new(faults)) }
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
        let program = WorkerProgram {
            program: self.program.clone(),
            arguments: arguments.into_iter().map(OsString::from).collect(),
            environment: environment::of_worker(&self.ours, backends, &fault),
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

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use workly_engine::frame;
    use workly_engine::protocol::{Envelope, OWN_ID, PROTOCOL_VERSION, Reply};

    use super::*;

    /// A program that writes its environment down, says hello and waits to be stopped.
    fn tattler(folder: &Path) -> PathBuf {
        let program = folder.join("worker");
        let hello = Reply::Hello { protocol: PROTOCOL_VERSION, version: "test".into() };
        fs::write(folder.join("hello"), frame::encode(&Envelope { id: OWN_ID, reply: hello }).unwrap()).unwrap();
        let source = "#!/bin/sh\ncd \"${0%/*}\" && env >environment && cat hello && exec cat >/dev/null\n";
        fs::write(&program, source).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        program
    }

    #[tokio::test]
    async fn a_worker_sees_nothing_that_was_planted_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut launcher = Launcher::new(tattler(folder.path()), Patience::default());
        let planted = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("LD_PRELOAD", String::new()),
            ("GGML_BACKEND_PATH", "/planted/backend.so".to_owned()),
            ("SSH_AUTH_SOCK", "/planted/agent".to_owned()),
            ("VK_ICD_FILENAMES", "/planted/driver.json".to_owned()),
        ];
        launcher.ours = planted.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut seen = Vec::new();
        for backends in [Backends::Cpu, Backends::Gpu] {
            let worker = launcher.start(backends).await.unwrap();
            let environment = fs::read_to_string(folder.path().join("environment")).unwrap();
            worker.stop().await;
            let is_shells_own = |name: &str| ["PWD", "OLDPWD", "SHLVL", "_"].contains(&name);
            let names = environment.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
            let mut names: Vec<_> = names.filter(|name| !is_shells_own(name)).map(str::to_owned).collect();
            names.sort();
            seen.push(names);
        }
        let cpu = ["GGML_NO_BACKTRACE", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "PATH", VARIABLE];
        assert_eq!(seen[0], cpu);
        assert_eq!(seen[1], [&cpu[..4], &["VK_ICD_FILENAMES"], &cpu[4..]].concat());
    }
}
