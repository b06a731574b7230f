//! Memory of the card that was given back and is not seen to be free yet: drivers report it late.

use std::time::{Duration, Instant};

use workly_core::reading::Reading;

/// How long memory that was given back is waited for.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);
/// Share of it that must be back.
const SETTLED_SHARE: f64 = 0.8;

/// Memory on its way back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settling {
    until: Instant,
    used_before: u64,
    expected: u64,
}

impl Settling {
    /// `before`: a reading with the memory still taken; `own`: how much of it was ours, bytes.
    pub(crate) fn new(before: &Reading, own: u64) -> Self {
        Self { until: Instant::now() + SETTLE_WITHIN, used_before: before.vram_used, expected: own }
    }

    /// Whether the memory is back, or has been waited for long enough. `reading`: the card now, where it can be seen.
    pub(crate) fn is_over(&self, reading: Option<&Reading>) -> bool {
        let Some(reading) = reading else { return true };
        let back = self.used_before.saturating_sub(reading.vram_used) as f64;
        back >= self.expected as f64 * SETTLED_SHARE || Instant::now() >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_back_once_most_of_it_is_seen_free() {
        let used = |vram_used| Reading { vram_total: 1_000, vram_used, ..Reading::default() };
        let settling = Settling::new(&used(700), 500);
        assert!(!settling.is_over(Some(&used(700))));
        assert!(!settling.is_over(Some(&used(301))));
        assert!(settling.is_over(Some(&used(300))));
        assert!(settling.is_over(None), "where nobody sees the card there is nothing to wait for");
    }
}
