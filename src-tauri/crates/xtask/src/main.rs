//! The project's own commands: `cargo xtask setup`, `run`, `test`, `bench`, `synthetic-model`, `types` and `dist`.
//!
//! This program only starts other programs (cargo, npm, apt, pip) in the right order with the right checks. It holds
//! nothing of Workly itself and links none of its crates, so that it compiles in seconds on a fresh machine.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks to the person who started it"
)]

mod bench;
mod busy;
mod crowded;
mod display;
mod dist;
mod gates;
mod icons;
mod machine;
mod peer;
mod produce;
mod run;
mod setup;
mod shared_build;
mod shell;
mod soak;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::machine::Machine;

/// The project's own commands. `run` and `test` are all a person needs: both set the machine up first.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing: system packages, Vulkan headers, embedded model, tools, the built UI.
    ///
    /// Every step first looks whether its work is done already; on a machine that is set up this takes under two
    /// seconds and uses no network. `run` and `test` call it, so it is rarely needed by itself.
    Setup,
    /// Set up, build, and open the desktop window; without a display, start the terminal chat instead.
    ///
    /// Both use the embedded model unless another is configured. Arguments after `--` go to the program.
    Run {
        /// Passed on to `workly`, or to `workly-cli chat` where there is no display.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Set up, then run every gate: format, lints, tests, licences, type checks, the window end to end.
    ///
    /// All gates run even when one fails; the exit status and a table at the end say which did. A failing build stops
    /// the run, since nothing after it could say anything true.
    Test {
        /// Run this gate alone, with the build where it needs one; may be repeated.
        #[arg(long, value_name = "GATE")]
        only: Vec<gates::Name>,
        /// Keep one core busy meanwhile, as a game does it: the gates pass beside it, only later.
        #[arg(long)]
        busy: bool,
    },
    /// Let workers die, models load and answers move, many times in one process, and count what is lost.
    ///
    /// Prints a table: tokens lost and repeated, processes left over, hangs, answers that are whole; and memory, open
    /// files, threads and what lies in shared memory, before and after. Fails when anything was lost or grew. In full it
    /// takes about two hours; `test` runs a short form.
    Soak(soak::Arguments),
    /// Measure what the project claims: speed against a peer, the cost of watching the GPU, how the window feels.
    Bench(bench::Arguments),
    /// Write a GGUF file with the shape of a 7B model and random weights (4.5 GB), to measure with.
    SyntheticModel {
        /// Where it goes.
        path: std::path::PathBuf,
    },
    /// Write the TypeScript types of the wire contract (`ui/src/ipc/wire.ts`) from the Rust ones.
    Types,
    /// Take a picture of every page, light and dark, in both languages, into `docs/screenshots/`.
    Screenshots,
    /// Render the icons (`icons/`) from their drawings, after one of those has changed.
    Icons,
    /// Build the installable bundle with the embedded model, the headless program and the backends inside.
    Dist(dist::Arguments),
}

fn main() -> ExitCode {
    let result = execute(Arguments::parse().task);
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  {}", cause.to_string().replace('\n', "\n  "));
            }
            ExitCode::FAILURE
        }
    }
}

/// Shaped after the embedded model's vocabulary, without a package beyond Python itself.
fn synthetic_model(machine: &Machine, path: &std::path::Path) -> Result<()> {
    let mut command = setup::python::python(machine)?;
    command.arg(machine.root.join("src-tauri/crates/xtask/synthetic_model.py"));
    shell::stream(command.arg(setup::model::path(machine)).arg(path))
}

fn execute(task: Task) -> Result<ExitCode> {
    let mut machine = Machine::of_this_user()?;
    if !matches!(task, Task::Setup) {
        shared_build::take_over(&machine)?;
    }
    match task {
        Task::Setup => setup::all(&mut machine, setup::Purpose::Test)?,
        Task::Run { arguments } => run::run(&mut machine, &arguments)?,
        Task::Test { only, busy } => {
            let _core = busy.then(busy::BusyCore::start).transpose()?;
            return gates::test(&mut machine, &only);
        }
        Task::Soak(arguments) => soak::soak(&mut machine, &arguments)?,
        Task::SyntheticModel { path } => synthetic_model(&machine, &path)?,
        Task::Bench(arguments) => bench::bench(&mut machine, &arguments)?,
        Task::Types => workspace::write_wire_types(&machine)?,
        Task::Screenshots => produce::screenshots(&mut machine)?,
        Task::Icons => icons::render(&mut machine)?,
        Task::Dist(arguments) => dist::dist(&mut machine, &arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
