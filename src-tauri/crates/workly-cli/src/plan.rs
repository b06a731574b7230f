//! `workly-cli plan`: how many layers each profile would place on a card, without placing any.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use workly_core::layer_plan::{Limits, Room, solve};
use workly_core::model::ContextSize;
use workly_core::policy::ProfilePlan;
use workly_core::profile::Profile;
use workly_core::reading::Reading;
use workly_files::places;
use workly_library::experience::Experience;
use workly_runtime::manager::ModelSettings;
use workly_runtime::manager::card::{Card, size_up};
use workly_runtime::monitor::{Monitor, MonitorSettings, Sources};
use workly_runtime::settings_file;

const MIB: u64 = 1 << 20;
/// How long a driver may take to tell what is on the card.
const DRIVER_PATIENCE: Duration = Duration::from_secs(5);

/// Show how many layers each profile would place on the GPU.
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// The GGUF file to plan for.
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// Size of the card, MiB; without it, that of this machine's GPU.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    vram_total_mib: Option<u64>,
    /// What other programs take of the card, MiB; without it, what they take of this machine's GPU now, or nothing
    /// where the card's size is given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=1 << 30))]
    external_mib: Option<u64>,
    /// Tokens of context to make room for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(64..))]
    context: Option<u32>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The plan, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    layers: u32,
    profiles: Profiles,
}

#[derive(Debug, Serialize)]
struct Profiles {
    performance: Row,
    balanced: Row,
    cpu_fallback: Row,
}

#[derive(Debug, Serialize)]
struct Row {
    gpu_layers: u32,
    footprint_mib: u64,
    projected_percent: f64,
}

/// Plans and prints.
///
/// # Errors
///
/// A model that cannot be read, or no card to plan for, with what to do about it.
pub(crate) async fn run(arguments: PlanArguments) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let data_dir = places::data_dir();
    let (set, notices) = data_dir.as_deref().map(settings_file::read).unwrap_or_default();
    for notice in notices {
        tracing::error!("{notice}");
    }
    let mut settings = ModelSettings::new(arguments.model).with(&set);
    if let Some(tokens) = arguments.context {
        settings.context = ContextSize::Exactly(tokens);
    }
    let remembered = Experience::new(data_dir.as_deref());
    let sized_up = size_up(&program, &settings, &remembered, arguments.vram_total_mib.is_some()).await?;

    let given = arguments.external_mib.map(|mib| mib * MIB);
    let (card, room) = if let Some(total) = arguments.vram_total_mib {
        ("A card".to_owned(), Room { total: total * MIB, external: given.unwrap_or(0) })
    } else {
        let reading = card_now(&sized_up).await?;
        let external = given.unwrap_or(reading.vram_used);
        (sized_up.device.description.clone(), Room { total: reading.vram_total, external })
    };
    let limits = Limits {
        thresholds: settings.thresholds,
        balanced_gpu_layers: settings.balanced_gpu_layers,
        correction: sized_up.correction(),
    };
    let plan = solve(&sized_up.footprints, &room, &limits);
    let row = |profile| {
        let ProfilePlan { layers, footprint } = plan.of(profile);
        let percent = room.projected_percent(footprint, limits.correction).unwrap_or(100.0);
        Row {
            gpu_layers: layers,
            footprint_mib: footprint.div_ceil(MIB),
            projected_percent: (percent * 10.0).round() / 10.0,
        }
    };
    let report = Report {
        model: settings.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        layers: plan.model_layers,
        profiles: Profiles {
            performance: row(Profile::Performance),
            balanced: row(Profile::Balanced),
            cpu_fallback: row(Profile::CpuFallback),
        },
    };
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        writeln!(
            out,
            "{}: {} layers, {} tokens of context",
            report.model, report.layers, sized_up.footprints.context_tokens
        )?;
        writeln!(out, "{card} of {} MiB, {} MiB taken by others", room.total / MIB, room.external / MIB)?;
        writeln!(out, "{}", fits(plan.performance.layers, plan.model_layers))?;
        print(&mut out, &report.profiles)?;
    }
    Ok(())
}

/// Whether the model fits, in a sentence.
fn fits(layers: u32, all: u32) -> String {
    match layers {
        0 => "The model does not fit on the card: it runs on the CPU.".to_owned(),
        layers if layers < all => format!("{layers} of its {all} layers fit on the card."),
        _ => "All of it fits on the card.".to_owned(),
    }
}

/// What is on the card now: the probe for its vendor knows best, the backend where there is none.
async fn card_now(sized_up: &Card) -> anyhow::Result<Reading> {
    let Card { device, devices, .. } = sized_up;
    let monitor = Monitor::start(Sources::from_environment(), MonitorSettings::default())?;
    monitor.set_backend_devices(devices.clone(), device);
    let seen = monitor.read_now(DRIVER_PATIENCE).await;
    Ok(seen.shown.filter(|reading| reading.vram_total > 0).unwrap_or_else(|| device.reading()))
}

fn print(out: &mut impl Write, profiles: &Profiles) -> io::Result<()> {
    writeln!(out, "{:<13}{:>10}{:>14}{:>8}", "profile", "GPU layers", "footprint", "VRAM")?;
    let rows = [&profiles.performance, &profiles.balanced, &profiles.cpu_fallback];
    for (profile, row) in Profile::ALL.into_iter().zip(rows) {
        let (name, mib) = (profile.name(), row.footprint_mib);
        writeln!(out, "{name:<13}{:>10}{mib:>10} MiB{:>6.1} %", row.gpu_layers, row.projected_percent)?;
    }
    Ok(())
}
