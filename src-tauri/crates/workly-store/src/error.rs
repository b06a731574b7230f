//! Why a conversation could not be read or kept, and what that says of the file.

use rusqlite::ErrorCode;
use workly_core::problem::{Problem, ProblemCode};

/// Why a conversation could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The conversation or message is not there.
    #[error("this conversation or message is no longer there")]
    Missing,
    /// A part of an answer came before the part it follows.
    #[error("a part of an answer is missing before byte {0}")]
    Gap(usize),
    /// `SQLite` refused.
    #[error("the conversations could not be read or kept: {0}")]
    Database(#[from] rusqlite::Error),
    /// A file could not be read or written.
    #[error("the conversations could not be read or kept: {0}")]
    File(#[from] std::io::Error),
    /// A part of a conversation is not the JSON it should be.
    #[error("a conversation could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The file was written by a newer Workly.
    #[error("the conversations were written by a newer Workly (version {0} of their file)")]
    TooNew(i64),
}

/// What functions of the store return.
pub type Stored<T> = Result<T, StoreError>;

impl StoreError {
    fn database(&self) -> Option<&rusqlite::ffi::Error> {
        match self {
            Self::Database(rusqlite::Error::SqliteFailure(error, _)) => Some(error),
            _ => None,
        }
    }

    /// Whether the index of the search is wrong, and nothing else is known to be.
    pub(crate) fn is_damaged_index(&self) -> bool {
        self.database().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CORRUPT_VTAB)
    }

    /// Whether the file holds what no `SQLite` wrote.
    pub(crate) fn is_damage(&self) -> bool {
        let damage =
            |error: &rusqlite::ffi::Error| matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase);
        !self.is_damaged_index() && self.database().is_some_and(damage)
    }

    /// Whether another program holds the file.
    pub(crate) fn is_busy(&self) -> bool {
        self.database().is_some_and(|error| matches!(error.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether the same may work later: the disk is full, another program holds the file, the disk does not answer.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Database(rusqlite::Error::SqliteFailure(error, _)) => matches!(
                error.code,
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied
                    | ErrorCode::OutOfMemory
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
            ),
            _ => false,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing => Self::new(ProblemCode::ConversationMissing, "It was deleted, or never kept."),
            other => Self::new(
                ProblemCode::StoreFailed,
                "Workly could not read or keep the conversation. Check that the disk has room and can be written, and \
                 that no other program holds the file.",
            )
            .with_details(other.to_string()),
        }
    }
}
