//! What happens in the runtime, told to the window.

use serde::Serialize;
use tauri::{AppHandle, Emitter as _};
use tokio::sync::mpsc::UnboundedReceiver;
use workly_runtime::library::Library;
use workly_runtime::manager::ModelManager;
use workly_runtime::transfers::Transfers;
use workly_store::Conversations;
use workly_wire::chat::{CONVERSATION_CHANGED, ConversationSummary, STORE_CHANGED};
use workly_wire::model::MODEL_CHANGED;
use workly_wire::models::{LIBRARY_CHANGED, TRANSFERS_CHANGED, Transfer, TransferState};

/// Tells the window of something.
pub(crate) fn tell(app: &AppHandle, event: &str, content: impl Serialize + Clone) {
    if let Err(error) = app.emit(event, content) {
        tracing::warn!(event, "the window could not be told: {error}");
    }
}

/// Loads the model and tells the window of every change, for as long as the manager lives.
pub(crate) fn forward(app: AppHandle, manager: &ModelManager) {
    let mut snapshots = manager.snapshot();
    tauri::async_runtime::spawn(async move {
        while snapshots.changed().await.is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            tell(&app, MODEL_CHANGED, snapshot);
        }
    });
    let manager = manager.clone();
    tauri::async_runtime::spawn(async move {
        // A failure is part of the snapshot; the window shows it.
        let _ = manager.load().await;
    });
}

/// Tells the window of every conversation that begins or ends an answer.
pub(crate) fn forward_conversations(app: AppHandle, mut changes: UnboundedReceiver<ConversationSummary>) {
    tauri::async_runtime::spawn(async move {
        while let Some(summary) = changes.recv().await {
            tell(&app, CONVERSATION_CHANGED, summary);
        }
    });
}

/// Tells the window of everything the user has to know of the store.
pub(crate) fn forward_store(app: AppHandle, store: &Conversations) {
    let mut notices = store.notices();
    tauri::async_runtime::spawn(async move {
        while notices.changed().await.is_ok() {
            let now = notices.borrow_and_update().clone();
            tell(&app, STORE_CHANGED, now);
        }
    });
}

/// Tells the window of every change of the library.
pub(crate) fn forward_library(app: AppHandle, library: &Library) {
    let mut snapshots = library.snapshot();
    tauri::async_runtime::spawn(async move {
        while snapshots.changed().await.is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            tell(&app, LIBRARY_CHANGED, snapshot);
        }
    });
}

/// Tells the window of every change of the transfers, and the library of what came in.
pub(crate) fn forward_transfers(app: AppHandle, transfers: &Transfers, library: Library) {
    let mut lists = transfers.subscribe();
    tauri::async_runtime::spawn(async move {
        let mut done = 0;
        while lists.changed().await.is_ok() {
            let list = lists.borrow_and_update().clone();
            let now = count_done(&list);
            if now > done {
                library.refresh();
            }
            done = now;
            tell(&app, TRANSFERS_CHANGED, list);
        }
    });
}

fn count_done(list: &[Transfer]) -> usize {
    list.iter().filter(|transfer| transfer.state == TransferState::Done).count()
}
