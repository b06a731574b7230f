//! The handle through which everyone uses the thread that owns the database.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::chat::{ChatSnapshot, StoreNotice};
use workly_wire::monitor::DecisionEntry;

use crate::answers::AnswerPart;
use crate::database::Store;
use crate::error::Stored;
use crate::keeper::{Job, Keeper, Place};
use crate::lock::FolderLock;
use crate::pending::Change;
use crate::shared::{Shared, locked};

/// How long a reader waits for what was written before; longer, and it reads what is there.
const READ_PATIENCE: Duration = Duration::from_millis(400);

/// The handle of the database's thread. When the last one is gone, everything is written, and the thread ends.
#[derive(Debug, Clone)]
pub struct Conversations {
    thread: Arc<Thread>,
}

#[derive(Debug)]
struct Thread {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        let _ = self.jobs.send(Box::new(Keeper::close));
    }
}

impl Conversations {
    /// Opens the conversations in `folder` on a thread of their own; whoever asks before they are open waits.
    ///
    /// `None`, a folder that cannot be written, one that another program works in, or a file that another program holds:
    /// they are kept in memory, [`Self::notices`] says so, and as soon as the file can be had all of it is kept.
    pub fn open(folder: Option<PathBuf>) -> Self {
        Self::start(folder.map_or(Place::Nowhere, Place::Folder))
    }

    /// Opens the conversations in a folder that this program has taken already.
    pub fn open_held(lock: FolderLock) -> Self {
        Self::start(Place::Held(lock))
    }

    fn start(place: Place) -> Self {
        let (jobs, orders) = mpsc::channel::<Job>();
        let shared = Arc::new(Shared::default());
        let (own, to_self) = (Arc::clone(&shared), jobs.clone());
        let started = thread::Builder::new()
            .name("conversations".to_owned())
            .spawn(move || Keeper::open(place, own, to_self).run(&orders));
        if let Err(error) = started {
            tracing::error!("conversations are not available: {error}");
            shared.notices.send_replace(vec![StoreNotice::NotKept { details: error.to_string() }]);
        }
        Self { thread: Arc::new(Thread { jobs, shared }) }
    }

    /// Changes something, on the store's thread, after everything that was to be kept before. It outlives the program when
    /// this returns. Where another program holds the file, this fails within a second.
    ///
    /// # Errors
    ///
    /// Those of `work`, as the window is told them.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Stored<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(|keeper| {
            keeper.flush()?;
            let result = work(keeper.store_mut());
            keeper.look_for_deleted();
            result
        })
        .await
    }

    /// Reads something, beside whatever is being written.
    ///
    /// # Errors
    ///
    /// Those of `work`, as the window is told them.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Stored<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let _ = tokio::time::timeout(READ_PATIENCE, self.run(|_| Ok(()))).await;
        let shared = Arc::clone(&self.thread.shared);
        let read = tokio::task::spawn_blocking(move || match &*locked(&shared.reader) {
            Some(store) => Ok(work(store)),
            None => Err(work),
        });
        match read.await {
            Ok(Ok(Err(error))) if error.is_damage() || error.is_damaged_index() => self.run(move |_| Err(error)).await,
            Ok(Ok(result)) => result.map_err(Problem::from),
            Ok(Err(work)) => self.run(|keeper| work(keeper.store_mut())).await,
            Err(_) => Err(not_available()),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> Stored<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |keeper| {
            let result = work(keeper);
            if let Err(error) = &result {
                keeper.heed(error);
            }
            let _ = done.send(result);
        });
        let _ = self.thread.jobs.send(job);
        match result.await {
            Ok(result) => result.map_err(Problem::from),
            Err(_) => Err(not_available()),
        }
    }

    fn keep(&self, change: Change) {
        let mut waiting = locked(&self.thread.shared.pending);
        if waiting.is_closed {
            tracing::warn!("something came after the conversations were closed, and is not kept");
            return;
        }
        waiting.changes.add(change);
        if !waiting.is_told {
            waiting.is_told = self.thread.jobs.send(Box::new(|_| {})).is_ok();
        }
    }

    /// Keeps a part of an answer without waiting for the disk. Where it cannot be written it stays in memory and is tried
    /// again, and [`Self::notices`] says so.
    pub fn keep_answer(&self, part: AnswerPart) {
        self.keep(Change::Answer(part));
    }

    /// Keeps a message the user has begun, without waiting for the disk; without a conversation, the one for the next new
    /// conversation.
    pub fn keep_draft(&self, conversation: Option<i64>, text: String) {
        self.keep(Change::Draft { conversation, text });
    }

    /// Notes which conversation is open, without waiting for the disk.
    pub fn keep_open(&self, conversation: Option<i64>) {
        self.keep(Change::Open(conversation));
    }

    /// Adds a change of profile to the switch log, without waiting for the disk.
    pub fn record_switch(&self, entry: DecisionEntry) {
        self.keep(Change::Switch(entry));
    }

    /// Waits until everything that was to be kept was tried.
    ///
    /// # Errors
    ///
    /// When it is not on the disk; it is tried again.
    pub async fn flushed(&self) -> Result<(), Problem> {
        self.run(Keeper::flush).await
    }

    /// Writes what waits, and closes the file. What comes after is refused.
    pub async fn close(&self) {
        let closed = self.run(|keeper| {
            keeper.close();
            Ok(())
        });
        let _ = closed.await;
    }

    /// All the chat page needs to draw itself for the first time.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn snapshot(&self) -> Result<ChatSnapshot, Problem> {
        let read = self.read(|store| Ok((store.list()?, store.last_open()?, store.draft_of_new()?)));
        let (conversations, open, draft) = read.await?;
        let notices = self.thread.shared.notices.borrow().clone();
        Ok(ChatSnapshot { conversations, open, draft, notices })
    }

    /// Follows what the user has to know of the store. The list of conversations may be another one after each change.
    pub fn notices(&self) -> watch::Receiver<Vec<StoreNotice>> {
        self.thread.shared.notices.subscribe()
    }

    /// Forgets what the user was told of the store; it is told once.
    pub fn dismiss_notice(&self) {
        self.thread.shared.notices.send_replace(Vec::new());
    }

    /// The newest `limit` entries of the switch log, the newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn switches(&self, limit: u32) -> Result<Vec<DecisionEntry>, Problem> {
        self.read(move |store| store.switches(limit)).await
    }
}

fn not_available() -> Problem {
    Problem::new(ProblemCode::StoreFailed, "Conversations are not available. Restart Workly.")
}
