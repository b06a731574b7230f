//! Whether a host still sends in earnest: a byte now and then must not hold a transfer's place for ever.

use std::time::Duration;

/// What came in the present span of waiting. Time that our own disk takes does not count.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    received: u64,
}

impl Pace {
    /// How long the host may still take, of a span of `patience`.
    pub(super) fn left(&self, patience: Duration) -> Duration {
        patience.saturating_sub(self.waited)
    }

    /// So many bytes came after so long. With `enough` of them another span begins.
    pub(super) fn note(&mut self, waited: Duration, bytes: u64, enough: u64) {
        self.waited += waited;
        self.received += bytes;
        if self.received >= enough {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Seconds that are left after these pieces, of seconds and bytes each, where 1000 bytes are enough.
    fn left(pieces: &[(u64, u64)]) -> u64 {
        let mut pace = Pace::default();
        for (seconds, bytes) in pieces {
            pace.note(Duration::from_secs(*seconds), *bytes, 1000);
        }
        pace.left(PATIENCE).as_secs()
    }

    #[test]
    fn a_byte_now_and_then_is_not_enough() {
        assert_eq!(left(&[]), 30);
        assert_eq!(left(&[(10, 1), (10, 1)]), 10);
        assert_eq!(left(&[(29, 1), (29, 1)]), 0);
    }

    #[test]
    fn a_slow_line_that_goes_on_is() {
        assert_eq!(left(&[(10, 500), (10, 499)]), 10);
        assert_eq!(left(&[(10, 500), (10, 500)]), 30);
        assert_eq!(left(&[(29, 1000), (29, 1000), (5, 0)]), 25);
    }
}
