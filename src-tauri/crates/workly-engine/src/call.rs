//! A command under way in a worker.

use std::path::PathBuf;

use tokio::sync::{mpsc, watch as watch_channel};

use crate::end::{Activity, Exit, Intent, WorkerEnd};
use crate::protocol::{Command, Reply};

/// Events of a call that may wait to be taken; then the worker has to wait.
pub(crate) const WAITING_EVENTS: usize = 256;

/// What comes back from a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEvent {
    /// The worker replied. After a final reply nothing follows.
    Reply(Reply),
    /// The worker has been silent for [`Patience::silent`](crate::worker::Patience::silent).
    Silent,
    /// The worker is back after a silence.
    Resumed,
    /// The worker ended. Nothing follows.
    Ended(WorkerEnd),
}

/// What handles of a worker ask of its supervision.
#[derive(Debug)]
pub(crate) enum Instruction {
    Call { id: u64, command: Box<Command>, events: mpsc::Sender<CallEvent> },
    Cancel { request: u64 },
    HandOver { request: u64, state: PathBuf },
    Stop,
    Kill,
}

/// A command under way. Dropping it does not cancel the command.
///
/// Its events wait until they are taken, up to a limit; past it the worker is made to wait, without being blamed.
#[derive(Debug)]
pub struct Call {
    pub(crate) id: u64,
    pub(crate) worker_serial: u64,
    pub(crate) events: mpsc::Receiver<CallEvent>,
    pub(crate) instructions: mpsc::UnboundedSender<Instruction>,
    pub(crate) ended: watch_channel::Receiver<Option<WorkerEnd>>,
}

impl Call {
    /// [`Worker::serial`](crate::worker::Worker::serial) of the worker that was called.
    pub const fn worker_serial(&self) -> u64 {
        self.worker_serial
    }

    /// The next event. Dropping the future loses none.
    pub async fn next(&mut self) -> CallEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => CallEvent::Ended(wait_for_end(self.ended.clone()).await),
        }
    }

    /// Waits for the final reply, letting others go by.
    ///
    /// # Errors
    ///
    /// How the worker ended, if it ended first.
    pub async fn last(mut self) -> Result<Reply, WorkerEnd> {
        loop {
            match self.next().await {
                CallEvent::Reply(reply) if reply.is_final() => return Ok(reply),
                CallEvent::Ended(end) => return Err(end),
                _ => {}
            }
        }
    }

    /// Asks the worker to hand this answer over at the next token boundary, with its KV cache in the file `state`.
    pub fn hand_over(&self, state: PathBuf) {
        let _ = self.instructions.send(Instruction::HandOver { request: self.id, state });
    }

    /// Asks the worker to stop this command; its final reply tells the rest.
    pub fn cancel(&self) {
        let _ = self.instructions.send(Instruction::Cancel { request: self.id });
    }
}

pub(crate) async fn wait_for_end(mut ended: watch_channel::Receiver<Option<WorkerEnd>>) -> WorkerEnd {
    // The supervision always tells an end before it goes; only a runtime that is shutting down drops it earlier.
    let told = ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
    told.unwrap_or_else(|| WorkerEnd::classify(Exit::default(), &Intent::Asked, Activity::Idle, String::new()))
}
