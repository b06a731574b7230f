//! The life of an answer: a typed state, and its transitions as a pure function.
//!
//! [`Life::after`] is the whole of it: what an answer becomes after an event, and what is to be done about it. It knows
//! workers by their number alone, so that what comes from any but the one that writes the answer changes nothing. No
//! clock and no I/O: the task that owns the answers carries the effects out, and says when somebody's time is over.
//!
//! ```text
//! Waiting ── given ─> Writing ── hand over ─> HandingOver
//!                        │  ^                     │
//!                        │  └──── given ── Parked <┘ (also from Writing, when its worker is gone)
//!                        └─ stop ─> Stopping
//! every state ── its end ─> Ended
//! ```

/// A worker's serial number: no two of this process have the same.
pub(crate) type WorkerId = u64;

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It waits for its turn, or for a model.
    Waiting,
    /// A worker writes it.
    Writing {
        /// The worker.
        worker: WorkerId,
        /// The worker has said nothing for a while.
        silent: bool,
    },
    /// The worker was asked to hand it over at the next token.
    HandingOver {
        /// The worker.
        worker: WorkerId,
        /// The worker has said nothing for a while.
        silent: bool,
    },
    /// It is between two workers.
    Parked {
        /// The worker it has left.
        left: WorkerId,
    },
    /// Whoever asked wants no more of it; the worker is given a moment to tell the figures.
    Stopping {
        /// The worker.
        worker: WorkerId,
    },
    /// Its end was told. Nothing follows.
    Ended,
}

/// What a worker said of an answer, or what became of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A token, or how far it is.
    Progress,
    /// It gives the answer up, to be written on elsewhere.
    HandedOver,
    /// The answer is complete.
    Done,
    /// The answer cannot be written, by any worker.
    Failed,
    /// The worker could not compute, or said what it must not; another one may do better.
    Fault,
    /// Nothing, for a while.
    Silent,
    /// Something again, after a silence.
    Resumed,
    /// The worker has ended.
    Died,
}

/// What happens to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// There is a worker that may write it.
    Given(WorkerId),
    /// The model moves, and the next worker is there; or the present one must go at once.
    HandOver,
    /// Its worker is left, heard out or not.
    Leave,
    /// Whoever asked for it wants no more of it.
    Stop,
    /// Whoever asked for it has gone away.
    HungUp,
    /// A worker that was told to stop has had its time to tell the figures.
    StopOverdue,
    /// There will be no worker for it.
    Refused,
    /// Workly ends.
    ShutDown,
    /// Something was heard of a worker.
    Heard(WorkerId, Heard),
}

/// What is to be done about it, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Give it to its worker, to begin it or to go on with it.
    Ask,
    /// Ask its worker to hand it over.
    AskHandOver,
    /// Ask its worker to stop.
    Cancel,
    /// Put it down as its worker handed it over.
    ParkAsHandedOver,
    /// Put it down as it was heard: its worker will say no more.
    ParkAsHeard,
    /// Pass on what was heard.
    Tell,
    /// Tell that it was stopped, with the figures that are known.
    TellStopped,
    /// Tell why there is no worker for it.
    TellRefused,
    /// End the worker that it had: it hangs, and nobody wants what it might still say.
    EndWorker,
}

use Effect::{Ask, AskHandOver, Cancel, EndWorker, ParkAsHandedOver, ParkAsHeard, Tell, TellRefused, TellStopped};

impl Life {
    /// The worker that writes it.
    pub(crate) const fn worker(self) -> Option<WorkerId> {
        match self {
            Self::Writing { worker, .. } | Self::HandingOver { worker, .. } | Self::Stopping { worker } => Some(worker),
            Self::Waiting | Self::Parked { .. } | Self::Ended => None,
        }
    }

    /// Whether it was begun and has not ended.
    pub(crate) const fn is_under_way(self) -> bool {
        !matches!(self, Self::Waiting | Self::Ended)
    }

    /// What it is after an event, and what is to be done.
    pub(crate) const fn after(self, event: Event) -> (Self, &'static [Effect]) {
        match (self, event) {
            // What has ended stays so.
            (Self::Ended, _) => (self, &[]),
            // What is being stopped wants no worker, and its end is no failure; what has no worker has none to wait for.
            (_, Event::ShutDown)
            | (Self::Stopping { .. }, Event::Refused | Event::Leave | Event::StopOverdue)
            | (Self::Waiting | Self::Parked { .. }, Event::Stop | Event::HungUp) => (Self::Ended, &[TellStopped]),
            (_, Event::Refused) => (Self::Ended, &[TellRefused]),

            (
                Self::Writing { silent: true, .. } | Self::HandingOver { silent: true, .. },
                Event::Stop | Event::HungUp,
            ) => (Self::Ended, &[TellStopped, EndWorker]),
            (Self::Writing { worker, .. } | Self::HandingOver { worker, .. }, Event::Stop | Event::HungUp) => {
                (Self::Stopping { worker }, &[Cancel])
            }

            (Self::Waiting | Self::Parked { .. }, Event::Given(worker)) => {
                (Self::Writing { worker, silent: false }, &[Ask])
            }
            (Self::Writing { worker, silent }, Event::HandOver) => {
                (Self::HandingOver { worker, silent }, &[AskHandOver])
            }
            (Self::Writing { worker, .. } | Self::HandingOver { worker, .. }, Event::Leave) => {
                (Self::Parked { left: worker }, &[ParkAsHeard])
            }

            (
                Self::Writing { worker, .. } | Self::HandingOver { worker, .. } | Self::Stopping { worker },
                Event::Heard(speaker, heard),
            ) => {
                if speaker == worker {
                    self.after_hearing(worker, heard)
                } else {
                    (self, &[])
                }
            }

            // Late, early, or said already.
            (Self::Waiting | Self::Parked { .. }, _)
            | (Self::Writing { .. } | Self::HandingOver { .. } | Self::Stopping { .. }, Event::Given(_))
            | (Self::Writing { .. } | Self::HandingOver { .. }, Event::StopOverdue)
            | (Self::HandingOver { .. } | Self::Stopping { .. }, Event::HandOver)
            | (Self::Stopping { .. }, Event::Stop | Event::HungUp) => (self, &[]),
        }
    }

    /// What it is after something was heard of the worker that writes it.
    const fn after_hearing(self, worker: WorkerId, heard: Heard) -> (Self, &'static [Effect]) {
        match (self, heard) {
            (_, Heard::Progress) => (self, &[Tell]),

            (Self::Stopping { .. }, Heard::HandedOver | Heard::Failed | Heard::Fault | Heard::Died) => {
                (Self::Ended, &[TellStopped])
            }
            (Self::Stopping { .. }, Heard::Silent) => (Self::Ended, &[TellStopped, EndWorker]),
            (Self::Stopping { .. }, Heard::Resumed) => (self, &[]),

            (_, Heard::Done | Heard::Failed) => (Self::Ended, &[Tell]),
            (_, Heard::HandedOver) => (Self::Parked { left: worker }, &[ParkAsHandedOver]),
            (_, Heard::Fault | Heard::Died) => (Self::Parked { left: worker }, &[ParkAsHeard]),
            (_, Heard::Silent) => (self.silent(true), &[Tell]),
            (_, Heard::Resumed) => (self.silent(false), &[Tell]),
        }
    }

    /// The same with a worker that is silent, or not.
    const fn silent(self, silent: bool) -> Self {
        match self {
            Self::Writing { worker, .. } => Self::Writing { worker, silent },
            Self::HandingOver { worker, .. } => Self::HandingOver { worker, silent },
            Self::Waiting | Self::Parked { .. } | Self::Stopping { .. } | Self::Ended => self,
        }
    }
}

#[cfg(test)]
mod tests;
