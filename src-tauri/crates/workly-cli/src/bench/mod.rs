//! `workly-cli bench`: how long an answer stands still when the model changes place or its worker dies, and when the card
//! is free; or how fast it is written beside programs that keep cores busy.

mod busy;
mod deaths;
mod distribution;
mod run;

use std::io::{self, Write};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use workly_core::model::ContextSize;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::Standby;
use workly_runtime::arguments::ModelArguments;

use distribution::Distribution;
use run::Measured;

/// Measure how long a switch of profile holds an answer up, or what busy cores do to it.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// The GGUF file to measure with; without it, the model that comes with Workly.
    #[arg(long, value_name = "PATH")]
    model: Option<std::path::PathBuf>,
    /// How often to leave the GPU; each time the model goes back to it as well.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    switches: u32,
    /// How often to kill the worker on the GPU as well, with a standby ready, and as often without one.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=10_000))]
    deaths: u32,
    /// Measure on the CPU instead, alone and with so many cores kept busy.
    #[arg(long, value_name = "CORES", conflicts_with_all = ["switches", "deaths", "gpu_layers"], value_parser = clap::value_parser!(u32).range(..=1_024))]
    busy: Option<u32>,
    /// Layers on the GPU, in place of what fits.
    #[arg(long, value_name = "N")]
    gpu_layers: Option<u32>,
    /// Length of the prompt, roughly: so many tokens of context are carried over at the least.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..))]
    prompt_tokens: u32,
    /// Tokens of context to make room for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(64..))]
    context: Option<u32>,
    /// Where chance begins, which draws the tokens at which workers die; without it, another place each time.
    #[arg(long, value_name = "S", requires = "deaths")]
    seed: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    gpu: String,
    gpu_layers: u32,
    threads_on_cpu: u32,
    context_tokens: Distribution,
    /// Switches from the GPU to the CPU.
    to_cpu: Direction,
    /// Switches from the CPU to the GPU.
    to_gpu: Direction,
    /// Milliseconds for each token while nothing moves: means over the stays in a place.
    ms_per_token_gpu: Distribution,
    ms_per_token_cpu: Distribution,
    /// Median gap to the CPU by the median time of a token there.
    gap_per_cpu_token: f64,
    /// Workers on the GPU that were still there once a switch to the CPU was told.
    gpu_processes_left: usize,
    /// What deaths cost beside that, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    deaths: Option<deaths::Deaths>,
}

#[derive(Debug, Serialize)]
struct Direction {
    strategies: std::collections::BTreeMap<String, usize>,
    gap_ms: Distribution,
    snapshot_ms: Distribution,
    restore_ms: Distribution,
    state_mib: Distribution,
    vram_released_ms: Distribution,
}

/// Measures and prints.
///
/// # Errors
///
/// When the model does not load, or there is no GPU to leave.
pub(crate) async fn run(arguments: BenchArguments) -> anyhow::Result<()> {
    let place = if arguments.busy.is_some() { Profile::CpuFallback } else { Profile::Performance };
    let model = ModelArguments {
        model: arguments.model.clone(),
        profile: Some(ProfileChoice::Fixed(place)),
        context: arguments.context,
        threads: None,
        gpu_layers: arguments.gpu_layers,
    };
    let mut settings = model.settings(None);
    settings.standby = Standby::On;
    if arguments.context.is_none() {
        settings.context = ContextSize::UpTo(arguments.prompt_tokens.saturating_mul(2).max(2_048));
    }
    if let Some(cores) = arguments.busy {
        let report = busy::measure(settings, cores, arguments.prompt_tokens).await?;
        return print(arguments.json, &report, |out| report.print(out));
    }
    let asked = run::Asked {
        switches: arguments.switches,
        deaths: arguments.deaths,
        prompt_tokens: arguments.prompt_tokens,
        seed: arguments.seed.unwrap_or_else(|| u64::from(workly_runtime::manager::random_seed())),
    };
    let measured = run::measure(settings.clone(), asked).await?;
    let deaths = if arguments.deaths > 0 {
        settings.standby = Standby::Off;
        let alone = run::measure(settings, run::Asked { switches: 0, ..asked }).await?;
        Some(deaths::Deaths::of(asked.seed, &measured, &alone))
    } else {
        None
    };
    let report = Report::new(measured, deaths);
    print(arguments.json, &report, |out| report.print(out))
}

fn print(
    json: bool,
    report: &impl Serialize,
    in_words: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)?;
        Ok(())
    } else {
        in_words(&mut out).context("the report could not be printed")
    }
}

impl Report {
    fn new(measured: Measured, deaths: Option<deaths::Deaths>) -> Self {
        let Measured {
            model, threads_on_cpu, switches, token_ms_gpu, token_ms_cpu, context, gpu_processes_left, ..
        } = measured;
        let (down, up): (Vec<_>, Vec<_>) = switches.into_iter().partition(|switch| !switch.to.uses_gpu());
        let (to_cpu, to_gpu) = (Direction::of(&down), Direction::of(&up));
        let ms_per_token_cpu = Distribution::of(token_ms_cpu);
        Self {
            model: model.name,
            gpu: model.gpu_device.unwrap_or_default(),
            gpu_layers: model.gpu_layers,
            threads_on_cpu,
            context_tokens: Distribution::of(context.into_iter().map(f64::from)),
            gap_per_cpu_token: to_cpu.gap_ms.median / ms_per_token_cpu.median,
            to_cpu,
            to_gpu,
            ms_per_token_gpu: Distribution::of(token_ms_gpu),
            ms_per_token_cpu,
            gpu_processes_left,
            deaths,
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { model, gpu, gpu_layers, threads_on_cpu, context_tokens, .. } = self;
        let layers = if *gpu_layers == 1 { "layer" } else { "layers" };
        writeln!(out, "{model}: {gpu_layers} {layers} on {gpu}, {threads_on_cpu} threads on the CPU after a switch")?;
        let (least, most) = (context_tokens.min, context_tokens.max);
        writeln!(out, "carried over: {least:.0} to {most:.0} tokens of context\n")?;
        writeln!(out, "{:<34}{:>9}{:>9}{:>9}{:>9}{:>9}", "", "min", "median", "p90", "p99", "max")?;
        for (name, direction) in [("to the CPU", &self.to_cpu), ("back to the GPU", &self.to_gpu)] {
            writeln!(out, "{name}: {}", direction.summary())?;
            writeln!(out, "{:<34}{}", "  gap_ms", direction.gap_ms)?;
            writeln!(out, "{:<34}{}", "  snapshot, ms", direction.snapshot_ms)?;
            writeln!(out, "{:<34}{}", "  restore, ms", direction.restore_ms)?;
            writeln!(out, "{:<34}{}", "  state carried over, MiB", direction.state_mib)?;
            if direction.vram_released_ms.count > 0 {
                writeln!(out, "{:<34}{}", "  vram_released_ms", direction.vram_released_ms)?;
            }
        }
        writeln!(out, "undisturbed")?;
        writeln!(out, "{:<34}{}", "  time per token on the GPU, ms", self.ms_per_token_gpu)?;
        writeln!(out, "{:<34}{}", "  time per token on the CPU, ms", self.ms_per_token_cpu)?;
        writeln!(out)?;
        writeln!(
            out,
            "The median gap to the CPU is {:.1} times the median time of a token there.",
            self.gap_per_cpu_token
        )?;
        writeln!(out, "GPU processes left after a switch to the CPU: {}", self.gpu_processes_left)?;
        self.deaths.as_ref().map_or(Ok(()), |deaths| deaths.print(out))
    }
}

impl Direction {
    fn of(switches: &[workly_wire::answer::AnswerSwitch]) -> Self {
        let mut strategies = std::collections::BTreeMap::new();
        for switch in switches {
            let name = serde_json::to_value(switch.strategy).ok().and_then(|value| Some(value.as_str()?.to_owned()));
            *strategies.entry(name.unwrap_or_default()).or_default() += 1;
        }
        Self {
            strategies,
            gap_ms: Distribution::of(switches.iter().map(|switch| switch.gap_ms)),
            snapshot_ms: Distribution::of(switches.iter().filter_map(|switch| switch.saved_in_ms)),
            restore_ms: Distribution::of(switches.iter().filter_map(|switch| switch.restored_in_ms)),
            state_mib: Distribution::of(
                switches.iter().filter_map(|switch| Some(switch.state_bytes? as f64 / f64::from(1 << 20))),
            ),
            vram_released_ms: Distribution::of(switches.iter().filter_map(|switch| switch.vram_released_ms)),
        }
    }

    fn summary(&self) -> String {
        let each = self.strategies.iter().map(|(name, count)| format!("{count} {name}"));
        each.collect::<Vec<_>>().join(", ")
    }
}
