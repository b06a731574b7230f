//! What a test, or a strange machine, may want otherwise.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How transfers behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// Transfers under way at the same time; others queue.
    pub at_once: usize,
    /// How long a host may say nothing.
    pub patience: Duration,
    /// Bytes per second, over the time of `patience`, below which a host is given up as if it said nothing.
    pub slowest: u64,
    /// The first wait before a lost connection is tried again; it doubles each time.
    pub first_wait: Duration,
    /// The longest of these waits.
    pub longest_wait: Duration,
    /// Attempts in a row without a new byte before it is given up.
    pub attempts: u32,
    /// Bytes of the disk that are left to others.
    pub keep_free: u64,
    /// Bytes that are free on the disk of a folder.
    pub free_space: FreeSpace,
}

type Ask = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

/// Asks how many bytes are free on the disk of a folder.
#[derive(Clone)]
pub struct FreeSpace(Arc<Ask>);

impl FreeSpace {
    /// Asks this function.
    pub fn new(ask: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Bytes that are free; `None` where nobody knows.
    pub(super) fn of(&self, folder: &Path) -> Option<u64> {
        (self.0)(folder).inspect_err(|error| tracing::debug!(%error, "the disk does not say how much is free")).ok()
    }
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FreeSpace")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            at_once: 3,
            patience: Duration::from_secs(30),
            slowest: 1_000,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(1),
            attempts: 8,
            keep_free: 256 << 20,
            free_space: FreeSpace::new(|folder| fs4::available_space(folder)),
        }
    }
}

impl Options {
    /// Bytes that a host must send within the time of `patience`; at least one.
    pub(super) fn enough(&self) -> u64 {
        ((self.slowest as f64 * self.patience.as_secs_f64()) as u64).max(1)
    }

    /// How long to wait after so many attempts in a row, 1 or more; `chance` in 0..1 spreads them by a fifth.
    pub(super) fn wait(&self, attempts: u32, chance: f64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << (attempts - 1).min(16));
        doubled.min(self.longest_wait).mul_f64(0.8 + 0.4 * chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let options = Options::default();
        let seconds: Vec<f64> = (1..=8).map(|attempts| options.wait(attempts, 0.5).as_secs_f64()).collect();
        assert_eq!(seconds, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
        assert_eq!(options.wait(u32::MAX, 0.0), Duration::from_secs(48));
        assert!(options.wait(1, 0.0) < options.wait(1, 0.99));
    }

    #[test]
    fn the_disk_of_a_real_folder_says_how_much_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let free = Options::default().free_space;
        assert!(free.of(folder.path()).is_some_and(|bytes| bytes > 0));
        assert_eq!(free.of(&folder.path().join("nowhere")), None);
    }
}
