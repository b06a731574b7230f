//! Asking for answers.
#![expect(clippy::needless_pass_by_value, reason = "the shape in which Tauri passes arguments")]

use tauri::State;
use tauri::ipc::Channel;
use workly_core::wire::{AnswerEvent, AnswerRequest, AppSnapshot};
use workly_runtime::manager::ModelManager;

/// All the window needs to draw itself for the first time.
#[tauri::command]
pub(crate) fn snapshot(manager: State<'_, ModelManager>) -> AppSnapshot {
    AppSnapshot { version: env!("CARGO_PKG_VERSION").to_owned(), model: manager.snapshot().borrow().clone() }
}

/// Starts an answer; what happens to it goes through the channel, in order.
#[tauri::command]
pub(crate) fn answer(manager: State<'_, ModelManager>, request: AnswerRequest, events: Channel<AnswerEvent>) {
    let mut stream = manager.answer(request);
    tauri::async_runtime::spawn(async move {
        while let Some(event) = stream.next().await {
            if events.send(event).is_err() {
                // The window is gone; dropping the stream stops the answer.
                return;
            }
        }
    });
}

/// Stops the answer being written.
#[tauri::command]
pub(crate) fn stop(manager: State<'_, ModelManager>) {
    manager.stop();
}
