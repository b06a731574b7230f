//! Daily copies of the database, the newest three kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::check::check;
use crate::error::Stored;
use crate::files::{DATABASE, STAMP, stamp, unix_ms};
use crate::schema;
use workly_files::places::{private_file, private_folder};

/// How many copies are kept.
pub const BACKUPS_KEPT: usize = 3;
/// How old the newest copy may be before another is made, milliseconds.
const EVERY_MS: i64 = 24 * 3_600 * 1_000;
/// How long a copy waits for another program to let go of the file.
const PATIENCE: Duration = Duration::from_secs(5);
/// Folder of the copies inside Workly's folder.
const FOLDER: &str = "backups";
const STEM: &str = "conversations-";

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Counts the copies; a clock that is wrong does not change their order. 0 for those of a Workly that did not count.
    number: u32,
    /// When it was made, as the clock said, milliseconds since 1970 (UTC).
    pub(crate) at_ms: i64,
    pub(crate) path: PathBuf,
}

/// The copies there are.
pub(crate) fn newest_first(folder: &Path) -> Vec<Copied> {
    let files = fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten();
    let mut found: Vec<_> = files.filter_map(|file| to_copied(file.path())).collect();
    let now = unix_ms();
    // One that was not counted and is dated in the future may be of any age.
    found.sort_unstable_by_key(|copied| {
        let at_ms = if copied.number == 0 && copied.at_ms > now { i64::MIN } else { copied.at_ms };
        std::cmp::Reverse((copied.number, at_ms))
    });
    found
}

fn to_copied(path: PathBuf) -> Option<Copied> {
    let rest = path.file_name()?.to_str()?.strip_prefix(STEM)?.strip_suffix(".db")?;
    let (stamp, number) = match rest.split_once('.') {
        Some((stamp, number)) => (stamp, number.parse().ok()?),
        None => (rest, 0),
    };
    let time = DateTime::strptime(STAMP, stamp).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(Copied { number, at_ms: time.timestamp().as_millisecond(), path })
}

/// Whether the newest copy is a day old, or there is none.
pub(crate) fn is_due(folder: &Path, now_ms: i64) -> bool {
    let newest = newest_first(folder).first().map(|copied| copied.at_ms);
    // A clock that was set back must not stop the copies.
    newest.is_none_or(|ms| ms > now_ms || now_ms - ms >= EVERY_MS)
}

/// Copies the database in `folder` and removes the oldest copies. The database may be in use meanwhile: the copy is what
/// was committed when it began.
///
/// # Errors
///
/// When a file cannot be read or written; a copy that was begun is removed.
pub fn back_up(folder: &Path, now_ms: i64) -> Stored<PathBuf> {
    let target = folder.join(FOLDER);
    private_folder(&target)?;
    let unfinished = target.join("unfinished");
    let _ = fs::remove_file(&unfinished);
    let copied = copy(&folder.join(DATABASE), &unfinished);
    if let Err(error) = copied {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    let number = newest_first(folder).first().map_or(0, |newest| newest.number) + 1;
    let finished = target.join(format!("{STEM}{}.{number}.db", stamp(now_ms)));
    fs::rename(&unfinished, &finished)?;
    fs::File::open(&target)?.sync_all()?;
    for old in newest_first(folder).into_iter().skip(BACKUPS_KEPT) {
        fs::remove_file(old.path)?;
    }
    Ok(finished)
}

fn copy(from: &Path, to: &Path) -> Stored<()> {
    // A connection of its own: in WAL mode whoever writes goes on writing.
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    schema::configure_reading(&source)?;
    source.busy_timeout(PATIENCE)?;
    drop(private_file(to)?);
    let mut target = Connection::open(to)?;
    schema::configure_reading(&target)?;
    {
        let backup = Backup::new(&source, &mut target)?;
        // All pages in one step: between steps a writer would make it start over.
        while backup.step(-1)? != StepResult::Done {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    // One file, without a log beside it.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    check(&target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Option<(u32, i64)> {
        to_copied(Path::new("backups").join(name)).map(|copied| (copied.number, copied.at_ms))
    }

    #[test]
    fn a_stamp_is_read_back_from_a_name() {
        let ms = 1_763_884_800_000;
        assert_eq!(stamp(ms), "20251123-080000");
        assert_eq!(named("conversations-20251123-080000.db"), Some((0, ms)));
        assert_eq!(named("conversations-20251123-080000.12.db"), Some((12, ms)));
        for other in ["unfinished", "conversations-x.db", "conversations-20251123-080000.db-wal"] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn a_copy_from_the_future_is_neither_the_newest_nor_a_reason_to_copy_every_hour() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        let now = unix_ms();
        let day = EVERY_MS;
        let make = |name: String| fs::write(folder.path().join(FOLDER).join(name), "").unwrap();
        make(format!("{STEM}{}.db", stamp(now + 400 * day)));
        make(format!("{STEM}{}.1.db", stamp(now + 300 * day)));
        assert!(is_due(folder.path(), now));
        make(format!("{STEM}{}.2.db", stamp(now)));
        assert!(!is_due(folder.path(), now + day / 2));
        assert!(is_due(folder.path(), now + 2 * day));
        let numbers: Vec<u32> = newest_first(folder.path()).iter().map(|copied| copied.number).collect();
        assert_eq!(numbers, [2, 1, 0]);
    }
}
