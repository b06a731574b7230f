//! What the worker says: frames on its standard output, and heartbeats while it is at work.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::{io, thread};

use workly_engine::frame;
use workly_engine::protocol::{Envelope, HEARTBEAT_INTERVAL, OWN_ID, Reply};

use crate::process::leave;

/// The way out; shared by the threads of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pipe: Mutex<File>,
    progress: AtomicU64,
    at_work: Mutex<bool>,
    changed: Condvar,
}

impl Outbox {
    /// Takes over a pipe and starts the heartbeat.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn new(pipe: File) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            pipe: Mutex::new(pipe),
            progress: AtomicU64::new(0),
            at_work: Mutex::new(false),
            changed: Condvar::new(),
        });
        let outbox = Self(shared);
        let beating = outbox.clone();
        thread::Builder::new().name("heartbeat".into()).spawn(move || beating.beat())?;
        Ok(outbox)
    }

    /// Says something. Where nobody listens any more the process ends: its parent is gone.
    pub(crate) fn say(&self, id: u64, reply: Reply) {
        self.progress();
        let mut pipe = self.0.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if frame::write(&mut *pipe, &Envelope { id, reply }).is_err() {
            leave();
        }
    }

    /// Notes that a piece of work is done.
    pub(crate) fn progress(&self) {
        self.0.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Heartbeats go out for as long as the returned guard lives.
    pub(crate) fn work(&self) -> AtWork<'_> {
        self.set_at_work(true);
        AtWork(self)
    }

    fn set_at_work(&self, at_work: bool) {
        *self.0.at_work.lock().unwrap_or_else(PoisonError::into_inner) = at_work;
        self.0.changed.notify_one();
    }

    fn beat(&self) {
        let mut at_work = self.0.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            at_work = if *at_work {
                self.0.changed.wait_timeout(at_work, HEARTBEAT_INTERVAL).unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.0.changed.wait(at_work).unwrap_or_else(PoisonError::into_inner)
            };
            if *at_work {
                let progress = self.0.progress.load(Ordering::Relaxed);
                let mut pipe = self.0.pipe.lock().unwrap_or_else(PoisonError::into_inner);
                if frame::write(&mut *pipe, &Envelope { id: OWN_ID, reply: Reply::Heartbeat { progress } }).is_err() {
                    leave();
                }
            }
        }
    }
}

/// The worker is at work while this lives.
#[derive(Debug)]
pub(crate) struct AtWork<'a>(&'a Outbox);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.set_at_work(false);
    }
}
