//! Daily copies of the database, the newest three kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::opening::DATABASE;
use super::{StoreError, Stored};

/// How many copies are kept.
pub const BACKUPS_KEPT: usize = 3;
/// How old the newest copy may be before another is made.
const EVERY: Duration = Duration::from_hours(24);
/// Folder of the copies inside Workly's folder.
const FOLDER: &str = "backups";
const STEM: &str = "conversations-";
/// UTC, so that names sort by time on any machine.
const STAMP: &str = "%Y%m%d-%H%M%S";

/// A time as it stands in file names, to the second.
pub(super) fn stamp(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.to_zoned(TimeZone::UTC).strftime(STAMP).to_string()
}

/// The copies there are, with their times in milliseconds since 1970.
pub(super) fn newest_first(folder: &Path) -> Vec<(i64, PathBuf)> {
    let files = fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten();
    let mut found: Vec<_> = files.filter_map(|file| Some((time_of(&file.path())?, file.path()))).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

fn time_of(path: &Path) -> Option<i64> {
    let stamp = path.file_name()?.to_str()?.strip_prefix(STEM)?.strip_suffix(".db")?;
    let time = DateTime::strptime(STAMP, stamp).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(time.timestamp().as_millisecond())
}

/// Whether the newest copy is a day old, or there is none.
pub(super) fn is_due(folder: &Path, now_ms: i64) -> bool {
    let newest = newest_first(folder).first().map(|(ms, _)| *ms);
    // A clock that was set back must not stop the copies.
    newest.is_none_or(|ms| (now_ms - ms).unsigned_abs() >= EVERY.as_millis() as u64)
}

/// Copies the database in `folder` and removes the oldest copies. The database may be in use meanwhile: the copy is what
/// was committed when it began.
///
/// # Errors
///
/// When a file cannot be read or written; a copy that was begun is removed.
pub fn back_up(folder: &Path, now_ms: i64) -> Stored<PathBuf> {
    let target = folder.join(FOLDER);
    fs::create_dir_all(&target).map_err(|error| io_error(&error))?;
    let unfinished = target.join("unfinished");
    let _ = fs::remove_file(&unfinished);
    let copied = copy(&folder.join(DATABASE), &unfinished);
    if let Err(error) = copied {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    let finished = target.join(format!("{STEM}{}.db", stamp(now_ms)));
    fs::rename(&unfinished, &finished).map_err(|error| io_error(&error))?;
    for (_, old) in newest_first(folder).into_iter().skip(BACKUPS_KEPT) {
        fs::remove_file(old).map_err(|error| io_error(&error))?;
    }
    Ok(finished)
}

fn copy(from: &Path, to: &Path) -> Stored<()> {
    // A connection of its own: in WAL mode whoever writes goes on writing.
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    source.busy_timeout(Duration::from_secs(5))?;
    let mut target = Connection::open(to)?;
    {
        let backup = Backup::new(&source, &mut target)?;
        // All pages in one step: between steps a writer would make it start over.
        while backup.step(-1)? != StepResult::Done {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    // One file, without a log beside it.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    super::opening::check(&target)
}

fn io_error(error: &std::io::Error) -> StoreError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(code, Some(error.to_string())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_from_a_name() {
        let ms = 1_763_884_800_000;
        assert_eq!(stamp(ms), "20251123-080000");
        assert_eq!(time_of(Path::new("backups/conversations-20251123-080000.db")), Some(ms));
        for other in ["unfinished", "conversations-x.db", "conversations-20251123-080000.db-wal"] {
            assert_eq!(time_of(Path::new(other)), None, "{other}");
        }
    }
}
