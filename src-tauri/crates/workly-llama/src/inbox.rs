//! What the worker is told: a thread reads it, so that a cancel is heard while something else runs.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use serde_json::Value;
use workly_core::problem::{Problem, ProblemCode};
use workly_engine::frame;
use workly_engine::protocol::{Command, Reply, Request};

use crate::outbox::Outbox;
use crate::worker::leave;

/// The commands still to be done, and which of them were cancelled.
#[derive(Debug)]
pub(crate) struct Inbox {
    requests: mpsc::Receiver<Request>,
    cancelled: Cancelled,
}

/// Ids of requests that were cancelled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancelled(Arc<Mutex<HashSet<u64>>>);

impl Cancelled {
    pub(crate) fn contains(&self, id: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    fn insert(&self, id: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }
}

impl Inbox {
    /// Starts reading.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn new(pipe: impl Read + Send + 'static, outbox: Outbox) -> io::Result<Self> {
        let (sender, requests) = mpsc::channel();
        let cancelled = Cancelled::default();
        let shared = cancelled.clone();
        thread::Builder::new().name("inbox".into()).spawn(move || read(pipe, &sender, &shared, &outbox))?;
        Ok(Self { requests, cancelled })
    }

    /// Waits for the next command. The process ends when there will be none.
    pub(crate) fn next(&self) -> Request {
        self.requests.recv().unwrap_or_else(|_| leave())
    }

    pub(crate) const fn cancelled(&self) -> &Cancelled {
        &self.cancelled
    }
}

fn read(mut pipe: impl Read, requests: &mpsc::Sender<Request>, cancelled: &Cancelled, outbox: &Outbox) {
    loop {
        // The end of the stream, or something that is no frame: either way nobody sane is at the other end.
        let Ok(Some(value)) = frame::read::<Value>(&mut pipe) else { leave() };
        let id = value.get("id").and_then(Value::as_u64).unwrap_or_default();
        match serde_json::from_value::<Request>(value) {
            Ok(Request { command: Command::Cancel { request }, .. }) => cancelled.insert(request),
            Ok(Request { id, command: Command::Ping }) => outbox.say(id, Reply::Pong),
            Ok(request) => {
                if requests.send(request).is_err() {
                    leave();
                }
            }
            Err(error) => outbox.say(
                id,
                Reply::Failed(
                    Problem::new(ProblemCode::Protocol, "This worker does not know that command.")
                        .with_details(error.to_string()),
                ),
            ),
        }
    }
}
