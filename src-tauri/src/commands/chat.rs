//! Asking for answers. They are kept by the core as they grow; the window watches.
#![expect(clippy::needless_pass_by_value, reason = "the shape in which Tauri passes arguments")]

use std::sync::Arc;

use tauri::State;
use tauri::ipc::Channel;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use workly_runtime::chats::Chats;
use workly_runtime::manager::ModelManager;
use workly_wire::chat::{Asked, ChatEvent};
use workly_wire::model::{AppSnapshot, ModelView};

use crate::error::Answered;
use crate::settings::keeper::SettingsKeeper;

/// The conversations of this program.
pub(crate) type OurChats<'a> = State<'a, Chats<ModelManager>>;
/// The settings, for the language in which reasons are said.
pub(crate) type Keeper<'a> = State<'a, Arc<SettingsKeeper>>;

/// All the window needs to draw its frame for the first time.
#[tauri::command]
pub(crate) fn snapshot(manager: State<'_, ModelManager>, keeper: Keeper<'_>) -> AppSnapshot {
    let model = ModelView::new(manager.snapshot().borrow().clone(), keeper.language());
    AppSnapshot { version: env!("CARGO_PKG_VERSION").to_owned(), model }
}

/// Asks a question in a conversation, or in a new one.
#[tauri::command]
pub(crate) async fn ask(
    chats: OurChats<'_>,
    keeper: Keeper<'_>,
    conversation: Option<i64>,
    text: String,
    events: Channel<ChatEvent>,
) -> Answered<Asked> {
    chats.ask(conversation, text, into_channel(events, &keeper)).await
}

/// Asks for another answer beside the given one.
#[tauri::command]
pub(crate) async fn regenerate(
    chats: OurChats<'_>,
    keeper: Keeper<'_>,
    conversation: i64,
    message: i64,
    events: Channel<ChatEvent>,
) -> Answered<Asked> {
    chats.regenerate(conversation, message, into_channel(events, &keeper)).await
}

/// Asks a question in other words, beside the first one.
#[tauri::command]
pub(crate) async fn edit(
    chats: OurChats<'_>,
    keeper: Keeper<'_>,
    conversation: i64,
    message: i64,
    text: String,
    events: Channel<ChatEvent>,
) -> Answered<Asked> {
    chats.edit(conversation, message, text, into_channel(events, &keeper)).await
}

/// Watches the answer being written in a conversation, from where it is. Says whether there is one.
#[tauri::command]
pub(crate) async fn watch(
    chats: OurChats<'_>,
    keeper: Keeper<'_>,
    conversation: i64,
    events: Channel<ChatEvent>,
) -> Answered<bool> {
    Ok(chats.watch(conversation, into_channel(events, &keeper)))
}

/// Stops the answer being written in a conversation.
#[tauri::command]
pub(crate) fn stop(chats: OurChats<'_>, conversation: i64) {
    chats.stop(conversation);
}

/// What is sent goes through the channel, in order. A window that is gone stops watching; the answer goes on.
fn into_channel(channel: Channel<ChatEvent>, keeper: &Arc<SettingsKeeper>) -> UnboundedSender<ChatEvent> {
    let (sender, mut events) = unbounded_channel::<ChatEvent>();
    let keeper = Arc::clone(keeper);
    tauri::async_runtime::spawn(async move {
        while let Some(event) = events.recv().await {
            if channel.send(event.in_words(keeper.language())).is_err() {
                return;
            }
        }
    });
    sender
}
