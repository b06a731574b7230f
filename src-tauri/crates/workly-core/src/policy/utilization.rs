//! External utilization: how busy others keep the GPU, percent.
//!
//! Drivers average, so a reading speaks of others alone only from 1.5 s after Workly's last computation on the GPU.
//! While Workly generates there, the last idle value counts. A game that starts during an answer does not show in it, but
//! it shows in the speed: an answer that falls below half of its usual speed for 3 s means contention, and external
//! utilization is taken as 100 until the next idle reading.

use super::observation::{Observation, Speed};
use crate::reading::Reading;

/// How long after Workly's last computation a reading is idle, milliseconds.
const IDLE_AFTER_MS: u64 = 1_500;
/// How long a collapse of speed must last, milliseconds.
const COLLAPSE_MS: u64 = 3_000;
/// The share of the usual speed below which it is a collapse.
const COLLAPSE_SHARE: f32 = 0.5;
/// Speeds seen before the usual speed is trusted.
const TRUSTED_AFTER: u16 = 6;
/// Weight of a new speed in the usual one.
const SMOOTHING: f32 = 0.1;

/// The estimate and its memory.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Utilization {
    others: Option<f64>,
    contention: bool,
    slow_since: Option<u64>,
    usual: UsualSpeeds,
}

impl Utilization {
    /// `before`: utilization by others before the model is loaded, percent, where a reading told.
    pub(super) fn new(before: Option<f32>) -> Self {
        Self { others: before.map(f64::from), ..Self::default() }
    }

    /// External utilization, percent; `None` where it is unknown.
    pub(super) fn percent(&self) -> Option<f64> {
        if self.contention { Some(100.0) } else { self.others }
    }

    /// The GPU is gone, and with it what was known of others.
    pub(super) fn forget(&mut self) {
        (self.others, self.contention, self.slow_since) = (None, false, None);
    }

    /// Time went backwards: what was being timed starts anew.
    pub(super) fn rebase(&mut self) {
        self.slow_since = None;
    }

    /// Takes in a reading made while nothing moves.
    pub(super) fn update(&mut self, reading: &Reading, observation: &Observation, now: u64) {
        let idle = observation.gpu_work_ms.is_none_or(|at| now.saturating_sub(at) >= IDLE_AFTER_MS);
        if idle {
            self.slow_since = None;
            if observation.utilization_asked {
                self.others = reading.utilization().map(f64::from);
                self.contention = false;
            }
            return;
        }
        let collapsed = observation.speed.is_some_and(|speed| self.usual.collapsed(observation.active.layers, speed));
        if !collapsed {
            self.slow_since = None;
        } else if now.saturating_sub(*self.slow_since.get_or_insert(now)) >= COLLAPSE_MS {
            self.contention = true;
        }
    }
}

/// The usual speed for each of the two layer plans seen last and each context length: speed falls with context.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct UsualSpeeds {
    plans: [PlanSpeeds; 2],
    latest: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct PlanSpeeds {
    layers: u32,
    /// Below 1024 tokens of context, below 2048, and so on, doubling.
    buckets: [UsualSpeed; 8],
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct UsualSpeed {
    tokens_per_second: f32,
    seen: u16,
}

impl UsualSpeeds {
    /// Whether a speed is a collapse; one that is not makes part of the usual speed.
    fn collapsed(&mut self, layers: u32, speed: Speed) -> bool {
        let now = speed.tokens_per_second;
        if !now.is_finite() || now < 0.0 {
            return false;
        }
        let usual = self.of(layers, speed.context_tokens);
        if usual.seen >= TRUSTED_AFTER && now < usual.tokens_per_second * COLLAPSE_SHARE {
            return true;
        }
        let weight = if usual.seen == 0 { 1.0 } else { SMOOTHING };
        usual.tokens_per_second += (now - usual.tokens_per_second) * weight;
        usual.seen = usual.seen.saturating_add(1);
        false
    }

    fn of(&mut self, layers: u32, context_tokens: u32) -> &mut UsualSpeed {
        if self.plans[self.latest].layers != layers {
            self.latest = 1 - self.latest;
            if self.plans[self.latest].layers != layers {
                self.plans[self.latest] = PlanSpeeds { layers, ..PlanSpeeds::default() };
            }
        }
        let bucket = (context_tokens / 1024).checked_ilog2().map_or(0, |doublings| doublings as usize + 1);
        &mut self.plans[self.latest].buckets[bucket.min(7)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::observation::{LayerPlan, ProfilePlan, Sight};
    use crate::profile::Profile;

    fn reading(gpu_percent: Option<f32>) -> Reading {
        Reading { vram_total: 100, gpu_percent, ..Reading::default() }
    }

    fn observation(gpu_work_ms: Option<u64>, tokens_per_second: Option<f32>) -> Observation {
        Observation {
            sight: Sight::Stale,
            utilization_asked: true,
            profile: Profile::Performance,
            moving: false,
            active: ProfilePlan { layers: 32, footprint: 1 },
            plans: LayerPlan::default(),
            gpu_work_ms,
            answering: gpu_work_ms.is_some(),
            speed: tokens_per_second.map(|tokens_per_second| Speed { tokens_per_second, context_tokens: 3000 }),
            fault: None,
        }
    }

    #[test]
    fn the_load_of_our_own_generation_is_not_blamed_on_others() {
        let mut utilization = Utilization::new(Some(7.0));
        utilization.update(&reading(Some(96.0)), &observation(Some(10_000), None), 10_000);
        utilization.update(&reading(Some(96.0)), &observation(Some(10_000), None), 11_499);
        assert_eq!(utilization.percent(), Some(7.0));
        utilization.update(&reading(Some(12.0)), &observation(Some(10_000), None), 11_500);
        assert_eq!(utilization.percent(), Some(12.0), "idle from 1.5 s after the last computation");
    }

    #[test]
    fn a_guard_reading_of_vram_alone_leaves_utilization_as_it_was() {
        let mut utilization = Utilization::new(Some(7.0));
        let guard = Observation { utilization_asked: false, ..observation(None, None) };
        utilization.update(&reading(None), &guard, 1000);
        assert_eq!(utilization.percent(), Some(7.0));
        utilization.update(&reading(None), &observation(None, None), 5000);
        assert_eq!(utilization.percent(), None, "asked for and not given is unknown");
    }

    #[test]
    fn an_answer_at_less_than_half_its_speed_for_three_seconds_means_contention_until_an_idle_reading() {
        let mut utilization = Utilization::new(Some(7.0));
        let mut at = |now: u64, speed: f32| {
            utilization.update(&reading(Some(99.0)), &observation(Some(now), Some(speed)), now);
            utilization.percent()
        };
        for step in 0..10 {
            assert_eq!(at(step * 500, 30.0), Some(7.0));
        }
        assert_eq!(at(5_000, 14.0), Some(7.0));
        assert_eq!(at(7_999, 14.0), Some(7.0));
        assert_eq!(at(8_000, 14.0), Some(100.0));
        assert_eq!(at(9_000, 30.0), Some(100.0), "recovered speed alone does not clear it");
        utilization.update(&reading(Some(5.0)), &observation(Some(9_000), None), 11_000);
        assert_eq!(utilization.percent(), Some(5.0));
    }

    #[test]
    fn a_slow_token_between_fast_ones_is_no_contention() {
        let mut utilization = Utilization::new(Some(7.0));
        for step in 0..100 {
            let speed = if step % 4 == 3 { 5.0 } else { 30.0 };
            utilization.update(&reading(None), &observation(Some(step * 500), Some(speed)), step * 500);
        }
        assert_eq!(utilization.percent(), Some(7.0));
    }

    #[test]
    fn a_longer_context_and_another_plan_have_a_usual_speed_of_their_own() {
        let mut usual = UsualSpeeds::default();
        let mut slow = |layers, tokens_per_second, context_tokens| {
            usual.collapsed(layers, Speed { tokens_per_second, context_tokens })
        };
        for _ in 0..TRUSTED_AFTER {
            assert!(!slow(32, 30.0, 100));
        }
        assert!(slow(32, 10.0, 1000));
        assert!(!slow(32, 10.0, 9000));
        assert!(!slow(16, 10.0, 100));
        assert!(slow(32, 10.0, 100), "the speed of the first plan is remembered");
        assert!(!slow(32, f32::NAN, u32::MAX));
    }
}
