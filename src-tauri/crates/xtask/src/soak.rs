//! `cargo xtask soak`: what is long by count. The work is done by `tests/soak` of workly-cli and by `tests/kept` of the
//! window, whose short forms are tests like any other.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::machine::Machine;
use crate::setup::{self, Purpose};
use crate::shell;

/// How much, and with which luck.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Workers that die at random moments while an answer is written, a third of them on the GPU.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    deaths: u32,
    /// Times that a model is loaded and given back.
    #[arg(long, value_name = "N", default_value_t = 500)]
    loads: u32,
    /// Minutes of answers one after the other, with a switch between GPU and CPU each minute.
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u32,
    /// Steps of a walk without an aim: whatever can happen to the model, in any order; as many again with workers that play.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    steps: u32,
    /// Times that the window's program is quit while tokens flow.
    #[arg(long, value_name = "N", default_value_t = 50)]
    quits: u32,
    /// Times that the window's program is killed at a random moment.
    #[arg(long, value_name = "N", default_value_t = 200)]
    kills: u32,
    /// Seconds for which another program holds the file of conversations, at the start and during an answer.
    #[arg(long, value_name = "N", default_value_t = 30)]
    locked: u32,
    /// Where chance begins; the same number draws the same moments. Without it, another one each time.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// Runs it and prints the table; an answer, a token or a resource that is lost is an error.
pub(crate) fn soak(machine: &mut Machine, arguments: &Arguments) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("processes are watched through /proc, on Linux only so far");
    }
    setup::all(machine, Purpose::Test)?;
    // The whole workspace, as always: another choice of features would compile llama.cpp a second time.
    shell::stream(machine.cargo().args(["build", "--workspace", "--bins"]))?;
    let seed = arguments.seed.unwrap_or_else(drawn);
    let mut command = machine.cargo();
    command.args(["test", "--workspace", "--test", "kept", "--", "--nocapture", "--test-threads=1"]);
    shell::stream(with(arguments, seed, &mut command))?;
    let mut command = machine.cargo();
    command.args(["test", "--workspace", "--test", "soak", "--"]);
    command.args(["--ignored", "--exact", "--nocapture", "the_long_soak"]);
    shell::stream(with(arguments, seed, &mut command))
}

fn with<'a>(arguments: &Arguments, seed: u64, command: &'a mut Command) -> &'a mut Command {
    let counts = [
        ("DEATHS", arguments.deaths),
        ("LOADS", arguments.loads),
        ("MINUTES", arguments.minutes),
        ("STEPS", arguments.steps),
        ("QUITS", arguments.quits),
        ("KILLS", arguments.kills),
        ("LOCKED_S", arguments.locked),
    ];
    command.envs(counts.map(|(name, count)| (format!("WORKLY_SOAK_{name}"), count.to_string())));
    command.env("WORKLY_SOAK_SEED", seed.to_string())
}

/// A seed that is another one each time, short enough to be typed.
fn drawn() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64 % 1_000_000
}
