//! Why a GPU cannot be read, and how long to leave it alone then.

use std::time::Duration;

/// Why a GPU cannot be read. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The vendor's library is not there: mostly there is no such card.
    #[error("no NVIDIA driver was found ({detail}); with an NVIDIA card, install its driver")]
    LibraryMissing {
        /// What the loader said.
        detail: String,
    },
    /// A library was found that is not what its name says.
    #[error("the NVIDIA library lacks a function it must have ({detail}); install the driver anew")]
    LibraryUnusable {
        /// The function.
        detail: String,
    },
    /// The library is there and the driver is not running.
    #[error("the NVIDIA driver is not loaded; restart the computer, or install the driver anew")]
    DriverNotLoaded,
    /// The driver was updated under the running system.
    #[error("the NVIDIA driver and its library are of different versions; restart the computer to finish the update")]
    VersionMismatch,
    /// This user may not ask.
    #[error("this user may not read the GPU; allow access to the GPU's device files")]
    NoPermission,
    /// The card does not tell what was asked.
    #[error("this GPU does not report its memory; choose a fixed profile")]
    NotSupported,
    /// The card fell off the bus, was pulled out, or went away in a suspend.
    #[error("the GPU is gone; Workly looks for it again every few seconds")]
    Lost,
    /// The card hangs until it is reset.
    #[error("the GPU must be reset; restart the computer if it does not come back by itself")]
    ResetRequired,
    /// The driver does not know the handle: it was shut down behind our back.
    #[error("the GPU driver was restarted; Workly connects again")]
    Uninitialized,
    /// The driver could not answer this once.
    #[error("the GPU driver did not answer this time ({detail}); Workly asks again")]
    Transient {
        /// What it said.
        detail: String,
    },
    /// An error of a driver newer than Workly.
    #[error("the GPU driver reported error {0}, which Workly does not know; Workly asks again")]
    UnknownCode(u32),
    /// The code that reads the card failed: a defect of Workly's.
    #[error("Workly failed while it read the GPU ({detail}); it tries again, and a report of this is welcome")]
    Panicked {
        /// What the failure said.
        detail: String,
    },
    /// The call has not come back for a while.
    #[error("the GPU driver does not answer; the figures are old")]
    Blocked,
    /// A file that should tell a value does not.
    #[error("{path} cannot be read ({detail}); choose a fixed profile if this stays")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        detail: String,
    },
    /// There is no card to watch.
    #[error("no GPU to watch: {reason}")]
    NoGpu {
        /// Why not, for each kind of card looked for.
        reason: String,
    },
}

/// What an error means for the handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Ask again with the same handle.
    Passing,
    /// The handle is worth nothing any more: make a new one soon.
    Broken,
    /// It will not get better by itself: look again now and then.
    Standing,
}

impl ProbeError {
    /// Whether the card is still there, as far as is known, and will be asked again as before.
    pub const fn is_passing(&self) -> bool {
        matches!(self.severity(), Severity::Passing)
    }

    pub(crate) const fn severity(&self) -> Severity {
        match self {
            Self::Transient { .. } | Self::UnknownCode(_) | Self::Blocked => Severity::Passing,
            Self::Lost
            | Self::ResetRequired
            | Self::Uninitialized
            | Self::Panicked { .. }
            | Self::Unreadable { .. } => Severity::Broken,
            Self::LibraryMissing { .. }
            | Self::LibraryUnusable { .. }
            | Self::DriverNotLoaded
            | Self::VersionMismatch
            | Self::NoPermission
            | Self::NotSupported
            | Self::NoGpu { .. } => Severity::Standing,
        }
    }

    /// How long to leave the cards alone before looking for them again.
    pub(crate) const fn retry_after(&self) -> Duration {
        match self.severity() {
            Severity::Passing | Severity::Broken => Duration::from_secs(5),
            Severity::Standing => Duration::from_mins(1),
        }
    }
}
