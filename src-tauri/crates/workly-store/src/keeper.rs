//! The thread that owns the database: it does what it is told, writes what waits, and looks after the file between.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use workly_wire::chat::StoreNotice;

use crate::backup;
use crate::check::check;
use crate::conversations::TAKEN_BACK_MS;
use crate::database::{Store, remember};
use crate::disk::{self, Disk};
use crate::error::{StoreError, Stored};
use crate::files::unix_ms;
use crate::lock::FolderLock;
use crate::memory::{in_memory, merge};
use crate::opening::{self, InFile, Opened};
use crate::shared::{Shared, locked};

/// How often it is looked whether a backup is due.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// The first pause before something that failed is tried again; each further one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(8);
/// How often another program may be in the way before the user is told.
const BUSY_TRIES: u32 = 3;
/// How long the end waits for another program to let go of the file.
const LAST_PATIENCE: Duration = Duration::from_millis(600);
/// How often a file is replaced in one run; a disk that damages every file is not helped by more.
const REPAIRS: u32 = 3;

/// What the thread is told to do.
pub(crate) type Job = Box<dyn FnOnce(&mut Keeper) + Send>;

/// Where the conversations are to be kept.
#[derive(Debug)]
pub(crate) enum Place {
    Nowhere,
    Folder(PathBuf),
    Held(FolderLock),
}

/// Something that failed, and when it is tried again.
#[derive(Debug, Clone, Copy, Default)]
struct Retry {
    failures: u32,
    at: Option<Instant>,
}

impl Retry {
    fn failed(&mut self) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LAST_PAUSE);
        self.failures += 1;
        self.at = Some(Instant::now() + pause);
    }

    fn is_due(&self) -> bool {
        self.at.is_none_or(|at| Instant::now() >= at)
    }
}

/// The owner of the database.
pub(crate) struct Keeper {
    store: Store,
    /// Where the file is, or will be when it can be had.
    folder: Option<PathBuf>,
    lock: Option<FolderLock>,
    is_kept: bool,
    /// What brings commits to the disk, while the store is the file.
    disk: Option<Disk>,
    /// Whether it could not, the last time.
    has_failed: bool,
    /// Whether this run had the file open before: answers that are being written there are its own.
    has_had_file: bool,
    shared: Arc<Shared>,
    to_self: mpsc::Sender<Job>,
    started_ms: i64,
    opening: Retry,
    writing: Retry,
    /// When it was last looked whether a backup is due.
    looked: Option<Instant>,
    /// When deleted conversations are next looked for.
    removal: Option<Instant>,
    /// Whether the log may hold text of what was removed.
    log_holds_removed: bool,
    repairs: u32,
    is_closed: bool,
}

impl Keeper {
    pub(crate) fn open(place: Place, shared: Arc<Shared>, to_self: mpsc::Sender<Job>) -> Self {
        let now = unix_ms();
        let (folder, opened) = match place {
            Place::Nowhere => (None, opening::open(None, now)),
            Place::Folder(folder) => {
                let opened = opening::open(Some(&folder), now);
                (Some(folder), opened)
            }
            Place::Held(lock) => (Some(lock.folder().to_path_buf()), opening::open_held(lock, now)),
        };
        let Opened { store, notices, lock, is_kept, was_unclean } = opened;
        shared.notices.send_replace(notices);
        let mut keeper = Self {
            store,
            folder,
            lock,
            is_kept,
            disk: None,
            has_failed: false,
            has_had_file: is_kept,
            shared,
            to_self,
            started_ms: now,
            opening: Retry::default(),
            writing: Retry::default(),
            looked: None,
            removal: Some(Instant::now()),
            log_holds_removed: false,
            repairs: 0,
            is_closed: false,
        };
        if is_kept {
            keeper.has_file(was_unclean);
        } else {
            keeper.opening.failed();
        }
        keeper
    }

    pub(crate) fn run(mut self, orders: &mpsc::Receiver<Job>) {
        while !self.is_closed {
            self.tend();
            match orders.recv_timeout(self.pause()) {
                Ok(job) => self.perform(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.close(),
            }
        }
    }

    pub(crate) fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Does a job. One that panics fails alone; nobody knows what it did to the connection, so another one is made.
    fn perform(&mut self, job: Job) {
        if catch_unwind(AssertUnwindSafe(|| job(self))).is_err() {
            tracing::error!("a job on the conversations failed; they are opened again");
            if self.is_kept {
                self.leave_file();
                self.try_file();
            }
        }
    }

    /// What is due by itself.
    fn tend(&mut self) {
        if !self.is_kept && self.folder.is_some() && self.opening.is_due() {
            self.try_file();
        }
        if self.writing.is_due() {
            // What failed was told, and is tried again.
            let _ = self.flush();
        }
        if self.removal.is_some_and(|at| Instant::now() >= at) {
            self.remove_deleted();
        }
        self.back_up_if_due();
    }

    /// How long nothing is due.
    fn pause(&self) -> Duration {
        let opening = self.opening.at.filter(|_| !self.is_kept && self.folder.is_some());
        let writing = self.writing.at;
        let next = [opening, writing, self.removal].into_iter().flatten().min();
        next.map_or(LOOK_EVERY, |at| at.saturating_duration_since(Instant::now()).min(LOOK_EVERY))
    }

    /// Writes what waits.
    pub(crate) fn flush(&mut self) -> Stored<()> {
        let waiting = {
            let mut waiting = locked(&self.shared.pending);
            waiting.is_told = false;
            std::mem::take(&mut waiting.changes)
        };
        if waiting.is_empty() {
            return Ok(());
        }
        let written = waiting.write(&mut self.store);
        match &written {
            Ok(()) => {
                self.writing = Retry::default();
                self.tell_saved();
            }
            Err(error) => {
                let mut older = waiting;
                let mut now = locked(&self.shared.pending);
                older.append(std::mem::take(&mut now.changes));
                now.changes = older;
                drop(now);
                self.writing.failed();
                tracing::error!("what was said last is not on the disk yet: {error}");
                if !error.is_busy() || self.writing.failures >= BUSY_TRIES {
                    self.tell_not_saved(error);
                }
                self.heed(error);
            }
        }
        written
    }

    fn tell_not_saved(&self, error: &StoreError) {
        let notice = StoreNotice::NotSaved { details: error.to_string() };
        self.shared.notices.send_if_modified(|notices| {
            let is_new = !notices.contains(&notice);
            if is_new {
                notices.retain(|other| !matches!(other, StoreNotice::NotSaved { .. } | StoreNotice::Saved));
                notices.push(notice);
            }
            is_new
        });
    }

    fn tell_saved(&self) {
        if self.has_failed {
            return;
        }
        self.shared.notices.send_if_modified(|notices| {
            let before = notices.len();
            notices.retain(|notice| !matches!(notice, StoreNotice::NotSaved { .. }));
            let was_told = notices.len() < before;
            if was_told {
                notices.push(StoreNotice::Saved);
            }
            was_told
        });
    }

    /// Does something about what an error says of the file.
    pub(crate) fn heed(&mut self, error: &StoreError) {
        if error.is_damaged_index() {
            tracing::warn!("the index of the search is made anew: {error}");
            if let Err(error) = self.store.rebuild_index() {
                tracing::error!("the index of the search could not be made anew: {error}");
            }
        } else if error.is_damage() && self.is_kept && self.repairs < REPAIRS {
            self.replace_damaged(error);
        }
    }

    fn replace_damaged(&mut self, error: &StoreError) {
        let Some(folder) = self.lock.as_ref().map(|lock| lock.folder().to_path_buf()) else { return };
        tracing::error!("the conversations are damaged: {error}");
        self.repairs += 1;
        self.leave_file();
        match opening::replace_damaged(&folder, unix_ms()) {
            Ok(notice) => self.shared.notices.send_modify(|notices| notices.push(notice)),
            Err(error) => tracing::error!("the damaged conversations could not be replaced: {error}"),
        }
        self.try_file();
    }

    /// Works in memory from here on, until the file is had again.
    fn leave_file(&mut self) {
        *locked(&self.shared.reader) = None;
        self.disk = None;
        self.store = in_memory(unix_ms());
        self.is_kept = false;
        self.opening = Retry::default();
    }

    /// Opens the file, and writes what was said meanwhile into it.
    fn try_file(&mut self) {
        match self.open_file() {
            Ok(InFile { store, notices, was_unclean }) => {
                self.store = store;
                self.is_kept = true;
                self.has_had_file = true;
                self.shared.notices.send_if_modified(|told| {
                    let before = told.len();
                    told.retain(|notice| !matches!(notice, StoreNotice::NotKept { .. } | StoreNotice::InUse));
                    let was_apart = told.len() < before;
                    let changes = was_apart || !notices.is_empty();
                    told.extend(notices);
                    told.extend(was_apart.then_some(StoreNotice::Saved));
                    changes
                });
                self.has_file(was_unclean);
            }
            Err(error) => {
                self.opening.failed();
                tracing::warn!("the conversations cannot be opened yet: {error}");
                self.shared.notices.send_if_modified(|told| {
                    let is_told = told.iter().any(|n| matches!(n, StoreNotice::NotKept { .. } | StoreNotice::InUse));
                    told.extend((!is_told).then(|| StoreNotice::NotKept { details: error.to_string() }));
                    !is_told
                });
            }
        }
    }

    fn open_file(&mut self) -> Stored<InFile> {
        let Some(folder) = &self.folder else { return Err(StoreError::Missing) };
        if self.lock.is_none() {
            self.lock = Some(FolderLock::take(folder).map_err(std::io::Error::other)?);
        }
        let folder = self.lock.as_ref().map_or(folder.as_path(), FolderLock::folder);
        let mut opened = opening::open_file(folder, !self.has_had_file, unix_ms())?;
        merge(&self.store, &mut opened.store)?;
        Ok(opened)
    }

    /// The file is open: others may read it, and after an unclean end it is checked.
    fn has_file(&mut self, was_unclean: bool) {
        let Some(folder) = self.lock.as_ref().map(|lock| lock.folder().to_path_buf()) else { return };
        match opening::open_to_read(&folder) {
            Ok(reader) => *locked(&self.shared.reader) = Some(reader),
            Err(error) => tracing::warn!("the conversations are read by the one who writes: {error}"),
        }
        if let Err(error) = self.bring_to_disk(&folder) {
            tracing::error!("commits are brought to the disk when the file is closed: {error}");
        }
        // The first commit of a log waits for the disk. This is it, before anybody waits for theirs.
        if let Err(error) = remember(&self.store.connection, "opened_ms", &unix_ms().to_string()) {
            tracing::warn!("the log of the conversations is not begun: {error}");
        }
        self.removal = Some(Instant::now());
        self.log_holds_removed |= was_unclean;
        if was_unclean {
            self.beside("check", move || opening::open_to_read(&folder).and_then(|store| check(&store.connection)));
        }
    }

    fn bring_to_disk(&mut self, folder: &Path) -> Stored<()> {
        let to_self = self.to_self.clone();
        let disk = Disk::of(folder, move |result| {
            let _ = to_self.send(Box::new(move |keeper| keeper.brought_to_disk(result)));
        })?;
        disk.watch(&mut self.store.connection)?;
        self.disk = Some(disk);
        Ok(())
    }

    fn brought_to_disk(&mut self, result: Stored<()>) {
        let had_failed = std::mem::replace(&mut self.has_failed, result.is_err());
        match result {
            Ok(()) if had_failed => self.tell_saved(),
            Ok(()) => {}
            Err(error) => {
                tracing::error!("what was said last is not on the disk yet: {error}");
                self.tell_not_saved(&error);
                self.heed(&error);
            }
        }
    }

    /// Does something that takes long on a thread of its own; what it finds out about the file is heeded.
    fn beside(&self, name: &'static str, work: impl FnOnce() -> Stored<()> + Send + 'static) {
        let to_self = self.to_self.clone();
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(error) = work() {
                tracing::error!("{name}: {error}");
                let _ = to_self.send(Box::new(move |keeper| keeper.heed(&error)));
            }
        });
        if let Err(error) = started {
            tracing::error!("{name}: {error}");
        }
    }

    /// Copies the database on a thread of its own, since that may take seconds.
    fn back_up_if_due(&mut self) {
        // A busy hour looks once.
        if !self.is_kept || self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let now = unix_ms();
        let Some(folder) = self.lock.as_ref().map(|lock| lock.folder().to_path_buf()) else { return };
        if backup::is_due(&folder, now) && !self.store.is_empty() {
            self.beside("backup", move || back_up(&folder, now));
        }
    }

    /// Notes when a conversation that was deleted is to be removed.
    pub(crate) fn look_for_deleted(&mut self) {
        if self.removal.is_none() && self.store.first_deleted_ms().is_ok_and(|first| first.is_some()) {
            self.removal = Some(Instant::now() + Duration::from_millis(TAKEN_BACK_MS as u64 + 1));
        }
    }

    /// Removes conversations that can no longer be brought back, a step at a time, and their text from the log.
    fn remove_deleted(&mut self) {
        self.removal = None;
        let now = unix_ms();
        // What an earlier run deleted is out of reach of the window.
        let before = (now - TAKEN_BACK_MS).max(self.started_ms);
        let step = self.store.first_deleted_ms().and_then(|first| match first {
            Some(first) if first < before || first > now => self.store.remove_deleted(before, now).map(Some),
            Some(_) => Ok(None),
            None => Ok(Some(false)),
        });
        let pause = match step {
            Ok(Some(true)) => {
                self.log_holds_removed = true;
                Some(Duration::ZERO)
            }
            Ok(None) => Some(Duration::from_millis(TAKEN_BACK_MS as u64 / 2)),
            Ok(Some(false)) => {
                if std::mem::take(&mut self.log_holds_removed) {
                    self.disk.iter().for_each(Disk::empty_log);
                }
                None
            }
            Err(error) => {
                tracing::warn!("deleted conversations are not removed yet: {error}");
                self.heed(&error);
                Some(LAST_PAUSE)
            }
        };
        self.removal = pause.map(|pause| Instant::now() + pause);
    }

    /// Writes what waits, and closes the file.
    pub(crate) fn close(&mut self) {
        if self.is_closed {
            return;
        }
        let _ = self.store.connection.busy_timeout(LAST_PATIENCE);
        if !self.is_kept && self.folder.is_some() {
            self.try_file();
        }
        if let Err(error) = self.flush() {
            tracing::error!("what was said last is lost: {error}");
        }
        locked(&self.shared.pending).is_closed = true;
        *locked(&self.shared.reader) = None;
        if self.is_kept {
            // The last connection that closes would do it, unless another program reads.
            if let Err(error) = disk::checkpoint(&self.store.connection, "TRUNCATE") {
                tracing::warn!("the log of the conversations stays: {error}");
            }
        }
        self.disk = None;
        self.store = in_memory(0);
        self.lock = None;
        self.is_closed = true;
    }
}

fn back_up(folder: &Path, now_ms: i64) -> Stored<()> {
    backup::back_up(folder, now_ms).map(drop)
}
