//! What the store's thread and its handles both touch.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use workly_wire::chat::StoreNotice;

use crate::database::Store;
use crate::pending::Pending;

/// What the thread and its handles both touch.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) pending: Mutex<Waiting>,
    /// A second connection, so that reading is not behind writing; none while the store is in memory.
    pub(crate) reader: Mutex<Option<Store>>,
    pub(crate) notices: watch::Sender<Vec<StoreNotice>>,
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) changes: Pending,
    /// Whether the thread was told that something waits.
    pub(crate) is_told: bool,
    /// The thread has ended.
    pub(crate) is_closed: bool,
}

/// A poisoned lock holds what it held: nothing in here is left half done.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
