//! A running worker, as the rest of Workly sees it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch as watch_channel};

use crate::end::WorkerEnd;
use crate::protocol::{Command, OWN_ID, Reply};
use crate::supervision::{self, Order};
pub use crate::watch::Patience;

/// How to start a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerProgram {
    /// The program, usually `workly-cli`.
    pub program: PathBuf,
    /// Its arguments, `worker` first.
    pub arguments: Vec<OsString>,
    /// Environment variables added to our own.
    pub environment: Vec<(OsString, OsString)>,
}

/// A worker under supervision. Dropping it ends the process.
#[derive(Debug)]
pub struct Worker {
    orders: mpsc::UnboundedSender<Order>,
    ended: watch_channel::Receiver<Option<WorkerEnd>>,
    next_id: AtomicU64,
    process_id: u32,
}

/// What comes back from a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEvent {
    /// The worker replied. After a final reply nothing follows.
    Reply(Reply),
    /// The worker has been silent for [`Patience::silent`].
    Silent,
    /// The worker is back after a silence.
    Resumed,
    /// The worker ended. Nothing follows.
    Ended(WorkerEnd),
}

/// A command under way. Dropping it does not cancel the command.
#[derive(Debug)]
pub struct Call {
    id: u64,
    events: mpsc::UnboundedReceiver<CallEvent>,
    orders: mpsc::UnboundedSender<Order>,
    ended: watch_channel::Receiver<Option<WorkerEnd>>,
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
        let (orders, received_orders) = mpsc::unbounded_channel();
        let (tell_end, ended) = watch_channel::channel(None);
        let supervision = supervision::start(program, patience, received_orders, tell_end).await?;
        let process_id = supervision.process_id();
        tokio::spawn(supervision.run());
        Ok(Self { orders, ended, next_id: AtomicU64::new(OWN_ID + 1), process_id })
    }

    /// Process id of the worker.
    pub const fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Gives the worker something to do.
    pub fn call(&self, command: Command) -> Call {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, events) = mpsc::unbounded_channel();
        // Where the supervision is over, the channel closes and the call reads the end from `ended`.
        let _ = self.orders.send(Order::Call { id, command: Box::new(command), events: sender });
        Call { id, events, orders: self.orders.clone(), ended: self.ended.clone() }
    }

    /// How the worker ended; `None` while it runs.
    pub fn ended(&self) -> Option<WorkerEnd> {
        self.ended.borrow().clone()
    }

    /// Waits until the worker has ended.
    pub async fn wait(&self) -> WorkerEnd {
        wait_for_end(self.ended.clone()).await
    }

    /// The end to come, for whoever cannot keep the worker for as long as that takes.
    pub fn end_to_come(&self) -> impl Future<Output = WorkerEnd> + Send + use<> {
        wait_for_end(self.ended.clone())
    }

    /// Waits until the process is really gone.
    pub async fn gone(&self) {
        self.wait().await;
    }

    /// Ends the process at once.
    pub fn kill(&self) {
        let _ = self.orders.send(Order::Kill);
    }

    /// Asks the worker to stop, ends it after [`Patience::farewell`], and waits until it is gone.
    pub async fn stop(&self) -> WorkerEnd {
        let _ = self.orders.send(Order::Stop);
        self.wait().await
    }
}

impl Call {
    /// The next event.
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
        let _ = self.orders.send(Order::HandOver { request: self.id, state });
    }

    /// Asks the worker to stop this command; its final reply tells the rest.
    pub fn cancel(&self) {
        let _ = self.orders.send(Order::Cancel { request: self.id });
    }
}

async fn wait_for_end(mut ended: watch_channel::Receiver<Option<WorkerEnd>>) -> WorkerEnd {
    // The supervision always tells an end before it goes; only a runtime that is shutting down drops it earlier.
    let told = ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
    told.unwrap_or_else(supervision::forgotten)
}
