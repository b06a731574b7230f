//! Opening the database: checked first, and where it is damaged, kept aside and replaced by the newest good backup.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use workly_wire::chat::StoreNotice;

use super::store::Store;
use super::{StoreError, Stored, backup, schema};

/// Name of the file inside Workly's folder.
pub const DATABASE: &str = "conversations.db";

/// An opened store, and what the user has to know of it.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What happened to the file, where something did.
    pub notice: Option<StoreNotice>,
}

/// Opens the conversations in `folder`. It always succeeds: where nothing can be kept, the store lives in memory and the
/// notice says so.
pub fn open(folder: Option<&Path>, now_ms: i64) -> Opened {
    let opened = match folder {
        Some(folder) => open_in(folder, now_ms),
        None => Err("this system has no folder for application data".to_owned()),
    };
    opened.unwrap_or_else(|details| Opened { store: in_memory(), notice: Some(StoreNotice::NotKept { details }) })
}

fn open_in(folder: &Path, now_ms: i64) -> Result<Opened, String> {
    make_private_folder(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let path = folder.join(DATABASE);
    let mut notice = None;
    let connection = match open_checked(&path) {
        Err(error) if is_damage(&error) => {
            tracing::error!("{} is damaged: {error}", path.display());
            notice = Some(replace_damaged(folder, &path, now_ms).map_err(|error| error.to_string())?);
            open_checked(&path)
        }
        other => other,
    };
    let connection = connection.map_err(|error| format!("{}: {error}", path.display()))?;
    let mut store = Store::new(connection);
    store.after_start().map_err(|error| error.to_string())?;
    Ok(Opened { store, notice })
}

/// Opens a file, looks whether it is whole, and brings it to the present version.
pub(super) fn open_checked(path: &Path) -> Stored<Connection> {
    let mut connection = Connection::open(path)?;
    schema::configure(&connection)?;
    check(&connection)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Whether every page of a file holds what it should.
pub(super) fn check(connection: &Connection) -> Stored<()> {
    let said: String = connection.query_row("PRAGMA quick_check (1)", [], |row| row.get(0))?;
    if said == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(said)).into())
}

fn is_damage(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else { return false };
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Keeps the damaged file under another name and puts the newest good backup in its place.
fn replace_damaged(folder: &Path, path: &Path, now_ms: i64) -> io::Result<StoreNotice> {
    let kept_as = free_name(folder, &format!("conversations.damaged-{}", backup::stamp(now_ms)));
    let kept = folder.join(&kept_as);
    fs::rename(path, &kept)?;
    for part in ["-wal", "-shm"] {
        match fs::rename(with_ending(path, part), with_ending(&kept, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for (backup_ms, candidate) in backup::newest_first(folder) {
        if !is_good(&candidate) {
            continue;
        }
        // A copy under another name first: a half-written file must never stand in the place of the real one.
        let copy = with_ending(path, ".restoring");
        fs::copy(&candidate, &copy)?;
        fs::File::open(&copy)?.sync_all()?;
        fs::rename(&copy, path)?;
        return Ok(StoreNotice::Restored { backup_ms, kept_as });
    }
    Ok(StoreNotice::Emptied { kept_as })
}

fn is_good(path: &Path) -> bool {
    // A backup is not in WAL mode and is only read, so that looking at it changes nothing.
    let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    opened.map_err(StoreError::from).and_then(|connection| check(&connection)).is_ok()
}

fn free_name(folder: &Path, stem: &str) -> String {
    let mut names = (1..).map(|number| if number == 1 { format!("{stem}.db") } else { format!("{stem}-{number}.db") });
    names.find(|name| !folder.join(name).exists()).unwrap_or_default()
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// What a person says to a model is nobody else's business.
fn make_private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn in_memory() -> Store {
    let opened = Connection::open_in_memory().map_err(StoreError::from).and_then(|mut connection| {
        schema::configure(&connection)?;
        schema::migrate(&mut connection)?;
        Ok(connection)
    });
    #[expect(clippy::expect_used, reason = "the schema is a constant and memory is there, or nothing would run")]
    Store::new(opened.expect("an empty database in memory"))
}
