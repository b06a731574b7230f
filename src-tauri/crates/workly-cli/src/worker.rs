//! `workly-cli worker`: what the supervisor starts.

use clap::{Args, ValueEnum};
use workly_llama::{BackendSet, WorkerOptions, run_worker};

/// Arguments of `worker`.
#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {
    /// Which compute backends to load.
    #[arg(long, value_enum)]
    backends: Backends,
    /// Process id of the supervisor.
    #[arg(long)]
    parent: u32,
    /// Let other programs go first.
    #[arg(long)]
    low_priority: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Backends {
    /// The CPU alone.
    Cpu,
    /// The CPU and the GPUs.
    All,
}

/// Runs a worker; returns only when it could not start.
pub(crate) fn run(arguments: &WorkerArguments) -> anyhow::Result<()> {
    let backends = match arguments.backends {
        Backends::Cpu => BackendSet::Cpu,
        Backends::All => BackendSet::CpuAndGpu,
    };
    let never = run_worker(WorkerOptions { backends, parent: arguments.parent, low_priority: arguments.low_priority })?;
    match never {}
}
