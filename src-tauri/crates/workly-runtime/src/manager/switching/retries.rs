//! How often a worker that refuses is tried again, and after which pauses. Pure: time is somebody else's.

use std::time::Duration;

/// Pauses before the next try, longer each time; after the last one no more are made.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(15),
];

/// Refusals in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Retries {
    refusals: usize,
}

impl Retries {
    /// A worker refused: how long to wait until the next is tried; none where it was tried often enough.
    pub(crate) fn refused(&mut self) -> Option<Duration> {
        let pause = PAUSES.get(self.refusals).copied();
        self.refusals += 1;
        pause
    }

    /// A worker came up, or the user wants it tried anew.
    pub(crate) const fn reset(&mut self) {
        self.refusals = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_come_to_an_end() {
        let mut retries = Retries::default();
        let pauses: Vec<_> = std::iter::from_fn(|| retries.refused()).collect();
        assert_eq!(pauses.len(), PAUSES.len());
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(retries.refused(), None, "and stays there");
        retries.reset();
        assert_eq!(retries.refused(), Some(PAUSES[0]));
    }
}
