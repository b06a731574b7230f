//! What crosses to the window about the GPU: readings, the past, decisions, processes, and the demonstration.

use serde::{Deserialize, Serialize};
use ts_rs::{Config, TS};

use workly_core::policy::{GpuState, Reason};
use workly_core::profile::Profile;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::thresholds::Thresholds;
use workly_core::why::Why;

use crate::words::Language;

/// A card there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct GpuCard {
    /// What a person calls it, such as `NVIDIA GeForce RTX 4050`.
    pub name: String,
    /// What to write into `ai.gpu_device` to take it: its PCI address where known, else its name.
    pub choose_by: String,
    /// VRAM of the card, bytes.
    #[ts(type = "number")]
    pub vram_total: u64,
}

/// Why the GPU cannot be read, in the kinds that the window has words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum GpuProblemKind {
    /// No card that Workly can read was found.
    NoGpu,
    /// The driver is there and cannot be used as it is.
    Driver,
    /// This user may not ask.
    NoPermission,
    /// The card does not report its memory.
    NotSupported,
    /// The card went away, or has to come back.
    Lost,
    /// The driver does not answer for now.
    Silent,
}

/// Why the GPU cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct GpuProblem {
    /// Which kind of thing is wrong.
    pub kind: GpuProblemKind,
    /// What exactly, in English, and what to do.
    pub detail: String,
}

/// The card at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct GpuView {
    /// When, milliseconds since 1970.
    #[ts(type = "number")]
    pub unix_ms: u64,
    /// The card that is watched.
    pub gpu: Option<GpuCard>,
    /// VRAM of the card, bytes; `None` while nothing could be read.
    #[ts(type = "number | null")]
    pub vram_total: Option<u64>,
    /// VRAM in use by everyone, bytes.
    #[ts(type = "number | null")]
    pub vram_used: Option<u64>,
    /// VRAM of Workly's own worker, bytes.
    #[ts(type = "number | null")]
    pub own_bytes: Option<u64>,
    /// Utilization, 0-100.
    pub gpu_percent: Option<f32>,
    /// Temperature, degrees Celsius.
    pub temperature_c: Option<f32>,
    /// Power drawn, watts.
    pub power_w: Option<f32>,
    /// What the thresholds say.
    pub state: Option<GpuState>,
    /// The thresholds in force.
    pub thresholds: Thresholds,
    /// Time between two full readings, seconds.
    pub interval_seconds: f64,
    /// The figures are old: the driver does not answer.
    pub stale: bool,
    /// The card sleeps and is left alone.
    pub asleep: bool,
    /// The first look is still to come.
    pub waiting: bool,
    /// Why nothing could be read.
    pub problem: Option<GpuProblem>,
}

/// Full readings, oldest first, as columns of equal length.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
pub struct GpuPast {
    /// When, milliseconds since 1970.
    #[ts(type = "Array<number>")]
    pub unix_ms: Vec<u64>,
    /// VRAM in use by everyone, percent of total.
    pub vram_percent: Vec<f32>,
    /// VRAM of Workly's own worker, percent of total; 0 where it holds none, `None` where that is unknown.
    pub own_percent: Vec<Option<f32>>,
    /// Utilization, 0-100.
    pub gpu_percent: Vec<Option<f32>>,
    /// The profile the model ran in.
    pub profile: Vec<Option<Profile>>,
}

impl GpuPast {
    /// Adds a reading; sizes are in bytes. A card of unknown size adds nothing.
    pub fn push(
        &mut self,
        unix_ms: u64,
        (total, used, own): (u64, u64, Option<u64>),
        gpu_percent: Option<f32>,
        profile: Option<Profile>,
    ) {
        if total == 0 {
            return;
        }
        let percent = |bytes: u64| ((bytes as f64 / total as f64).min(1.0) * 1000.0).round() as f32 / 10.0;
        // Without a model on the card nothing of it is ours.
        let own = own.or_else(|| (!profile.is_some_and(Profile::uses_gpu)).then_some(0));
        self.unix_ms.push(unix_ms);
        self.vram_percent.push(percent(used));
        self.own_percent.push(own.map(|own| percent(own.min(used))));
        self.gpu_percent.push(gpu_percent);
        self.profile.push(profile);
    }
}

/// A decision that moved the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct DecisionEntry {
    /// When, milliseconds since 1970.
    #[ts(type = "number")]
    pub unix_ms: u64,
    /// The profile that was left; `None` at the start.
    pub from: Option<Profile>,
    /// The profile that was taken.
    pub to: Profile,
    /// Why; none at the start.
    pub why: Option<Why>,
    /// How it was carried out.
    pub strategy: Option<SwitchStrategy>,
}

/// A decision as the window shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct DecisionView {
    /// The decision itself.
    #[serde(flatten)]
    pub entry: DecisionEntry,
    /// Its reason as a code of the policy, where it has one.
    pub reason: Option<Reason>,
    /// Why, in the user's language; empty where there is nothing to add.
    pub why_text: String,
}

impl DecisionView {
    /// A decision in the words of a language.
    pub fn new(entry: DecisionEntry, language: Language) -> Self {
        let reason = entry.why.as_ref().and_then(Why::reason);
        let why_text = entry.why.as_ref().map(|why| language.why(why)).unwrap_or_default();
        Self { entry, reason, why_text }
    }
}

/// What the monitor page is sent while it is seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MonitorUpdate {
    /// The first message, and again when the user chose another language.
    Start {
        /// The card now.
        view: Box<GpuView>,
        /// The last hour.
        past: GpuPast,
        /// The decisions, oldest first.
        switches: Vec<DecisionView>,
    },
    /// The card was looked at.
    Reading {
        /// The card now.
        view: Box<GpuView>,
        /// The reading to add to the past; `None` where this was no full one.
        added: Option<GpuPast>,
    },
    /// The model moved.
    Switched {
        /// The decision.
        entry: DecisionView,
    },
}

/// The recordings there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum DemoName {
    /// A game starts and ends.
    Gaming,
    /// A stream starts and ends.
    Streaming,
    /// Short bursts of load.
    Bursts,
}

/// A recording played against the policy, with Workly's own share added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Demo {
    /// Which.
    pub name: DemoName,
    /// VRAM of the imagined card, bytes.
    #[ts(type = "number")]
    pub vram_total: u64,
    /// The whole of it; times count from 0.
    pub past: GpuPast,
    /// What Workly does; times count from 0.
    pub switches: Vec<DecisionView>,
    /// How often the thresholds alone would have switched.
    pub switches_by_table: u32,
    /// The thresholds it is played with.
    pub thresholds: Thresholds,
}

/// TypeScript declarations of this subject.
pub(crate) fn declarations(config: &Config) -> Vec<String> {
    vec![
        GpuState::decl(config),
        GpuCard::decl(config),
        GpuProblemKind::decl(config),
        GpuProblem::decl(config),
        GpuView::decl(config),
        GpuPast::decl(config),
        DecisionView::decl(config),
        MonitorUpdate::decl(config),
        DemoName::decl(config),
        Demo::decl(config),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_in_percent_and_knows_whose_memory_it_is() {
        let mut past = GpuPast::default();
        past.push(1, (1000, 500, None), None, None);
        past.push(2, (1000, 500, None), Some(40.0), Some(Profile::Performance));
        past.push(3, (1000, 500, Some(700)), Some(40.0), Some(Profile::Balanced));
        past.push(4, (0, 0, None), None, None);
        assert_eq!(past.vram_percent, [50.0, 50.0, 50.0]);
        assert_eq!(past.own_percent, [Some(0.0), None, Some(50.0)], "unknown is not 0, and no more than is used");
    }
}
