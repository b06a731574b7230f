//! Opening the database: where it is damaged or gone, it is kept aside, read as far as it can be, and replaced.
//!
//! What a clean end left is not checked whole: that takes seconds for a million messages. After any other end the keeper
//! checks it in the background.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use workly_wire::chat::StoreNotice;

use crate::backup::{self, Copied};
use crate::check::{FirstLook, first_look, is_good};
use crate::database::Store;
use crate::error::Stored;
use crate::files::{DATABASE, free_name, size, stamp, with_ending};
use crate::lock::{FolderLock, Held};
use crate::memory::in_memory;
use crate::salvage::salvage;
use crate::schema;
use workly_files::places::{private_file, private_folder};

/// An opened store, and what the user has to know of it.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What happened to the file.
    pub notices: Vec<StoreNotice>,
    /// The right to work in the folder, where there is one; other programs are kept out as long as it lives.
    pub lock: Option<FolderLock>,
    /// Whether the store is the file, and not memory.
    pub is_kept: bool,
    /// Whether the run before did not close the file.
    pub was_unclean: bool,
}

/// The store in its file.
#[derive(Debug)]
pub(crate) struct InFile {
    pub(crate) store: Store,
    pub(crate) notices: Vec<StoreNotice>,
    pub(crate) was_unclean: bool,
}

/// Opens the conversations in `folder`. It always succeeds: where nothing can be kept, the store lives in memory and the
/// notices say so.
pub fn open(folder: Option<&Path>, now_ms: i64) -> Opened {
    match folder.map(FolderLock::take) {
        Some(Ok(lock)) => open_held(lock, now_ms),
        Some(Err(Held::ByAnother)) => apart(StoreNotice::InUse, None, now_ms),
        Some(Err(error)) => apart(StoreNotice::NotKept { details: error.to_string() }, None, now_ms),
        None => {
            let details = "this system has no folder for application data".to_owned();
            apart(StoreNotice::NotKept { details }, None, now_ms)
        }
    }
}

/// Opens the conversations in a folder that this program has.
pub(crate) fn open_held(lock: FolderLock, now_ms: i64) -> Opened {
    match open_file(lock.folder(), true, now_ms) {
        Ok(InFile { store, notices, was_unclean }) => {
            Opened { store, notices, lock: Some(lock), is_kept: true, was_unclean }
        }
        Err(error) => {
            let details = format!("{}: {error}", lock.folder().join(DATABASE).display());
            apart(StoreNotice::NotKept { details }, Some(lock), now_ms)
        }
    }
}

fn apart(notice: StoreNotice, lock: Option<FolderLock>, now_ms: i64) -> Opened {
    Opened { store: in_memory(now_ms), notices: vec![notice], lock, is_kept: false, was_unclean: false }
}

/// Opens the file in a folder; a damaged or missing one is replaced. The first time in a run, answers that an earlier run
/// did not end are ended.
pub(crate) fn open_file(folder: &Path, is_first: bool, now_ms: i64) -> Stored<InFile> {
    private_folder(folder)?;
    let path = folder.join(DATABASE);
    let mut notices = Vec::new();
    match first_look(&path) {
        FirstLook::Missing => {
            let backup = newest_good(folder);
            let made = beside(&path, backup.as_ref())?;
            // A log without its file; it must not be taken for the new one's.
            move_aside(&path, &folder.join(damaged_name(folder, now_ms)))?;
            finish(&made, &path)?;
            notices.extend(backup.map(|backup| StoreNotice::Missing { backup_ms: backup.at_ms }));
        }
        FirstLook::Broken => notices.push(replace_damaged(folder, now_ms)?),
        FirstLook::Database => {}
    }
    let was_unclean = size(&with_ending(&path, "-wal")) > 0;
    let opened = match connect(folder, &path, is_first, now_ms) {
        Err(error) if error.is_damage() => {
            tracing::error!("{} is damaged: {error}", path.display());
            notices.push(replace_damaged(folder, now_ms)?);
            connect(folder, &path, is_first, now_ms)
        }
        other => other,
    };
    Ok(InFile { store: opened?, notices, was_unclean })
}

/// Opens the file only to read, beside whoever writes.
pub(crate) fn open_to_read(folder: &Path) -> Stored<Store> {
    let connection = Connection::open_with_flags(folder.join(DATABASE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    schema::configure_reading(&connection)?;
    Ok(Store::new(connection))
}

/// Opens a file, and brings it to the present version.
fn connect(folder: &Path, path: &Path, is_first: bool, now_ms: i64) -> Stored<Store> {
    drop(private_file(path)?);
    let mut connection = Connection::open(path)?;
    schema::configure(&connection)?;
    if (1..schema::VERSION).contains(&schema::version(&connection)?) {
        backup::back_up(folder, now_ms)?;
    }
    schema::migrate(&mut connection, schema::VERSION)?;
    let mut store = Store::new(connection);
    // Read before anything is written, so that a damaged file is met here and kept as it is.
    store.list()?;
    if is_first {
        end_unfinished(&mut store)?;
    }
    Ok(store)
}

/// Ends what the last run left unfinished. Only damage is a reason to do without the file.
fn end_unfinished(store: &mut Store) -> Stored<()> {
    let ended = store.end_unfinished().or_else(|error| {
        if error.is_damaged_index() {
            tracing::warn!("the index of the search is made anew: {error}");
            store.rebuild_index()?;
            store.end_unfinished()
        } else {
            Err(error)
        }
    });
    ended.or_else(|error| {
        if error.is_damage() {
            return Err(error);
        }
        tracing::error!("answers of the last run could not be ended: {error}");
        Ok(())
    })
}

/// Keeps the damaged file under another name, and puts into its place what can be read of it and of the newest good
/// backup.
pub(crate) fn replace_damaged(folder: &Path, now_ms: i64) -> Stored<StoreNotice> {
    let path = folder.join(DATABASE);
    let kept_as = damaged_name(folder, now_ms);
    let kept = folder.join(&kept_as);
    let backup = newest_good(folder);
    let backup_ms = backup.as_ref().map(|backup| backup.at_ms);
    // First what takes its place: when the disk has no room for that, the damaged one stays where it is.
    let (made, messages) = salvaged_beside(&path, backup.as_ref())?;
    move_aside(&path, &kept)?;
    finish(&made, &path)?;
    Ok(match (messages, backup_ms) {
        (0, Some(backup_ms)) => StoreNotice::Restored { backup_ms, kept_as },
        (0, None) => StoreNotice::Emptied { kept_as },
        (messages, backup_ms) => StoreNotice::Salvaged { messages, backup_ms, kept_as },
    })
}

fn damaged_name(folder: &Path, now_ms: i64) -> String {
    free_name(folder, &format!("conversations.damaged-{}", stamp(now_ms)))
}

/// Gives a database and its log another name.
fn move_aside(path: &Path, kept: &Path) -> std::io::Result<()> {
    for part in ["", "-wal", "-shm"] {
        match fs::rename(with_ending(path, part), with_ending(kept, part)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn newest_good(folder: &Path) -> Option<Copied> {
    backup::newest_first(folder).into_iter().find(|copied| is_good(&copied.path))
}

/// A backup with everything of the damaged file that can be read. Returns how many messages that were.
fn salvaged_beside(path: &Path, backup: Option<&Copied>) -> Stored<(PathBuf, u32)> {
    let made = beside(path, backup)?;
    match salvage(path, &made) {
        Ok(messages) if messages > 0 && is_good(&made) => return Ok((made, messages)),
        Err(error) => tracing::warn!("nothing could be read from {}: {error}", path.display()),
        Ok(_) => {}
    }
    Ok((beside(path, backup)?, 0))
}

/// A file under another name first: a half-written one must never stand in the place of the real one.
fn beside(path: &Path, backup: Option<&Copied>) -> Stored<PathBuf> {
    let made = with_ending(path, ".restoring");
    for part in ["", "-journal", "-wal", "-shm"] {
        let _ = fs::remove_file(with_ending(&made, part));
    }
    drop(private_file(&made)?);
    if let Some(backup) = backup {
        fs::copy(&backup.path, &made)?;
    }
    Ok(made)
}

/// Gives a file its place. One of no bytes never comes there: it would look like one that lost all it had.
fn finish(made: &Path, path: &Path) -> Stored<()> {
    if size(made) == 0 {
        // Nothing is lost with a new file: it waits for no disk.
        schema::make(made)?;
    } else {
        fs::File::open(made)?.sync_all()?;
    }
    Ok(fs::rename(made, path)?)
}
