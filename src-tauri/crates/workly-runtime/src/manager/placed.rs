//! The worker that answers, and those that were left.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use workly_core::reading::Reading;
use workly_engine::worker::Worker;

use crate::bring_up::Running;

/// How long memory that was given back is waited for.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);
/// Share of it that must be back.
const SETTLED_SHARE: f64 = 0.8;

/// A worker in its place.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) running: Running,
    /// Grows with each worker of this manager.
    pub(super) generation: u64,
    /// Since when it has run, milliseconds since 1970.
    pub(super) since: u64,
    /// Whether it has written a token.
    pub(super) has_written: bool,
}

/// Workers that were left and are not gone yet.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    tasks: JoinSet<Gone>,
    /// How many of them are on the GPU.
    pub(super) on_gpu: usize,
}

/// A worker that was left is gone.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) generation: u64,
    pub(super) was_on_gpu: bool,
    /// From the decision to its end.
    pub(super) after: Duration,
}

impl Leaving {
    /// Ends a worker; leaving it was `decided` then.
    pub(super) fn end(&mut self, worker: Worker, generation: u64, was_on_gpu: bool, decided: Instant) {
        worker.kill();
        self.on_gpu += usize::from(was_on_gpu);
        self.tasks.spawn(async move {
            worker.wait().await;
            Gone { generation, was_on_gpu, after: decided.elapsed() }
        });
    }

    /// Waits for the next one to be gone; for ever where there is none.
    pub(super) async fn next(&mut self) -> Gone {
        match self.tasks.join_next().await {
            Some(Ok(gone)) => {
                self.on_gpu -= usize::from(gone.was_on_gpu);
                gone
            }
            // The tasks only wait; they end with the runtime.
            Some(Err(_)) | None => std::future::pending().await,
        }
    }

    /// Waits until all are gone.
    pub(super) async fn all_gone(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Memory of the card that was given back and is not seen to be free yet: drivers report it late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settling {
    until: Instant,
    used_before: u64,
    expected: u64,
}

impl Settling {
    /// `before`: a reading with the memory still taken; `own`: how much of it was ours, bytes.
    pub(super) fn new(before: &Reading, own: u64) -> Self {
        Self { until: Instant::now() + SETTLE_WITHIN, used_before: before.vram_used, expected: own }
    }

    /// Whether the memory is back, or has been waited for long enough. `reading`: the card now, where it can be seen.
    pub(super) fn is_over(&self, reading: Option<&Reading>) -> bool {
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
