//! A running worker, as the rest of Workly sees it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch as watch_channel};

pub use crate::call::{Call, CallEvent};
use crate::call::{Instruction, WAITING_EVENTS, wait_for_end};
use crate::end::{Exit, WorkerEnd};
use crate::process::{self, wait_for_exit};
pub use crate::program::WorkerProgram;
use crate::protocol::{Command, OWN_ID};
use crate::supervision::Supervision;
pub use crate::watch::Patience;

/// The serial of the next worker of this process.
static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);

/// Waits until every worker of this program is gone, those that were dropped before they had said hello among them.
pub async fn none_there() {
    process::none_there().await;
}

/// A worker under supervision. Dropping it ends the process.
#[derive(Debug)]
pub struct Worker {
    instructions: mpsc::UnboundedSender<Instruction>,
    ended: watch_channel::Receiver<Option<WorkerEnd>>,
    exited: watch_channel::Receiver<Option<Exit>>,
    next_id: AtomicU64,
    process_id: u32,
    serial: u64,
}

impl Worker {
    /// Starts a worker and waits for its hello.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// How it ended, when it could not be started, said nothing in time, or spoke another protocol.
    pub async fn start(program: &WorkerProgram, patience: Patience) -> Result<Self, WorkerEnd> {
        let (instructions, received) = mpsc::unbounded_channel();
        let (tell_end, ended) = watch_channel::channel(None);
        let supervision = Supervision::start(program, patience, received, tell_end).await?;
        let (process_id, exited) = (supervision.process_id(), supervision.exited());
        tokio::spawn(supervision.run());
        let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
        Ok(Self { instructions, ended, exited, next_id: AtomicU64::new(OWN_ID + 1), process_id, serial })
    }

    /// Process id of the worker. The system may give it to another process once this one is gone.
    pub const fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Number of this worker, which no other worker of this program has or had.
    pub const fn serial(&self) -> u64 {
        self.serial
    }

    /// Gives the worker something to do.
    pub fn call(&self, command: Command) -> Call {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, events) = mpsc::channel(WAITING_EVENTS);
        // Where the supervision is over, the channel closes and the call reads the end from `ended`.
        let _ = self.instructions.send(Instruction::Call { id, command: Box::new(command), events: sender });
        let (instructions, ended) = (self.instructions.clone(), self.ended.clone());
        Call { id, worker_serial: self.serial, events, instructions, ended }
    }

    /// How the worker ended; `None` while it runs.
    pub fn ended(&self) -> Option<WorkerEnd> {
        self.ended.borrow().clone()
    }

    /// Waits until the worker counts as ended. A process that the system does not let go of is not waited for: then
    /// [`WorkerEnd::gone`] is `false`, and [`Worker::gone`] waits on.
    pub async fn wait(&self) -> WorkerEnd {
        wait_for_end(self.ended.clone()).await
    }

    /// The end to come, for whoever cannot keep the worker for as long as that takes.
    pub fn end_to_come(&self) -> impl Future<Output = WorkerEnd> + Send + use<> {
        wait_for_end(self.ended.clone())
    }

    /// Waits until the process is gone and the system has taken its memory back, however long that takes. The future
    /// outlives the worker.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let exited = self.exited.clone();
        async move {
            wait_for_exit(exited).await;
        }
    }

    /// Ends the process at once.
    pub fn kill(&self) {
        let _ = self.instructions.send(Instruction::Kill);
    }

    /// Asks the worker to stop, ends it after [`Patience::farewell`], and waits as [`Worker::wait`] does.
    pub async fn stop(&self) -> WorkerEnd {
        let _ = self.instructions.send(Instruction::Stop);
        self.wait().await
    }
}
