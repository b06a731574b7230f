//! `workly-cli monitor`: what the GPU does, line by line.
//!
//! It reads only; no model is loaded and no profile changes.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use workly_core::policy::GpuState;
use workly_core::profile::Profile;
use workly_runtime::monitor::{Monitor, MonitorSettings, Snapshot, Sources};

/// Lines between two headings of the table.
const HEADING_EVERY: u64 = 20;

/// Watch the GPU.
#[derive(Debug, Args)]
pub(crate) struct MonitorArgs {
    /// Seconds between readings, 0.5 to 3600.
    #[arg(long, value_name = "S", default_value = "5", value_parser = interval)]
    interval: Duration,
    /// End after so many readings.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// One JSON object per line.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Lines as in gpu-history.csv; the profile is the recommended one.
    #[arg(long)]
    csv: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.5..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "write a number of seconds from 0.5 to 3600".to_owned())
}

/// Watches until `--count` readings are printed, or for ever.
///
/// # Errors
///
/// When the monitor cannot start or standard output fails. A machine without a GPU is no error: each line says why.
pub(crate) async fn run(args: MonitorArgs) -> anyhow::Result<()> {
    let settings = MonitorSettings { interval: args.interval, ..MonitorSettings::default() };
    let monitor = Monitor::start(Sources::from_environment(), settings).context("the monitor cannot start")?;
    let _look = monitor.look();
    let mut snapshots = monitor.subscribe();
    let mut printed = 0;
    while args.count.is_none_or(|count| printed < count) {
        let snapshot = snapshots.wait_for(|snapshot| snapshot.sequence > 0 && snapshot.full).await;
        let snapshot = snapshot.context("the monitor ended")?.clone();
        if !print(&args, &snapshot, printed)? {
            return Ok(());
        }
        printed += 1;
        if args.count.is_none_or(|count| printed < count) {
            snapshots.changed().await.context("the monitor ended")?;
        }
    }
    Ok(())
}

/// Prints one reading. `false`: nobody reads our output any more.
fn print(args: &MonitorArgs, snapshot: &Snapshot, number: u64) -> anyhow::Result<bool> {
    let line = Line::new(snapshot);
    let text = if args.json {
        serde_json::to_string(&line)? + "\n"
    } else if args.csv {
        let heading = if number == 0 { "timestamp,vram_percent,gpu_percent,profile\n" } else { "" };
        format!("{heading}{}", line.csv())
    } else {
        let heading = if number.is_multiple_of(HEADING_EVERY) { heading(&line) } else { String::new() };
        format!("{heading}{}", line.row())
    };
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true).context("standard output cannot be written"),
    }
}

/// One line of `--json`. Unknown is `None`.
#[derive(Debug, Serialize)]
struct Line {
    time: String,
    gpu: Option<String>,
    vram_total_mib: Option<u64>,
    vram_used_mib: Option<u64>,
    vram_free_mib: Option<u64>,
    vram_percent: Option<f64>,
    gpu_percent: Option<f64>,
    temperature_c: Option<i64>,
    power_w: Option<f64>,
    own_mib: Option<u64>,
    state: Option<GpuState>,
    recommended_profile: Option<Profile>,
    stale: bool,
    reason: Option<String>,
}

impl Line {
    fn new(snapshot: &Snapshot) -> Self {
        let (shown, stats) = (snapshot.shown, snapshot.stats());
        let mib = |bytes: u64| bytes >> 20;
        Self {
            time: snapshot.time_text(),
            gpu: snapshot.gpu.as_ref().map(|gpu| gpu.description.clone()),
            vram_total_mib: shown.map(|shown| mib(shown.vram_total)),
            vram_used_mib: shown.map(|shown| mib(shown.vram_used)),
            vram_free_mib: shown.map(|shown| mib(shown.vram_free)),
            vram_percent: stats.map(|stats| tenths(stats.vram_percent)),
            gpu_percent: stats.and_then(|stats| stats.gpu_percent).map(tenths),
            temperature_c: shown.and_then(|shown| shown.temperature_c).map(|degrees| degrees.round() as i64),
            power_w: shown.and_then(|shown| shown.power_w).map(tenths),
            own_mib: snapshot.own_bytes.map(mib),
            state: stats.map(|stats| stats.state),
            recommended_profile: stats.map(|stats| stats.recommended_profile),
            stale: snapshot.stale,
            reason: snapshot.reason(),
        }
    }

    fn csv(&self) -> String {
        let time = self.time.get(..19).unwrap_or_default().replace('T', " ");
        let percent = |value: Option<f64>| value.map(|value| format!("{value:.1}")).unwrap_or_default();
        let profile = self.recommended_profile.map_or("", Profile::name);
        format!("{time},{},{},{profile}\n", percent(self.vram_percent), percent(self.gpu_percent))
    }

    fn row(&self) -> String {
        let time = self.time.get(11..19).unwrap_or_default();
        let note = self.reason.as_deref().unwrap_or_default();
        let row = format!(
            "{time:8} {:>7} {:>7} {:>6} {:>5} {:>6} {:>7}  {:10} {:12} {note}",
            or_dash(self.vram_used_mib.map(|mib| mib.to_string())),
            or_dash(self.vram_total_mib.map(|mib| mib.to_string())),
            or_dash(self.vram_percent.map(|percent| format!("{percent:.1}"))),
            or_dash(self.gpu_percent.map(|percent| format!("{percent:.0}"))),
            or_dash(self.temperature_c.map(|degrees| degrees.to_string())),
            or_dash(self.power_w.map(|watts| format!("{watts:.1}"))),
            self.state.map_or("-", GpuState::name),
            self.recommended_profile.map_or("-", Profile::name),
        );
        row.trim_end().to_owned() + "\n"
    }
}

fn heading(line: &Line) -> String {
    let gpu = line.gpu.as_deref().unwrap_or("no GPU");
    let names = "time     used MiB   total VRAM % GPU %     °C       W  state      recommended";
    format!("{gpu}\n{names}\n")
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// Rounded to one decimal, which is all these figures are worth.
fn tenths(value: f32) -> f64 {
    (f64::from(value) * 10.0).round() / 10.0
}
