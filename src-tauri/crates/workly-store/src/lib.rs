//! Conversations and the switch log, kept in `SQLite`.
//!
//! [`Conversations`] is the handle of the thread that owns the database; [`Store`] is the database as conversations.
//! Not here: who asks the model (`workly_runtime::chats`), and windows.

mod answers;
mod backup;
mod check;
mod clean_up;
mod conversations;
mod database;
mod disk;
mod error;
mod export;
mod files;
mod handle;
mod keeper;
mod lock;
mod memory;
mod messages;
mod opening;
mod pending;
mod salvage;
mod schema;
mod search;
mod shared;
mod switch_log;
mod titles;

pub use answers::AnswerPart;
pub use backup::{BACKUPS_KEPT, back_up};
pub use conversations::TAKEN_BACK_MS;
pub use database::Store;
pub use error::{StoreError, Stored};
pub use files::{DATABASE, unix_ms};
pub use handle::Conversations;
pub use lock::{FolderLock, Held};
pub use messages::Begun;
pub use opening::{Opened, open};
