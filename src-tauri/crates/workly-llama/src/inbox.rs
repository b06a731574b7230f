//! What the worker is told: a thread reads it, so that a cancel is heard while something else runs.

use std::io::{self, Read};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;
use workly_core::problem::{Problem, ProblemCode};
use workly_engine::frame;
use workly_engine::protocol::{Command, Reply, Request};

use crate::devices;
use crate::interruptions::{Interruption, Interruptions};
use crate::outbox::Outbox;
use crate::process::leave;

/// The commands still to be done, and which of them were cancelled.
#[derive(Debug)]
pub(crate) struct Inbox {
    requests: mpsc::Receiver<Request>,
    interruptions: Interruptions,
}

impl Inbox {
    /// Starts reading.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn new(pipe: impl Read + Send + 'static, outbox: Outbox) -> io::Result<Self> {
        let (sender, requests) = mpsc::channel();
        let interruptions = Interruptions::default();
        let shared = interruptions.clone();
        thread::Builder::new().name("inbox".into()).spawn(move || read(pipe, &sender, &shared, &outbox))?;
        Ok(Self { requests, interruptions })
    }

    /// Waits for the next command. The process ends when there will be none.
    pub(crate) fn next(&self) -> Request {
        self.requests.recv().unwrap_or_else(|_| leave())
    }

    pub(crate) const fn interruptions(&self) -> &Interruptions {
        &self.interruptions
    }
}

fn read(mut pipe: impl Read, requests: &mpsc::Sender<Request>, interruptions: &Interruptions, outbox: &Outbox) {
    loop {
        // The end of the stream, or something that is no frame: either way nobody sane is at the other end.
        let Ok(Some(value)) = frame::read::<Value>(&mut pipe) else { leave() };
        let id = value.get("id").and_then(Value::as_u64).unwrap_or_default();
        match serde_json::from_value::<Request>(value) {
            Ok(Request { command: Command::Cancel { request }, .. }) => {
                interruptions.note(request, Interruption::Cancel);
            }
            Ok(Request { command: Command::HandOver { request, state }, .. }) => {
                interruptions.note(request, Interruption::HandOver(state));
            }
            Ok(Request { id, command: Command::Ping }) => outbox.say(id, Reply::Pong),
            Ok(Request { id, command: Command::Devices }) => outbox.say(id, Reply::Devices { devices: devices::all() }),
            Ok(request) => {
                interruptions.opened(request.id);
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
