//! Conversations and the switch log, kept in `SQLite`, and answers written into them while they stream.
//!
//! [`Conversations`] is the handle of the thread that owns the database. [`Chats`] asks the model and keeps what it says.
//! Not here: how an answer is computed (`manager`), and windows.

mod answering;
mod backup;
mod export;
mod keeper;
mod live;
mod messages;
mod opening;
mod schema;
mod search;
mod store;
mod switch_log;

use workly_core::problem::{Problem, ProblemCode};

pub use answering::{AnswerSource, Chats, Model};
pub use backup::{BACKUPS_KEPT, back_up};
pub use keeper::Conversations;
pub use opening::{DATABASE, Opened, open};
pub use store::Store;

/// Why a conversation could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The conversation or message is not there.
    #[error("this conversation or message is no longer there")]
    Missing,
    /// `SQLite` refused.
    #[error("the conversations could not be read or kept: {0}")]
    Database(#[from] rusqlite::Error),
    /// A part of a conversation is not the JSON it should be.
    #[error("a conversation could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The file was written by a newer Workly.
    #[error("the conversations were written by a newer Workly (version {0} of their file)")]
    TooNew(i64),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing => Self::new(ProblemCode::ConversationMissing, "It was deleted, or never kept."),
            other => Self::new(
                ProblemCode::StoreFailed,
                "Workly could not read or keep the conversation. Check that the disk has room and can be written.",
            )
            .with_details(other.to_string()),
        }
    }
}

/// What functions of the store return.
pub type Stored<T> = Result<T, StoreError>;

/// Milliseconds since 1970 (UTC), now.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
