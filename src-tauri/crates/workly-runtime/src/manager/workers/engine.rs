//! The seam between the manager and what writes answers: start, generate, resume, hand over, stop, end.
//!
//! The local worker, a process of ours, is the only engine there is; starting one is `startup`'s. What an engine says
//! comes back through a [`Call`], whatever it is made of.

use std::fmt::Debug;
use std::path::PathBuf;

use workly_engine::end::WorkerEnd;
use workly_engine::protocol::{Command, GenerateRequest, ResumeRequest, UnfinishedAnswer};
use workly_engine::worker::{Call, Worker};

use crate::manager::waiting::Later;

/// How an engine goes on with an answer that another one began.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Resume {
    /// With the KV cache in the request's checkpoints; what they hold is not computed twice, and where they hold all of
    /// it the tokens go on as they would have.
    Checkpoints(UnfinishedAnswer),
    /// By computing the token ids anew; what was told stays, what follows may differ.
    Tokens(UnfinishedAnswer),
}

/// What writes answers. Dropping it ends it.
pub(crate) trait Engine: Debug + Send + Sync {
    /// Begins an answer.
    fn generate(&self, request: GenerateRequest) -> Call;
    /// Goes on with an answer that another engine began.
    fn resume(&self, request: GenerateRequest, how: Resume) -> Call;
    /// Asks it to give an answer up at the next token, with what its checkpoints under this path lack.
    fn hand_over(&self, call: &Call, state: PathBuf);
    /// Asks it to stop an answer; its last reply has the figures.
    fn stop(&self, call: &Call);
    /// Takes checkpoints over, for an answer that may come.
    fn restore(&self, state: PathBuf) -> Call;
    /// What its backends say of the cards.
    fn devices(&self) -> Call;
    /// Ends it at once.
    fn end(&self);
    /// Waits for its end.
    fn ended(&self) -> Later<WorkerEnd>;
}

impl Engine for Worker {
    fn generate(&self, request: GenerateRequest) -> Call {
        self.call(Command::Generate(request))
    }

    fn resume(&self, request: GenerateRequest, how: Resume) -> Call {
        // A worker sees by itself what the checkpoints hold.
        let (Resume::Checkpoints(answer) | Resume::Tokens(answer)) = how;
        self.call(Command::Resume(ResumeRequest { request, answer }))
    }

    fn hand_over(&self, call: &Call, state: PathBuf) {
        call.hand_over(state);
    }

    fn stop(&self, call: &Call) {
        call.cancel();
    }

    fn restore(&self, state: PathBuf) -> Call {
        self.call(Command::Restore { state })
    }

    fn devices(&self) -> Call {
        self.call(Command::Devices)
    }

    fn end(&self) {
        self.kill();
    }

    fn ended(&self) -> Later<WorkerEnd> {
        Box::pin(self.end_to_come())
    }
}
