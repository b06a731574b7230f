//! What happens in the runtime, told to the window.

use std::sync::Arc;

use serde::Serialize;
use tauri::AppHandle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use workly_library::library::Library;
use workly_library::transfers::Transfers;
use workly_runtime::manager::ModelManager;
use workly_wire::chat::{CONVERSATION_CHANGED, ConversationSummary};
use workly_wire::model::{MODEL_CHANGED, ModelView};
use workly_wire::models::{TRANSFERS_CHANGED, Transfer, TransferState};

use crate::feeds::tell::{tell, tell_of_one};
use crate::settings::keeper::SettingsKeeper;

/// Loads the model and tells the window of every change, for as long as the manager lives; of the language, too.
pub(crate) fn forward(app: AppHandle, manager: &ModelManager, keeper: Arc<SettingsKeeper>) {
    let (mut snapshots, mut settings) = (manager.snapshot(), keeper.subscribe());
    tauri::async_runtime::spawn(async move {
        let mut spoken = keeper.language();
        loop {
            tokio::select! {
                Ok(()) = snapshots.changed() => {}
                Ok(()) = settings.changed() => {
                    if std::mem::replace(&mut spoken, keeper.language()) == spoken {
                        continue;
                    }
                }
                else => return,
            }
            let snapshot = snapshots.borrow_and_update().clone();
            tell(&app, MODEL_CHANGED, ModelView::new(snapshot, spoken));
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
            tell_of_one(&app, CONVERSATION_CHANGED, summary.id, summary);
        }
    });
}

/// Tells the window of every value that a watch takes from now on.
pub(crate) fn forward_watch<T: Serialize + Clone + Send + Sync + 'static>(
    app: AppHandle,
    event: &'static str,
    mut values: watch::Receiver<T>,
) {
    tauri::async_runtime::spawn(async move {
        while values.changed().await.is_ok() {
            let value = values.borrow_and_update().clone();
            tell(&app, event, value);
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
