//! Readings: what a probe saw of one GPU at one moment.
//!
//! A sensor that is missing or was not asked is `None`, never 0. Percentages are of total VRAM, as the user sees them in
//! the vendor's tool. How a reading is taken, and when, is not said here.

use serde::{Deserialize, Serialize};

/// One sample of one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Reading {
    /// When it was taken: milliseconds on the caller's monotonic clock.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub time_ms: u64,
    /// VRAM of the card, bytes. 0 where the probe could not tell.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub vram_total: u64,
    /// VRAM in use by everyone, bytes.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub vram_used: u64,
    /// VRAM free, bytes.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub vram_free: u64,
    /// Utilization of the whole card, 0-100; `None` where the driver gives none or it was not asked this time.
    pub gpu_percent: Option<f32>,
    /// Temperature, degrees Celsius.
    pub temperature_c: Option<f32>,
    /// Power drawn, watts.
    pub power_w: Option<f32>,
    /// VRAM of Workly's own worker as the driver's process list gives it, bytes; asked for only on demand.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub own_bytes: Option<u64>,
}

impl Reading {
    /// VRAM in use, percent of total; `None` where the total is unknown.
    pub fn vram_percent(&self) -> Option<f32> {
        percent_of(self.vram_used as f64, self.vram_total).map(|percent| percent as f32)
    }

    /// Utilization of the whole card, 0-100, where the driver gave a number that can be one.
    pub fn utilization(&self) -> Option<f32> {
        self.gpu_percent.filter(|percent| percent.is_finite()).map(|percent| percent.clamp(0.0, 100.0))
    }
}

/// Bytes as percent of a total; `None` where the total is 0. Exact wherever the quotient is a representable number, so
/// that "exactly at the threshold" means what it says.
pub(crate) fn percent_of(bytes: f64, total: u64) -> Option<f64> {
    (total > 0).then(|| bytes * 100.0 / total as f64)
}

/// A process on the GPU, named when a decision is explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ProcessUse {
    /// Process id.
    pub pid: u32,
    /// Name of its program, where it can be read.
    pub name: Option<String>,
    /// VRAM it uses, bytes, where the driver says.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub vram_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_of_unknown_size_has_no_percentage() {
        assert_eq!(Reading { vram_used: 5, ..Reading::default() }.vram_percent(), None);
    }

    #[test]
    fn nine_tenths_of_any_card_are_exactly_ninety_percent() {
        for total in [10, 6_141_000_000, 85_899_345_920] {
            let reading = Reading { vram_total: total, vram_used: total / 10 * 9, ..Reading::default() };
            assert_eq!(reading.vram_percent(), Some(90.0));
        }
    }

    #[test]
    fn a_utilization_that_is_no_number_is_unknown() {
        let with = |gpu_percent| Reading { gpu_percent, ..Reading::default() }.utilization();
        assert_eq!(with(Some(f32::NAN)), None);
        assert_eq!(with(Some(f32::INFINITY)), None);
        assert_eq!(with(Some(140.0)), Some(100.0));
        assert_eq!(with(None), None);
    }
}
