//! `cargo xtask bench`: figures that the project claims, each printed by a command.

use anyhow::Result;
use clap::ArgGroup;

use crate::machine::Machine;
use crate::{crowded, peer, produce, shell};

/// What to measure.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("subject").required(true)))]
pub(crate) struct Arguments {
    /// Compare decode speed with the Python package xllamacpp (llama.cpp's own server code, prebuilt), on the CPU.
    #[arg(long, group = "subject")]
    peer: bool,
    /// Compare the two while other programs keep cores busy, and count the frames that a game loses beside them.
    #[arg(long, group = "subject")]
    busy: bool,
    /// Measure what watching the GPU costs: processor time and allocations.
    #[arg(long, group = "subject")]
    monitor: bool,
    /// Measure the window: start, memory, streaming, typing.
    #[arg(long, group = "subject")]
    ui: bool,
    /// Measure what idles after an answer: processor time, wake-ups and memory of each process, page by page.
    #[arg(long, group = "subject")]
    idle: bool,
    /// How long the monitor is measured, in seconds.
    #[arg(long, default_value_t = 60, requires = "monitor")]
    seconds: u32,
    #[command(flatten)]
    options: peer::Options,
}

pub(crate) fn bench(machine: &mut Machine, arguments: &Arguments) -> Result<()> {
    if arguments.peer {
        return peer::bench(machine, &arguments.options);
    }
    if arguments.busy {
        return crowded::bench(machine, &arguments.options);
    }
    if arguments.ui {
        return produce::figures(machine);
    }
    if arguments.idle {
        return produce::idle(machine);
    }
    // A release build: the figures are those of the program that people run. No llama.cpp is in it.
    let mut command = machine.cargo();
    command.args(["run", "--release", "--package", "workly-runtime", "--example", "monitor_cost", "--"]);
    shell::stream(command.arg(arguments.seconds.to_string()))
}
