//! The thread that holds the drivers, and the way to ask it without waiting on it.
//!
//! NVML wants its handle on one thread, and a driver may block for as long as it likes. So there is one thread, one
//! question at a time, and a caller that can turn to other things before the answer comes.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use workly_core::device::{Device, DeviceWish};
use workly_core::reading::ProcessUse;

use crate::error::ProbeError;
use crate::watcher::{Sample, Want, Watcher};

/// A question to the thread.
#[derive(Debug)]
pub enum Request {
    /// Look at the card.
    Sample {
        /// What to read.
        want: Want,
        /// What time it is.
        now: Instant,
    },
    /// List the processes on the card.
    Processes {
        /// Whether a model is on the card.
        model_on_gpu: bool,
        /// What time it is.
        now: Instant,
    },
    /// Choose the card anew.
    Wish {
        /// Which card.
        wish: DeviceWish,
        /// What devices a GPU worker offers; empty while none has reported.
        backend: Vec<Device>,
    },
    /// Let go of every driver: the computer woke from a suspend.
    Release,
}

/// What the thread answers.
#[derive(Debug)]
pub enum Answer {
    /// To [`Request::Sample`].
    Sample(Sample),
    /// To [`Request::Processes`].
    Processes(Result<Vec<ProcessUse>, ProbeError>),
    /// To the others.
    Done,
}

#[derive(Debug, Default)]
struct Desk {
    request: Option<Request>,
    answer: Option<Answer>,
    busy: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    desk: Mutex<Desk>,
    asked: Condvar,
    answered: Notify,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_answer(&self) -> Option<Answer> {
        let mut desk = self.desk();
        let answer = desk.answer.take()?;
        desk.busy = false;
        Some(answer)
    }
}

/// The thread that holds the drivers. It ends when this is dropped, after the call it is in.
#[derive(Debug)]
pub struct ProbeThread {
    shared: Arc<Shared>,
}

impl ProbeThread {
    /// Starts the thread; the watcher is made on it and stays there.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn spawn(make: impl FnOnce() -> Watcher + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("workly-gpu".into()).spawn(move || serve(&theirs, &mut make()))?;
        Ok(Self { shared })
    }

    /// Whether a question is open.
    pub fn is_busy(&self) -> bool {
        self.shared.desk().busy
    }

    /// Asks. The question is ignored while another is open: look at [`Self::is_busy`] first.
    pub fn ask(&mut self, request: Request) {
        let mut desk = self.shared.desk();
        if !desk.busy {
            desk.busy = true;
            desk.request = Some(request);
            self.shared.asked.notify_one();
        }
    }

    /// The answer to the open question; waits for ever where there is none. A wait given up loses nothing.
    pub async fn answer(&mut self) -> Answer {
        loop {
            let answered = self.shared.answered.notified();
            if let Some(answer) = self.shared.take_answer() {
                return answer;
            }
            answered.await;
        }
    }
}

impl Drop for ProbeThread {
    fn drop(&mut self) {
        // Not joined: it may be inside a driver that does not come back.
        self.shared.desk().closed = true;
        self.shared.asked.notify_one();
    }
}

fn serve(shared: &Shared, watcher: &mut Watcher) {
    while let Some(request) = next_request(shared) {
        let answer = answer(watcher, request);
        shared.desk().answer = Some(answer);
        shared.answered.notify_one();
    }
}

fn next_request(shared: &Shared) -> Option<Request> {
    let mut desk = shared.desk();
    loop {
        if desk.closed {
            return None;
        }
        if let Some(request) = desk.request.take() {
            return Some(request);
        }
        desk = shared.asked.wait(desk).unwrap_or_else(PoisonError::into_inner);
    }
}

fn answer(watcher: &mut Watcher, request: Request) -> Answer {
    match request {
        Request::Sample { want, now } => Answer::Sample(watcher.sample(want, now)),
        Request::Processes { model_on_gpu, now } => Answer::Processes(watcher.processes(model_on_gpu, now)),
        Request::Wish { wish, backend } => {
            watcher.wish(wish, backend);
            Answer::Done
        }
        Request::Release => {
            watcher.release();
            Answer::Done
        }
    }
}
