//! A change of profile: the target worker is made ready while the old one goes on; then the answer moves.

use std::future::pending;
use std::pin::Pin;
use std::time::{Duration, Instant};

use workly_core::policy::ProfilePlan;
use workly_core::profile::Profile;
use workly_core::switch_plan::SwitchStrategy;

use super::handover::{Reason, StateFolder};
use crate::bring_up::{Running, Setback};
use crate::card::Card;

/// How long a worker may take to save its state when the card must be free at once.
pub(super) const EVACUATE_WITHIN: Duration = Duration::from_millis(250);

/// A worker that was brought up, or not; with the card where it was sized up on the way.
pub(super) struct Arrival {
    pub(super) result: Result<Running, Setback>,
    pub(super) card: Option<Card>,
}

/// A worker being brought up. Dropping it ends what was started.
pub(super) type Coming = Pin<Box<dyn Future<Output = Arrival> + Send>>;

/// A switch under way.
pub(super) struct Switch {
    /// Where the model goes in the end.
    pub(super) to: Profile,
    /// What it gets there.
    pub(super) plan: ProfilePlan,
    pub(super) reason: Reason,
    pub(super) strategy: SwitchStrategy,
    pub(super) decided: Instant,
    pub(super) stage: Stage,
}

/// How far it is.
pub(super) enum Stage {
    /// The memory of a worker that was left is still to come back.
    AwaitingMemory,
    /// The worker that takes over gets ready.
    Preparing {
        /// Its profile: on the way to a GPU profile it may be the CPU.
        profile: Profile,
        coming: Coming,
    },
    /// It is ready; the present one was asked to hand the answer over through this folder.
    HandingOver(Box<Running>, StateFolder),
    /// The present one was asked to hand the answer over and will be ended at this time at the latest; nobody is ready
    /// yet.
    Evacuating(StateFolder, tokio::time::Instant),
}

impl Switch {
    /// Whether the present worker was asked for what it has, to be left after it.
    pub(super) const fn awaits_present(&self) -> bool {
        matches!(self.stage, Stage::HandingOver(..) | Stage::Evacuating(..))
    }

    /// Whether a worker on the GPU is on its way up.
    pub(super) fn loads_gpu(&self) -> bool {
        match &self.stage {
            Stage::Preparing { profile, .. } => profile.uses_gpu(),
            Stage::HandingOver(target, _) => target.profile.uses_gpu(),
            Stage::AwaitingMemory | Stage::Evacuating(..) => false,
        }
    }
}

/// What happened to a switch.
pub(super) enum SwitchNews {
    /// The worker that takes over is there, or will never be.
    Arrived(Box<Arrival>),
    /// The present one has had its time to save its state.
    Overdue,
}

/// Waits for the next thing to happen to the switch.
pub(super) async fn news(switch: Option<&mut Switch>) -> SwitchNews {
    match switch.map(|switch| &mut switch.stage) {
        Some(Stage::Preparing { coming, .. }) => SwitchNews::Arrived(Box::new(coming.await)),
        Some(Stage::Evacuating(_, by)) => {
            tokio::time::sleep_until(*by).await;
            SwitchNews::Overdue
        }
        Some(Stage::AwaitingMemory | Stage::HandingOver(..)) | None => pending().await,
    }
}
