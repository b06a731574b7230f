//! Up clocks and holds: how long a profile must have been admissible before it is climbed to.
//!
//! Each GPU profile has its own. Leaving it downward soon after climbing doubles its hold, surviving in it resets it.

use crate::profile::Profile;

/// The hold of a profile that has given no trouble, milliseconds.
pub const BASE_HOLD_MS: u64 = 15_000;
/// The longest hold, milliseconds.
pub const MAX_HOLD_MS: u64 = 480_000;
/// Leaving a profile downward this soon after climbing to it doubles its hold, milliseconds.
const TOO_SOON_MS: u64 = 300_000;
/// Staying this long in a profile resets its hold, milliseconds.
const SURVIVED_MS: u64 = 600_000;

/// The GPU profiles, the highest first.
pub(super) const GPU_PROFILES: [Profile; 2] = [Profile::Performance, Profile::Balanced];

const fn slot(profile: Profile) -> Option<usize> {
    match profile {
        Profile::Performance => Some(0),
        Profile::Balanced => Some(1),
        Profile::CpuFallback => None,
    }
}

/// Since when each GPU profile has been admissible without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct UpClocks([Option<u64>; 2]);

impl UpClocks {
    /// Stops every clock.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether a clock runs.
    pub(super) fn running(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// Lets a profile's clock run or stops it; returns how long it has run, milliseconds.
    pub(super) fn tick(&mut self, profile: Profile, admissible: bool, now: u64) -> Option<u64> {
        let clock = &mut self.0[slot(profile)?];
        if !admissible {
            *clock = None;
            return None;
        }
        Some(now.saturating_sub(*clock.get_or_insert(now)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hold {
    length_ms: u64,
    climbed_ms: Option<u64>,
}

/// The hold of each GPU profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holds([Hold; 2]);

impl Default for Holds {
    fn default() -> Self {
        Self([Hold { length_ms: BASE_HOLD_MS, climbed_ms: None }; 2])
    }
}

impl Holds {
    /// How long a profile must be admissible, milliseconds.
    pub(super) fn of(&self, profile: Profile) -> u64 {
        slot(profile).map_or(0, |slot| self.0[slot].length_ms)
    }

    /// A profile was climbed to.
    pub(super) fn climbed(&mut self, profile: Profile, now: u64) {
        if let Some(slot) = slot(profile) {
            self.0[slot].climbed_ms = Some(now);
        }
    }

    /// A profile was left downward. Profiles that would not have stood it either wait as long: those above it, and
    /// those named by `also`. Otherwise the policy would feel its way up one profile at a time, each climb a switch.
    pub(super) fn fell(&mut self, profile: Profile, now: u64, also: impl Fn(Profile) -> bool) {
        let Some(slot) = slot(profile) else { return };
        let soon = self.0[slot].climbed_ms.is_some_and(|climbed| now.saturating_sub(climbed) <= TOO_SOON_MS);
        if !soon {
            return;
        }
        let doubled = (self.0[slot].length_ms * 2).min(MAX_HOLD_MS);
        for (index, other) in GPU_PROFILES.into_iter().enumerate() {
            if other >= profile || also(other) {
                self.0[index].length_ms = self.0[index].length_ms.max(doubled);
            }
        }
    }

    /// A profile has been kept since `entered`: long enough, and it and the ones below it are trusted again.
    pub(super) fn survived(&mut self, profile: Profile, entered: u64, now: u64) {
        if now.saturating_sub(entered) < SURVIVED_MS {
            return;
        }
        for (index, other) in GPU_PROFILES.into_iter().enumerate() {
            if other <= profile {
                self.0[index].length_ms = BASE_HOLD_MS;
            }
        }
    }

    /// Time went backwards: nothing may lie in the future.
    pub(super) fn rebase(&mut self, now: u64) {
        for hold in &mut self.0 {
            hold.climbed_ms = hold.climbed_ms.map(|at| at.min(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hold_doubles_to_eight_minutes_and_no_further() {
        let mut holds = Holds::default();
        let mut lengths = vec![holds.of(Profile::Performance) / 1000];
        for fall in 0..6 {
            holds.climbed(Profile::Performance, fall * 1_000_000);
            holds.fell(Profile::Performance, fall * 1_000_000 + TOO_SOON_MS, |_| false);
            lengths.push(holds.of(Profile::Performance) / 1000);
        }
        assert_eq!(lengths, [15, 30, 60, 120, 240, 480, 480]);
        assert_eq!(holds.of(Profile::Balanced), BASE_HOLD_MS, "the other profile keeps its own");
    }

    #[test]
    fn a_late_fall_costs_nothing_and_ten_minutes_make_good() {
        let mut holds = Holds::default();
        holds.climbed(Profile::Balanced, 0);
        holds.fell(Profile::Balanced, TOO_SOON_MS + 1, |_| false);
        assert_eq!(holds.of(Profile::Balanced), BASE_HOLD_MS);
        holds.climbed(Profile::Balanced, 1_000_000);
        holds.fell(Profile::Balanced, 1_000_001, |_| false);
        assert_eq!(holds.of(Profile::Balanced), 2 * BASE_HOLD_MS);
        assert_eq!(
            holds.of(Profile::Performance),
            2 * BASE_HOLD_MS,
            "what balanced did not stand, it would not either"
        );
        holds.survived(Profile::Performance, 0, SURVIVED_MS - 1);
        assert_eq!(holds.of(Profile::Performance), 2 * BASE_HOLD_MS);
        holds.survived(Profile::Performance, 0, SURVIVED_MS);
        assert_eq!(
            holds,
            Holds([Hold { length_ms: BASE_HOLD_MS, ..holds.0[0] }, Hold { length_ms: BASE_HOLD_MS, ..holds.0[1] }])
        );
    }

    #[test]
    fn a_clock_that_is_interrupted_starts_again() {
        let mut clocks = UpClocks::default();
        assert_eq!(clocks.tick(Profile::Performance, true, 1000), Some(0));
        assert_eq!(clocks.tick(Profile::Performance, true, 9000), Some(8000));
        assert!(clocks.running());
        assert_eq!(clocks.tick(Profile::Performance, false, 9500), None);
        assert!(!clocks.running());
        assert_eq!(clocks.tick(Profile::Performance, true, 10_000), Some(0));
        assert_eq!(clocks.tick(Profile::CpuFallback, true, 10_000), None, "the CPU needs no clock");
    }
}
