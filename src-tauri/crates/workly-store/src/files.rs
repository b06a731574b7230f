//! The file of conversations, its names, and times as they stand in names.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

/// Name of the file inside Workly's folder.
pub const DATABASE: &str = "conversations.db";

/// UTC, so that names sort by time on any machine.
pub(crate) const STAMP: &str = "%Y%m%d-%H%M%S";

/// Milliseconds since 1970 (UTC), now.
pub fn unix_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A time as it stands in file names, to the second.
pub(crate) fn stamp(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.to_zoned(TimeZone::UTC).strftime(STAMP).to_string()
}

/// A name that no file in `folder` has yet.
pub(crate) fn free_name(folder: &Path, stem: &str) -> String {
    let mut names = (1..).map(|number| if number == 1 { format!("{stem}.db") } else { format!("{stem}-{number}.db") });
    names.find(|name| !folder.join(name).exists()).unwrap_or_default()
}

/// The path with something behind its name.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Size of a file in bytes; 0 where there is none.
pub(crate) fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}
