//! A change of profile: the target worker is made ready while the old one goes on; then the answer moves.

use std::future::pending;
use std::time::{Duration, Instant};

use workly_core::policy::ProfilePlan;
use workly_core::profile::Profile;
use workly_core::switch_plan::SwitchStrategy;

use crate::manager::answers::handover::Reason;
use crate::manager::waiting::Later;
use crate::manager::workers::card::Card;
use crate::manager::workers::startup::{Running, StartError};

/// How long a worker may take to save its state when the card must be free at once.
pub(crate) const EVACUATE_WITHIN: Duration = Duration::from_millis(250);

/// A worker that was brought up, or not; with the card where it was sized up on the way.
pub(crate) struct Arrival {
    pub(crate) result: Result<Running, StartError>,
    pub(crate) card: Option<Card>,
}

/// A worker being brought up. Dropping it ends what was started.
pub(crate) type Coming = Later<Arrival>;

/// A switch under way.
pub(crate) struct Switch {
    /// Where the model goes in the end.
    pub(crate) to: Profile,
    /// What it gets there.
    pub(crate) plan: ProfilePlan,
    pub(crate) reason: Reason,
    pub(crate) strategy: SwitchStrategy,
    pub(crate) decided: Instant,
    pub(crate) stage: Stage,
}

/// How far it is.
pub(crate) enum Stage {
    /// The memory of a worker that was left is still to come back.
    AwaitingMemory,
    /// A worker would not come up; the next one is started at this time.
    Pausing(tokio::time::Instant),
    /// The worker that takes over gets ready.
    Preparing {
        /// Its profile: on the way to a GPU profile it may be the CPU.
        profile: Profile,
        coming: Coming,
    },
    /// It is ready, and waits for what the present one has.
    HandingOver(Box<Running>),
    /// The present one was asked for what it has, and is ended at this time at the latest; nobody is ready yet.
    Evacuating(tokio::time::Instant),
}

impl Switch {
    /// Whether the present worker was asked for what it has, to be left after it.
    pub(crate) const fn awaits_present(&self) -> bool {
        matches!(self.stage, Stage::HandingOver(_) | Stage::Evacuating(_))
    }

    /// Whether a worker on the GPU is on its way up.
    pub(crate) fn loads_gpu(&self) -> bool {
        match &self.stage {
            Stage::Preparing { profile, .. } => profile.uses_gpu(),
            Stage::HandingOver(target) => target.profile.uses_gpu(),
            Stage::AwaitingMemory | Stage::Pausing(_) | Stage::Evacuating(_) => false,
        }
    }
}

/// What happened to a switch.
pub(crate) enum SwitchNews {
    /// The worker that takes over is there, or will never be.
    Arrived(Box<Arrival>),
    /// The present one has had its time to save its state.
    Overdue,
    /// The pause is over.
    Again,
}

/// Waits for the next thing to happen to the switch.
pub(crate) async fn news(switch: Option<&mut Switch>) -> SwitchNews {
    match switch.map(|switch| &mut switch.stage) {
        Some(Stage::Preparing { coming, .. }) => SwitchNews::Arrived(Box::new(coming.await)),
        Some(Stage::Evacuating(by)) => {
            tokio::time::sleep_until(*by).await;
            SwitchNews::Overdue
        }
        Some(Stage::Pausing(until)) => {
            tokio::time::sleep_until(*until).await;
            SwitchNews::Again
        }
        Some(Stage::AwaitingMemory | Stage::HandingOver(_)) | None => pending().await,
    }
}
