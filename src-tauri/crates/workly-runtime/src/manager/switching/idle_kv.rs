//! Taking the conversation along when the model moves between two answers, so that the next one need not be preceded by
//! computing all that was said before.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use workly_engine::protocol::Reply;
use workly_engine::worker::{Call, CallEvent};

use super::state_file::StateFile;
use crate::manager::workers::engine::Engine;

/// How long a worker may take to save what was said. Gigabytes take seconds; one that computes something it cannot be
/// called away from takes longer, and is not worth the wait.
const SAVE_WITHIN: Duration = Duration::from_secs(5);

/// A KV cache on its way between two answers.
#[derive(Debug)]
pub(crate) struct IdleKv {
    file: StateFile,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// The worker that is left saves it; it has until this time.
    Saving(Call, Instant),
    /// It is in the file; nobody has read it yet.
    Saved,
    /// The next worker reads it.
    Restoring(Call),
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdleKvNews {
    /// Nothing yet.
    Nothing,
    /// It is saved, or could not be: the worker can be left.
    PutDown {
        /// Whether there is anything to take up.
        saved: bool,
    },
    /// The next worker has it, or could not take it.
    TakenUp,
}

impl IdleKv {
    /// Asks the idle worker to save what was said so far.
    pub(crate) fn put_down(engine: &dyn Engine) -> Self {
        let file = StateFile::new();
        let call = engine.save(file.path());
        Self { file, step: Step::Saving(call, Instant::now() + SAVE_WITHIN) }
    }

    /// One that was saved already, of an answer that was stopped while it was handed over.
    pub(crate) const fn saved(file: StateFile) -> Self {
        Self { file, step: Step::Saved }
    }

    /// Whether the worker that is left is still saving; until it is done it begins no answer.
    pub(crate) const fn is_saving(&self) -> bool {
        matches!(self.step, Step::Saving(..))
    }

    /// Whether it is in the file and nobody has read it yet.
    pub(crate) const fn is_saved(&self) -> bool {
        matches!(self.step, Step::Saved)
    }

    /// Gives the next worker what was saved, before anything else is asked of it.
    pub(crate) fn take_up(&mut self, engine: &dyn Engine) {
        if matches!(self.step, Step::Saved) {
            self.step = Step::Restoring(engine.restore(self.file.path()));
        }
    }

    /// Whether a worker is at it.
    pub(crate) const fn is_under_way(&self) -> bool {
        matches!(self.step, Step::Saving(..) | Step::Restoring(_))
    }

    /// The next thing that comes of it; for ever where nobody is at it.
    pub(crate) async fn next(&mut self) -> IdleKvNews {
        match &mut self.step {
            Step::Saved => pending().await,
            Step::Restoring(call) => {
                let event = call.next().await;
                self.heard(&event)
            }
            Step::Saving(call, by) => {
                let event = tokio::select! {
                    event = call.next() => event,
                    // A worker that is busy with something else is not waited for: what it holds is computed anew.
                    () = sleep_until(*by) => return IdleKvNews::PutDown { saved: false },
                };
                self.heard(&event)
            }
        }
    }

    /// The worker that saves, or the one that restores, has said something.
    fn heard(&mut self, event: &CallEvent) -> IdleKvNews {
        match (&self.step, event) {
            (Step::Saving(..), CallEvent::Reply(Reply::Saved { state_bytes: Some(_) })) => {
                self.step = Step::Saved;
                IdleKvNews::PutDown { saved: true }
            }
            (Step::Saving(..), CallEvent::Reply(Reply::Saved { .. } | Reply::Failed(_)) | CallEvent::Ended(_)) => {
                IdleKvNews::PutDown { saved: false }
            }
            (Step::Restoring(_), CallEvent::Reply(Reply::Restored { .. } | Reply::Failed(_)) | CallEvent::Ended(_)) => {
                IdleKvNews::TakenUp
            }
            _ => IdleKvNews::Nothing,
        }
    }
}
