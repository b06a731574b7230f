//! Thresholds: the percentages that divide GPU states, validated together.

use serde::{Deserialize, Serialize};

/// Distance that neighbouring thresholds keep, percentage points.
pub const MIN_GAP: f64 = 5.0;

/// Percentages of total VRAM and of the card's utilization, named as in `config.json`.
///
/// The policy takes any values without failing; only a validated set behaves as described.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Thresholds {
    /// Above it the card is overloaded, percent of total VRAM.
    pub overload_vram_percent: f64,
    /// Above it, with the GPU busy, the card is stressed, percent of total VRAM.
    pub stressed_vram_percent: f64,
    /// Below it, with the GPU calm, the card is optimal, percent of total VRAM.
    pub optimal_vram_percent: f64,
    /// Above it the GPU counts as busy, percent of utilization.
    pub stressed_gpu_percent: f64,
    /// Below it the GPU counts as calm, percent of utilization.
    pub optimal_gpu_percent: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            overload_vram_percent: 90.0,
            stressed_vram_percent: 75.0,
            optimal_vram_percent: 60.0,
            stressed_gpu_percent: 80.0,
            optimal_gpu_percent: 60.0,
        }
    }
}

/// What is wrong with a set of thresholds; one per fault, keys as in `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ThresholdFault {
    /// A value outside 1 to 100.
    #[error("{key} is {value}: choose a value from 1 to 100")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// What it holds.
        value: f64,
    },
    /// Two neighbours too close, or the wrong way round.
    #[error("{lower_key} is {lower} and {upper_key} is {upper}: keep {upper_key} at least 5 points higher")]
    TooClose {
        /// The setting that must be the lower one.
        lower_key: &'static str,
        /// What it holds.
        lower: f64,
        /// The setting that must be the upper one.
        upper_key: &'static str,
        /// What it holds.
        upper: f64,
    },
}

impl Thresholds {
    /// Every threshold with its key in `config.json`.
    pub const fn entries(&self) -> [(&'static str, f64); 5] {
        [
            ("overload_vram_percent", self.overload_vram_percent),
            ("stressed_vram_percent", self.stressed_vram_percent),
            ("optimal_vram_percent", self.optimal_vram_percent),
            ("stressed_gpu_percent", self.stressed_gpu_percent),
            ("optimal_gpu_percent", self.optimal_gpu_percent),
        ]
    }

    /// Whether the set may be used.
    ///
    /// # Errors
    /// One fault for each value outside 1..=100 and for each pair of neighbours that is not 5 points apart. A pair with
    /// a value out of range is not complained about twice.
    pub fn validate(&self) -> Result<(), Vec<ThresholdFault>> {
        let [overload, stressed, optimal, stressed_gpu, optimal_gpu] = self.entries();
        let in_range = |value: f64| (1.0..=100.0).contains(&value);
        let mut faults: Vec<_> = (self.entries().into_iter())
            .filter(|&(_, value)| !in_range(value))
            .map(|(key, value)| ThresholdFault::OutOfRange { key, value })
            .collect();
        for (lower, upper) in [(optimal, stressed), (stressed, overload), (optimal_gpu, stressed_gpu)] {
            if in_range(lower.1) && in_range(upper.1) && upper.1 - lower.1 < MIN_GAP {
                faults.push(ThresholdFault::TooClose {
                    lower_key: lower.0,
                    lower: lower.1,
                    upper_key: upper.0,
                    upper: upper.1,
                });
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Thresholds::default().validate(), Ok(()));
    }

    #[test]
    fn each_fault_has_one_message_that_names_the_setting() {
        let thresholds = Thresholds {
            overload_vram_percent: 101.0,
            stressed_vram_percent: 62.0,
            optimal_gpu_percent: f64::NAN,
            ..Thresholds::default()
        };
        let messages: Vec<_> = thresholds.validate().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "overload_vram_percent is 101: choose a value from 1 to 100",
                "optimal_gpu_percent is NaN: choose a value from 1 to 100",
                "optimal_vram_percent is 60 and stressed_vram_percent is 62: \
                 keep stressed_vram_percent at least 5 points higher",
            ]
        );
    }

    #[test]
    fn five_points_apart_is_enough() {
        let with_stressed =
            |stressed_vram_percent| Thresholds { stressed_vram_percent, ..Thresholds::default() }.validate();
        assert!(with_stressed(65.0).is_ok() && with_stressed(85.0).is_ok());
        assert!(with_stressed(64.9).is_err() && with_stressed(85.1).is_err());
    }
}
