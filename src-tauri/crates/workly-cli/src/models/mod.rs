//! `workly-cli models`: the models on this machine.

mod follow;
mod get;
mod import;
mod inspect;
mod list;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use workly_core::settings::Settings;
use workly_files::places;
use workly_library::library::{self, CardNow, LibraryPlaces, Surroundings};
use workly_runtime::arguments::ModelArguments;
use workly_runtime::ask::backend_card;
use workly_runtime::manager::ModelSettings;
use workly_runtime::monitor::{Monitor, MonitorSettings, Sources};
use workly_runtime::settings_file;
use workly_wire::models::LibrarySnapshot;

/// How long a driver may take to tell what is on the card.
const DRIVER_PATIENCE: Duration = Duration::from_secs(5);

/// Show and manage the models on this machine.
#[derive(Debug, Args)]
pub(crate) struct ModelsArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the models there are, and how each fits this machine.
    List(list::ListArguments),
    /// Show what the header of a model says, without loading it.
    Inspect(inspect::InspectArguments),
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
        Command::List(arguments) => list::run(&arguments).await,
        Command::Inspect(arguments) => inspect::run(&arguments).await,
        Command::Get(arguments) => get::run(&arguments).await,
        Command::Import(arguments) => import::run(&arguments).await,
    }
}

/// The user's settings; what is wrong with them goes to the log.
fn settings(data_dir: Option<&Path>) -> Settings {
    let (settings, notices) = data_dir.map(settings_file::read).unwrap_or_default();
    for notice in notices {
        tracing::error!("{notice}");
    }
    settings
}

/// The library as it is now.
fn library(card: Option<CardNow>) -> LibrarySnapshot {
    let data_dir = places::data_dir();
    let settings = settings(data_dir.as_deref());
    let chosen = ModelArguments::default().settings_with(&settings, None, data_dir.as_deref()).path;
    let places =
        LibraryPlaces { data_dir, embedded: places::embedded_model(None), surroundings: Surroundings::of_this_user() };
    library::look(places, &settings, Some(&chosen), card)
}

/// The card of this machine, as its driver tells, or else the backends; `None` where there is none that is taken.
async fn card() -> anyhow::Result<Option<CardNow>> {
    let monitor = Monitor::start(Sources::from_environment(), MonitorSettings::default())?;
    if let Some(card) = monitor.read_now(DRIVER_PATIENCE).await.card() {
        return Ok(Some(card));
    }
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let data_dir = places::data_dir();
    let wish = ModelSettings::new(PathBuf::new()).with(&settings(data_dir.as_deref())).gpu;
    // A driver that brings a worker down is no driver to use.
    Ok(backend_card(&program, &wish).await.unwrap_or_else(|problem| {
        tracing::warn!(?problem, "the GPU cannot be used");
        None
    }))
}

/// A text of a file, as a terminal may show it: a hostile one must not reach it as it is.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(400).collect()
}

/// A number of bytes for people: `98.4 MB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// A number of parameters for people: `135 M`.
fn parameters(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.0} k", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} M", count as f64 / 1e6),
        _ => format!("{:.1} B", count as f64 / 1e9),
    }
}
