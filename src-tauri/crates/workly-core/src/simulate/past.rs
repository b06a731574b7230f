//! What really happened on a card, as a trace: "over the last hour this would have switched N times".

use super::footprints::Footprints;
use super::trace::{Row, Trace};
use crate::profile::Profile;

/// Time between two rows, milliseconds: how often the card is looked at while a model is on it.
const STEP_MS: u64 = 500;
/// How long a reading stands for the time after it, milliseconds: a reading a minute is the slowest there is.
const HOLD_MS: u64 = 61_000;
/// Footprint of a 7B model in `performance`, MiB; assumed where no model's own is known.
const USUAL_MIB: u64 = 5_100;

/// One full reading of the past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Past {
    /// When, milliseconds on any clock that only grows.
    pub time_ms: u64,
    /// VRAM of the card, bytes.
    pub vram_total: u64,
    /// VRAM in use by everyone, bytes.
    pub vram_used: u64,
    /// VRAM of Workly's own worker, bytes, where known.
    pub own_bytes: Option<u64>,
    /// Utilization of the whole card, 0-100, where known.
    pub gpu_percent: Option<f32>,
    /// The profile the model ran in.
    pub profile: Option<Profile>,
    /// Whether Workly was writing an answer.
    pub generating: bool,
}

impl Trace {
    /// What others did, taken from readings that are in order of time: own VRAM is taken off, and utilization while Workly
    /// itself kept the GPU busy is the last one of before. `None` where there is no reading to play.
    pub fn of_the_past(past: &[Past], footprints: &Footprints) -> Option<Self> {
        let first = past.iter().find(|reading| reading.vram_total > 0)?.time_ms;
        let plans = footprints.layer_plan();
        let (mut rows, mut idle) = (Vec::new(), None);
        for (index, reading) in past.iter().enumerate().filter(|(_, reading)| reading.vram_total > 0) {
            let on_gpu = reading.profile.is_some_and(Profile::uses_gpu);
            let own = match reading.profile {
                Some(profile) if on_gpu => reading.own_bytes.unwrap_or(plans.of(profile).footprint),
                _ => 0,
            };
            if !(on_gpu && reading.generating) {
                idle = reading.gpu_percent;
            }
            let next = past.get(index + 1).map_or(reading.time_ms + STEP_MS, |next| next.time_ms);
            let until = next.min(reading.time_ms + HOLD_MS);
            let mut time_ms = reading.time_ms;
            while time_ms < until {
                rows.push(Row {
                    seconds: (time_ms - first) as f64 / 1000.0,
                    vram_total_mib: (reading.vram_total >> 20).max(1),
                    external_vram_mib: reading.vram_used.saturating_sub(own) >> 20,
                    external_gpu_percent: idle.map(|percent: f32| percent.clamp(0.0, 100.0)),
                    generating: reading.generating,
                });
                time_ms += STEP_MS;
            }
        }
        Self::from_rows(rows)
    }
}

impl Footprints {
    /// A middling model on a card of this size, bytes: seven billion parameters, or what the card holds of them.
    pub fn usual(vram_total: u64) -> Self {
        let performance_mib = USUAL_MIB.min((vram_total >> 20) * 7 / 10);
        Self { performance_mib, balanced_mib: performance_mib * 65 / 100 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Config;
    use crate::simulate::{SimulatedPolicy, simulate};

    const FOOTPRINTS: Footprints = Footprints { performance_mib: 5100, balanced_mib: 3300 };
    const TOTAL: u64 = 6141 << 20;

    fn reading(seconds: u64, profile: Profile, external_mib: u64, gpu_percent: f32) -> Past {
        let own = FOOTPRINTS.layer_plan().of(profile).footprint;
        Past {
            time_ms: 7_000 + seconds * 1000,
            vram_total: TOTAL,
            vram_used: (external_mib << 20) + own,
            own_bytes: None,
            gpu_percent: Some(gpu_percent),
            profile: Some(profile),
            generating: false,
        }
    }

    /// A quiet hour with ten minutes of a game, as it was with the thresholds of the seed.
    fn an_hour_with_a_game() -> Vec<Past> {
        let at = |seconds: u64| match seconds {
            600..605 => reading(seconds, Profile::Performance, 3500, 97.0),
            605..1200 => reading(seconds, Profile::CpuFallback, 3500, 97.0),
            1200..1215 => reading(seconds, Profile::CpuFallback, 250, 3.0),
            _ => reading(seconds, Profile::Performance, 250, 3.0),
        };
        (0..3600).step_by(5).map(at).collect()
    }

    #[test]
    fn the_past_played_with_its_own_thresholds_gives_its_own_switches() {
        let trace = Trace::of_the_past(&an_hour_with_a_game(), &FOOTPRINTS).unwrap();
        let report = simulate(&trace, &FOOTPRINTS, SimulatedPolicy::Workly, &Config::default());
        let switches: Vec<_> = report.switches.iter().map(|switch| (switch.to, switch.reason)).collect();
        assert_eq!(switches, [(Profile::CpuFallback, "overload"), (Profile::Performance, "recovered")]);
        assert!(report.switches[0].seconds >= 600.0 && report.switches[1].seconds < 1220.0);
    }

    #[test]
    fn other_thresholds_give_other_switches() {
        let trace = Trace::of_the_past(&an_hour_with_a_game(), &FOOTPRINTS).unwrap();
        let mut config = Config::default();
        config.thresholds.optimal_vram_percent = 4.0;
        let report = simulate(&trace, &FOOTPRINTS, SimulatedPolicy::Workly, &config);
        assert!(report.switches.iter().all(|switch| switch.to != Profile::Performance), "{:?}", report.switches);
    }

    #[test]
    fn workly_s_own_work_is_not_taken_for_that_of_others() {
        let mut past: Vec<_> = (0..60).step_by(5).map(|at| reading(at, Profile::Performance, 250, 4.0)).collect();
        for reading in &mut past[4..8] {
            (reading.gpu_percent, reading.generating) = (Some(99.0), true);
        }
        let trace = Trace::of_the_past(&past, &FOOTPRINTS).unwrap();
        assert!(trace.rows().iter().all(|row| row.external_gpu_percent == Some(4.0) && row.external_vram_mib == 250));
        assert_eq!(trace.rows().iter().filter(|row| row.generating).count(), 40);
    }

    #[test]
    fn a_time_without_readings_is_left_out_and_nothing_gives_no_trace() {
        let past = [reading(0, Profile::CpuFallback, 10, 0.0), reading(3000, Profile::CpuFallback, 10, 0.0)];
        assert_eq!(Trace::of_the_past(&past, &FOOTPRINTS).unwrap().rows().len(), 123);
        assert_eq!(Trace::of_the_past(&[], &FOOTPRINTS), None);
        let unknown = Past { vram_total: 0, ..past[0] };
        assert_eq!(Trace::of_the_past(&[unknown], &FOOTPRINTS), None);
    }

    #[test]
    fn the_usual_model_fits_the_card() {
        let small = Footprints::usual(4 << 30);
        assert!(small.performance_mib < 4096 && small.balanced_mib < small.performance_mib);
        assert_eq!(Footprints::usual(24 << 30).performance_mib, 5100);
    }
}
