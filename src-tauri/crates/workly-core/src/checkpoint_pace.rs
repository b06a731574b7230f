//! When the KV cache of an answer is saved while it is written, so that a lost worker costs the tokens since and no more.

/// Part of the time that saving may take.
const SHARE: f64 = 0.02;
/// Shortest time between two checkpoints, seconds: as much as a lost worker may cost for nothing.
const EVERY: f64 = 0.25;

/// The pace of checkpoints: as often as their cost allows. A checkpoint saves what the one before lacks, so its cost grows
/// with the time since, not with the conversation; and one that took long is followed by a long pause.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CheckpointPace {
    /// Seconds of work since the last checkpoint.
    worked: f64,
    /// Seconds that the last one took.
    cost: f64,
}

impl CheckpointPace {
    /// Takes note of seconds of work.
    pub fn worked(&mut self, seconds: f64) {
        self.worked += seconds.max(0.0);
    }

    /// Whether a checkpoint may be made now.
    pub fn is_due(&self) -> bool {
        self.worked >= EVERY.max(self.cost / SHARE)
    }

    /// Takes note of a checkpoint and the seconds it took. What an early one took beyond its share is worked off.
    pub fn saved(&mut self, seconds: f64) {
        let owed = (self.cost - self.worked * SHARE).max(0.0);
        *self = Self { worked: 0.0, cost: seconds.max(0.0) + owed };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cheap_checkpoint_is_made_four_times_a_second() {
        let mut pace = CheckpointPace::default();
        pace.worked(0.2);
        assert!(!pace.is_due());
        pace.worked(0.1);
        assert!(pace.is_due());
        pace.saved(0.000_3);
        pace.worked(0.24);
        assert!(!pace.is_due());
        pace.worked(0.01);
        assert!(pace.is_due());
    }

    #[test]
    fn one_that_took_long_is_followed_by_a_long_pause() {
        let mut pace = CheckpointPace::default();
        pace.saved(0.5);
        pace.worked(24.0);
        assert!(!pace.is_due());
        pace.worked(1.1);
        assert!(pace.is_due());
    }

    #[test]
    fn one_that_was_made_before_it_was_due_is_worked_off_as_well() {
        let mut pace = CheckpointPace::default();
        pace.saved(0.5);
        pace.worked(5.0);
        pace.saved(0.1);
        pace.worked(24.9);
        assert!(!pace.is_due(), "0.4 s of the first are still owed");
        pace.worked(0.2);
        assert!(pace.is_due());
    }

    proptest! {
        #[test]
        fn saving_takes_two_percent_of_the_time_at_the_most(
            steps in prop::collection::vec((0.000_1_f64..0.5, 0.0_f64..0.3, 0.0_f64..0.001), 1..2_000),
        ) {
            let mut pace = CheckpointPace::default();
            let (mut worked, mut saved, mut last) = (0.0, 0.0, 0.0);
            for (step, fixed, for_each_second) in steps {
                pace.worked(step);
                worked += step;
                if pace.is_due() {
                    last = fixed + for_each_second * step;
                    saved += last;
                    pace.saved(last);
                }
            }
            // The last one is still to be worked off.
            prop_assert!(saved - last <= worked * SHARE + 1e-9, "{saved} of {worked}");
        }
    }
}
