//! `workly-cli models`: the models on this machine.

mod follow;
mod get;
mod import;

use clap::{Args, Subcommand};

/// Show and manage the models on this machine.
#[derive(Debug, Args)]
pub(crate) struct ModelsArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch a model of the catalogue or from an address; one that is here in part goes on.
    Get(get::GetArguments),
    /// Bring a GGUF file of this machine in.
    Import(import::ImportArguments),
}

/// Runs a subcommand.
///
/// # Errors
///
/// What went wrong, with what to do about it.
pub(crate) async fn run(arguments: ModelsArguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Get(arguments) => get::run(&arguments).await,
        Command::Import(arguments) => import::run(&arguments).await,
    }
}

/// A number of bytes for people: `98.4 MB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
