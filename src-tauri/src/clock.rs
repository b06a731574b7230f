//! Times as the window and the files write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time in milliseconds since 1970 (UTC); 0 before that.
pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The present in seconds since 1970 (UTC).
pub(crate) fn unix_seconds() -> u64 {
    unix_ms(SystemTime::now()) / 1_000
}
