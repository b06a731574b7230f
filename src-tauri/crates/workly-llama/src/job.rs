//! A request at work: how to tell of it, and whether it is still wanted.

use workly_core::problem::Problem;
use workly_engine::protocol::Reply;

use crate::interruptions::{Interruption, Interruptions};
use crate::outbox::Outbox;

/// A request at work.
pub(crate) struct Job<'a> {
    pub(crate) id: u64,
    pub(crate) outbox: &'a Outbox,
    pub(crate) interruptions: &'a Interruptions,
}

/// Why work stopped short.
pub(crate) enum Halt {
    Interrupted(Interruption),
    /// The context is full.
    Full,
    Fault(Problem),
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Self {
        Self::Fault(problem)
    }
}

impl Job<'_> {
    pub(crate) fn say(&self, reply: Reply) {
        self.outbox.say(self.id, reply);
    }

    /// Tells tokens whose text is certain.
    pub(crate) fn say_tokens(&self, tokens: &mut Vec<(u32, i32, String)>) {
        for (index, id, text) in tokens.drain(..) {
            self.say(Reply::Token { index, id, text });
        }
    }

    /// Tells how far the KV cache is saved.
    pub(crate) fn say_checkpoint(&self, tokens: usize, bytes: u64) {
        self.say(Reply::Checkpointed { tokens: u32::try_from(tokens).unwrap_or(u32::MAX), bytes });
    }

    /// Notes that a piece of work is done.
    pub(crate) fn progress(&self) {
        self.outbox.progress();
    }

    /// The same question where a handover waits for the piece of work.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.progress();
        self.interruptions.is_cancelled(self.id)
    }

    /// Asked from within a piece of work, which makes progress by that: whether the request is to be interrupted.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.progress();
        self.interruptions.any(self.id)
    }

    /// What the request is to be interrupted by, as a halt.
    pub(crate) fn check(&self) -> Result<(), Halt> {
        self.interruptions.of(self.id).map_or(Ok(()), |interruption| Err(Halt::Interrupted(interruption)))
    }

    /// The same where there is nothing yet that could be handed over.
    pub(crate) fn check_cancel(&self) -> Result<(), Halt> {
        if self.is_cancelled() { Err(Halt::Interrupted(Interruption::Cancel)) } else { Ok(()) }
    }
}
