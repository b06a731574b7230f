//! A change of profile: the target worker is made ready while the old one goes on; then the answer moves.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use workly_core::problem::Problem;
use workly_core::profile::Profile;
use workly_core::wire::{AnswerSwitch, SwitchStrategy};

use crate::bring_up::Running;

/// A switch under way.
pub(crate) struct Switch {
    pub(crate) to: Profile,
    pub(crate) reason: String,
    pub(crate) decided: Instant,
    pub(crate) target: Target,
}

/// The worker that takes over.
pub(crate) enum Target {
    BringingUp(Pin<Box<dyn Future<Output = Result<Running, Problem>> + Send>>),
    /// Ready; the old worker was asked to hand the answer over through this folder.
    Ready(Box<Running>, StateFolder),
}

/// A private folder for one saved KV cache, in memory where the system has a place for that; gone when dropped.
pub(crate) struct StateFolder(Option<TempDir>);

impl StateFolder {
    pub(crate) fn new() -> Self {
        let in_memory = Path::new("/dev/shm");
        let made = if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() };
        // Without one the tokens are computed anew.
        Self(made.inspect_err(|error| tracing::warn!("no folder for a saved state: {error}")).ok())
    }

    /// Where the KV cache goes.
    pub(crate) fn file(&self) -> PathBuf {
        self.0.as_ref().map(|folder| folder.path().join("state")).unwrap_or_default()
    }
}

/// An answer that has changed workers, while the figures come in.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) from: Profile,
    pub(crate) to: Profile,
    pub(crate) reason: String,
    /// Index of the new worker's first token, and the time since the old one's last.
    pub(crate) first_token: Option<(u32, Duration)>,
    /// From the decision to the end of the old worker.
    pub(crate) released: Option<Duration>,
}

impl Handover {
    /// What is told of it, once all figures are known.
    pub(crate) fn complete(&self) -> Option<AnswerSwitch> {
        let (at_token, gap) = self.first_token?;
        let released = self.released?;
        Some(AnswerSwitch {
            from: self.from,
            to: self.to,
            reason: self.reason.clone(),
            strategy: if self.to.uses_gpu() { SwitchStrategy::SideBySide } else { SwitchStrategy::Standby },
            at_token,
            gap_ms: gap.as_secs_f64() * 1_000.0,
            state_bytes: None,
            saved_in_ms: None,
            restored_in_ms: None,
            vram_released_ms: self.from.uses_gpu().then_some(released.as_secs_f64() * 1_000.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handover_is_told_once_the_first_token_is_there_and_the_old_worker_is_gone() {
        let mut handover = Handover {
            from: Profile::Performance,
            to: Profile::CpuFallback,
            reason: "asked for".to_owned(),
            first_token: Some((20, Duration::from_millis(30))),
            released: None,
        };
        assert_eq!(handover.complete(), None);
        handover.released = Some(Duration::from_millis(200));
        let switch = handover.complete().unwrap();
        assert_eq!((switch.at_token, switch.strategy), (20, SwitchStrategy::Standby));
        assert!((switch.gap_ms - 30.0).abs() < 1e-9);
        assert_eq!(switch.vram_released_ms, Some(200.0));
    }

    #[test]
    fn no_video_memory_is_released_when_a_cpu_worker_ends() {
        let handover = Handover {
            from: Profile::CpuFallback,
            to: Profile::Performance,
            reason: String::new(),
            first_token: Some((1, Duration::ZERO)),
            released: Some(Duration::ZERO),
        };
        assert_eq!(handover.complete().unwrap().vram_released_ms, None);
    }
}
