//! Workly without a window, and the worker that holds a model. Here: the command line and the exit codes.

mod bench;
mod chat;
mod models;
mod monitor;
mod plan;
mod simulate;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Chat with local language models that share the GPU politely.
#[derive(Debug, Parser)]
#[command(name = "workly-cli", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Chat in the terminal, or answer prompts from a script.
    Chat(chat::ChatArguments),
    /// Show what the GPU is doing and what Workly makes of it.
    Monitor(monitor::MonitorArgs),
    /// Show how many layers each profile would place on the GPU.
    Plan(plan::PlanArguments),
    /// Show the models on this machine and how they fit.
    Models(models::ModelsArguments),
    /// Measure how long a switch of profile holds an answer up.
    Bench(bench::BenchArguments),
    /// Play a recorded GPU load and show when Workly would switch.
    Simulate(simulate::SimulateArgs),
    /// Hold a model for a supervisor; not for people.
    #[command(hide = true)]
    Worker(worker::WorkerArguments),
}

fn main() -> ExitCode {
    // Wrong arguments end here with exit code 2.
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("WORKLY_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let result = match arguments.command {
        Command::Chat(arguments) => block_on(chat::run(arguments)),
        Command::Monitor(arguments) => block_on(monitor::run(arguments)),
        Command::Plan(arguments) => block_on(plan::run(arguments)),
        Command::Models(arguments) => block_on(models::run(arguments)),
        Command::Bench(arguments) => block_on(bench::run(arguments)),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Worker(arguments) => worker::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the message that goes with the exit code")]
            {
                eprintln!("workly-cli: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs an asynchronous command to its end.
fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(command);
    // A thread that waits for a line of input must not hold the program.
    runtime.shutdown_background();
    result
}
