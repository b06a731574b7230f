//! The thread that owns the database, and the handle through which everyone else uses it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::chat::{ChatSnapshot, StoreNotice};
use workly_wire::monitor::DecisionEntry;

use super::store::Store;
use super::{Stored, backup, now_ms, opening};

/// How often it is looked whether a backup is due.
const LOOK_EVERY: Duration = Duration::from_hours(1);

type Job = Box<dyn FnOnce(&mut Keeper) + Send>;

/// The handle of the database's thread. When the last one is gone the thread ends.
#[derive(Debug, Clone)]
pub struct Conversations {
    jobs: mpsc::Sender<Job>,
}

struct Keeper {
    store: Store,
    notice: Option<StoreNotice>,
    /// When it was last looked whether a backup is due.
    looked: Option<Instant>,
}

impl Conversations {
    /// Opens the conversations in `folder` on a thread of their own; whoever asks before they are open waits.
    ///
    /// `None`, or a folder that cannot be written: they are kept in memory, and [`Self::snapshot`] says so.
    pub fn open(folder: Option<PathBuf>) -> Self {
        let (jobs, orders) = mpsc::channel::<Job>();
        let started = thread::Builder::new().name("conversations".to_owned()).spawn(move || keep(folder, &orders));
        if let Err(error) = started {
            tracing::error!("conversations are not available: {error}");
        }
        Self { jobs }
    }

    /// Does something with the store, on its thread.
    ///
    /// # Errors
    ///
    /// Those of `work`, as the window is told them.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Stored<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(|keeper| work(&mut keeper.store)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> Stored<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |keeper| drop(done.send(work(keeper))));
        let _ = self.jobs.send(job);
        match result.await {
            Ok(result) => result.map_err(Problem::from),
            Err(_) => Err(Problem::new(ProblemCode::StoreFailed, "Conversations are not available. Restart Workly.")),
        }
    }

    /// Does something without waiting for it; a failure is logged.
    pub fn later(&self, work: impl FnOnce(&mut Store) -> Stored<()> + Send + 'static) {
        let job: Job = Box::new(move |keeper| {
            if let Err(error) = work(&mut keeper.store) {
                tracing::error!("{error}");
            }
        });
        let _ = self.jobs.send(job);
    }

    /// All the chat page needs to draw itself for the first time.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn snapshot(&self) -> Result<ChatSnapshot, Problem> {
        self.run(|keeper| {
            Ok(ChatSnapshot {
                conversations: keeper.store.list()?,
                open: keeper.store.last_open()?,
                draft: keeper.store.draft_of_new()?,
                notice: keeper.notice.clone(),
            })
        })
        .await
    }

    /// Forgets what the user was told of the store; it is told once.
    pub fn dismiss_notice(&self) {
        let _ = self.jobs.send(Box::new(|keeper| keeper.notice = None));
    }

    /// Adds a change of profile to the switch log.
    pub fn record_switch(&self, entry: DecisionEntry) {
        self.later(move |store| store.record_switch(&entry));
    }

    /// The newest `limit` entries of the switch log, the newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn switches(&self, limit: u32) -> Result<Vec<DecisionEntry>, Problem> {
        self.with(move |store| store.switches(limit)).await
    }
}

fn keep(folder: Option<PathBuf>, orders: &mpsc::Receiver<Job>) {
    let opening::Opened { store, notice } = opening::open(folder.as_deref(), now_ms());
    // What lives in memory has no file to copy.
    let folder = folder.filter(|_| !matches!(notice, Some(StoreNotice::NotKept { .. })));
    let mut keeper = Keeper { store, notice, looked: None };
    loop {
        match orders.recv_timeout(LOOK_EVERY) {
            Ok(job) => job(&mut keeper),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(folder) = &folder {
            keeper.back_up_if_due(folder);
        }
    }
}

impl Keeper {
    /// Copies the database on a thread of its own, since that may take seconds.
    fn back_up_if_due(&mut self, folder: &Path) {
        // A busy hour looks once.
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let now = now_ms();
        if !backup::is_due(folder, now) || self.store.is_empty() {
            return;
        }
        let folder = folder.to_path_buf();
        let copying = thread::Builder::new().name("backup".to_owned()).spawn(move || {
            if let Err(error) = backup::back_up(&folder, now) {
                tracing::error!("the conversations could not be backed up: {error}");
            }
        });
        if let Err(error) = copying {
            tracing::error!("the conversations could not be backed up: {error}");
        }
    }
}
