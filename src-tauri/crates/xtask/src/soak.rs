//! `cargo xtask soak`: what is long by count. The work is done by `tests/soak` of workly-cli, whose short forms are tests
//! like any other.

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
    let mut command = machine.cargo();
    command.args(["test", "--workspace", "--test", "soak", "--"]);
    command.args(["--ignored", "--exact", "--nocapture", "the_long_soak"]);
    command.env("WORKLY_SOAK_DEATHS", arguments.deaths.to_string());
    command.env("WORKLY_SOAK_LOADS", arguments.loads.to_string());
    command.env("WORKLY_SOAK_MINUTES", arguments.minutes.to_string());
    command.env("WORKLY_SOAK_SEED", arguments.seed.unwrap_or_else(drawn).to_string());
    shell::stream(&mut command)
}

/// A seed that is another one each time, short enough to be typed.
fn drawn() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64 % 1_000_000
}
