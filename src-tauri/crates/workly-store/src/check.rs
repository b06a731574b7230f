//! Whether a file is a whole database.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::{StoreError, Stored};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What a look at the first bytes of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstLook {
    /// There is no file.
    Missing,
    /// It begins as no database does, or has no bytes.
    Broken,
    /// It begins as a database does.
    Database,
}

/// Looks at the first bytes of a file.
pub(crate) fn first_look(path: &Path) -> FirstLook {
    let Ok(mut file) = File::open(path) else {
        return if path.exists() { FirstLook::Database } else { FirstLook::Missing };
    };
    let mut first = [0; 16];
    match file.read_exact(&mut first) {
        Ok(()) if first == *MAGIC => FirstLook::Database,
        _ => FirstLook::Broken,
    }
}

/// Whether every page of a file holds what it should.
///
/// # Errors
///
/// What is wrong, as damage of the file, or of the index alone.
pub(crate) fn check(connection: &Connection) -> Stored<()> {
    let mut statement = connection.prepare("PRAGMA quick_check (20)")?;
    let said = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    if said == ["ok"] {
        return Ok(());
    }
    let index_alone = said.iter().all(|line| line.contains("FTS5"));
    let code = if index_alone { rusqlite::ffi::SQLITE_CORRUPT_VTAB } else { rusqlite::ffi::SQLITE_CORRUPT };
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(said.join("; "))).into())
}

/// Whether a file that nobody writes to, such as a backup, can take the place of the database.
pub(crate) fn is_good(path: &Path) -> bool {
    // A backup is not in WAL mode and is only read, so that looking at it changes nothing.
    let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    first_look(path) == FirstLook::Database
        && opened.map_err(StoreError::from).and_then(|connection| check(&connection)).is_ok()
}
