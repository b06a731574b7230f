//! `workly-cli simulate`: what a policy would have done on a recorded load.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use workly_core::policy::Config;
use workly_core::settings::Settings;
use workly_core::simulate::{Footprints, Report, SimulatedPolicy, Trace, simulate};

/// Arguments of `workly-cli simulate`.
#[derive(Debug, clap::Args)]
pub(crate) struct SimulateArgs {
    /// What others did to the GPU: CSV with the columns
    /// `seconds,vram_total_mib,external_vram_mib,external_gpu_percent,generating`
    #[arg(long, value_name = "F.csv")]
    trace: PathBuf,
    /// What the model takes of the card in each profile, MiB
    #[arg(long, value_name = "performance=MIB,balanced=MIB")]
    footprint: Footprints,
    /// Who decides: Workly's policy, or the table of GPU states alone every 5 s
    #[arg(long, value_name = "workly|table", default_value = "workly")]
    policy: SimulatedPolicy,
    /// Settings to take thresholds and profile choice from: a config.json
    #[arg(long, value_name = "config.json")]
    settings: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Plays the trace and prints the report.
///
/// # Errors
/// A trace or settings file that cannot be read, with what to do about it.
pub(crate) fn run(args: SimulateArgs) -> anyhow::Result<()> {
    let SimulateArgs { trace: path, footprint, policy, settings, json } = args;
    let config = settings.as_deref().map_or_else(|| Ok(Config::default()), read_config)?;
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the trace {}: check the path", path.display()))?;
    let trace = Trace::parse(&text).with_context(|| format!("{} is no trace", path.display()))?;
    let report = simulate(&trace, &footprint, policy, &config);
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        print(&mut out, &report)?;
    }
    Ok(())
}

fn read_config(path: &Path) -> anyhow::Result<Config> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the settings {}", path.display()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let document =
        serde_json::from_str(text).with_context(|| format!("the settings {} are not JSON", path.display()))?;
    let (settings, faults) = Settings::salvage(&document);
    for fault in faults {
        tracing::warn!("{}: {fault}", path.display());
    }
    Ok(Config::from_settings(&settings))
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if !report.switches.is_empty() {
        writeln!(out, "{:>9}  {:<13}{:<13}{:<11}{:>6}{:>7}", "seconds", "from", "to", "reason", "VRAM", "GPU")?;
    }
    for switch in &report.switches {
        let gpu = switch.gpu_percent.map_or_else(|| "?".to_owned(), |percent| format!("{percent:.0} %"));
        writeln!(
            out,
            "{:>9.1}  {:<13}{:<13}{:<11}{:>4.0} %{gpu:>7}",
            switch.seconds,
            switch.from.name(),
            switch.to.name(),
            switch.reason,
            switch.vram_percent,
        )?;
    }
    let seconds = report.seconds_in;
    writeln!(out, "{} samples, {} switches", report.samples, report.switches.len())?;
    writeln!(
        out,
        "overloaded for {:.1} s, at most {:.1} s at a time",
        report.seconds_overloaded, report.longest_overload_seconds
    )?;
    writeln!(
        out,
        "performance {:.1} s, balanced {:.1} s, cpu_fallback {:.1} s",
        seconds.performance, seconds.balanced, seconds.cpu_fallback
    )
}
