//! What a simulation found, in the words of the headless contract.

use serde::Serialize;

use crate::profile::Profile;

/// The result of a simulation.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// Rows played.
    pub samples: usize,
    /// Every switch, in order.
    pub switches: Vec<SimulatedSwitch>,
    /// Time over the overload threshold while Workly held VRAM, seconds.
    pub seconds_overloaded: f64,
    /// The longest such time without a break, seconds.
    pub longest_overload_seconds: f64,
    /// Time in each profile, seconds.
    pub seconds_in: SecondsIn,
}

/// A switch and the reading that brought it about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulatedSwitch {
    /// When, seconds on the trace's clock.
    pub seconds: f64,
    /// The profile left.
    pub from: Profile,
    /// The profile taken.
    pub to: Profile,
    /// Why, such as `overload`.
    pub reason: &'static str,
    /// VRAM in use by everyone before the switch, percent of total.
    pub vram_percent: f64,
    /// Utilization of the card before the switch, Workly's own included, percent; `null` where the trace has none.
    pub gpu_percent: Option<f64>,
}

/// Time in each profile, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct SecondsIn {
    /// In `performance`.
    pub performance: f64,
    /// In `balanced`.
    pub balanced: f64,
    /// In `cpu_fallback`.
    pub cpu_fallback: f64,
}

impl SecondsIn {
    pub(super) fn add(&mut self, profile: Profile, seconds: f64) {
        match profile {
            Profile::Performance => self.performance += seconds,
            Profile::Balanced => self.balanced += seconds,
            Profile::CpuFallback => self.cpu_fallback += seconds,
        }
    }
}
