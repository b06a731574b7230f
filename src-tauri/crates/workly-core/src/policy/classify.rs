//! The seed's table: what the thresholds say of one reading.
//!
//! Memoryless, for display, history and the API. Nothing switches on it but `simulate --policy table`, which shows why.

use serde::{Deserialize, Serialize};

use crate::profile::Profile;
use crate::reading::Reading;
use crate::thresholds::Thresholds;

/// What the thresholds say of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum GpuState {
    /// So full that programs may fail.
    Overloaded,
    /// Full and busy.
    Stressed,
    /// Neither full nor busy.
    Optimal,
    /// Anything else, and what cannot be told.
    Moderate,
}

impl GpuState {
    /// The name used in JSON, on the command line and in the history.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Stressed => "stressed",
            Self::Optimal => "optimal",
            Self::Moderate => "moderate",
        }
    }

    /// The profile that the seed's table recommends.
    pub const fn recommended_profile(self) -> Profile {
        match self {
            Self::Overloaded => Profile::CpuFallback,
            Self::Stressed | Self::Moderate => Profile::Balanced,
            Self::Optimal => Profile::Performance,
        }
    }
}

/// The GPU state of one reading. An unknown utilization is moderate unless the card is overloaded.
pub fn classify(reading: &Reading, thresholds: &Thresholds) -> GpuState {
    let Some(vram) = reading.vram_percent().map(f64::from) else { return GpuState::Moderate };
    let gpu = reading.utilization().map(f64::from);
    if vram > thresholds.overload_vram_percent {
        GpuState::Overloaded
    } else if vram > thresholds.stressed_vram_percent && gpu.is_some_and(|gpu| gpu > thresholds.stressed_gpu_percent) {
        GpuState::Stressed
    } else if vram < thresholds.optimal_vram_percent && gpu.is_some_and(|gpu| gpu < thresholds.optimal_gpu_percent) {
        GpuState::Optimal
    } else {
        GpuState::Moderate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(vram: u64, gpu_percent: Option<f32>) -> GpuState {
        let reading = Reading { vram_total: 1000, vram_used: vram * 10, gpu_percent, ..Reading::default() };
        classify(&reading, &Thresholds::default())
    }

    #[test]
    fn it_is_the_table_of_the_seed_to_the_letter() {
        use GpuState::{Moderate, Optimal, Overloaded, Stressed};
        let table = [
            (91, Some(0.0), Overloaded, "cpu_fallback"),
            (90, Some(90.0), Stressed, "balanced"),
            (76, Some(80.5), Stressed, "balanced"),
            (76, Some(80.0), Moderate, "balanced"),
            (75, Some(99.0), Moderate, "balanced"),
            (60, Some(10.0), Moderate, "balanced"),
            (59, Some(60.0), Moderate, "balanced"),
            (59, Some(59.5), Optimal, "performance"),
            (65, Some(55.0), Moderate, "balanced"),
            (0, Some(0.0), Optimal, "performance"),
        ];
        for (vram, gpu, expected, profile) in table {
            assert_eq!(state(vram, gpu), expected, "VRAM {vram} %, GPU {gpu:?}");
            assert_eq!(expected.recommended_profile().name(), profile);
        }
    }

    #[test]
    fn an_unknown_utilization_is_moderate_unless_overloaded() {
        for unknown in [None, Some(f32::NAN)] {
            assert_eq!(state(95, unknown), GpuState::Overloaded);
            assert_eq!(state(80, unknown), GpuState::Moderate);
            assert_eq!(state(10, unknown), GpuState::Moderate);
        }
    }

    #[test]
    fn a_card_of_unknown_size_is_moderate() {
        assert_eq!(classify(&Reading::default(), &Thresholds::default()), GpuState::Moderate);
    }
}
