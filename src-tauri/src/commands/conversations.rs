//! The kept conversations: list, open, change.
#![expect(clippy::needless_pass_by_value, reason = "the shape in which Tauri passes arguments")]

use workly_store::unix_ms;
use workly_wire::chat::{ChatSnapshot, ConversationSettings, ConversationSummary, ConversationView, SearchHit};

use super::chat::{Keeper, OurChats};
use crate::error::Answered;

/// All the chat page needs to draw itself for the first time.
#[tauri::command]
pub(crate) async fn chat_snapshot(chats: OurChats<'_>, keeper: Keeper<'_>) -> Answered<ChatSnapshot> {
    let snapshot = chats.store().snapshot().await?;
    let open = snapshot.open.map(|view| view.in_words(keeper.language()));
    Ok(ChatSnapshot { open, ..snapshot })
}

/// One conversation, which is the open one from now on; without a number, the one that does not exist yet.
#[tauri::command]
pub(crate) async fn open_conversation(
    chats: OurChats<'_>,
    keeper: Keeper<'_>,
    id: Option<i64>,
) -> Answered<Option<ConversationView>> {
    let view = chats.store().read(move |store| id.map(|id| store.view(id)).transpose()).await?;
    chats.store().keep_open(id);
    Ok(view.map(|view| view.in_words(keeper.language())))
}

/// Gives a conversation another title; an empty one goes back to its first words.
#[tauri::command]
pub(crate) async fn rename_conversation(chats: OurChats<'_>, id: i64, title: String) -> Answered<ConversationSummary> {
    chats.store().with(move |store| store.rename(id, &title)).await
}

/// Deletes a conversation; it can be restored for half a minute. An answer being written there is stopped.
#[tauri::command]
pub(crate) async fn delete_conversation(chats: OurChats<'_>, id: i64) -> Answered<()> {
    chats.stop(id);
    chats.store().with(move |store| store.delete(id, unix_ms())).await
}

/// Brings a deleted conversation back.
#[tauri::command]
pub(crate) async fn restore_conversation(chats: OurChats<'_>, id: i64) -> Answered<ConversationSummary> {
    chats.store().with(move |store| store.restore(id)).await
}

/// The conversations that hold every word of a query.
#[tauri::command]
pub(crate) async fn search_conversations(chats: OurChats<'_>, query: String) -> Answered<Vec<SearchHit>> {
    chats.store().read(move |store| store.search(&query)).await
}

/// How the answers of a conversation are written from now on; without a number, of a new one, which is returned.
#[tauri::command]
pub(crate) async fn set_conversation_settings(
    chats: OurChats<'_>,
    id: Option<i64>,
    settings: ConversationSettings,
) -> Answered<ConversationSummary> {
    settings.check()?;
    let kept = chats.store().with(move |store| {
        let id = if let Some(id) = id {
            id
        } else {
            let id = store.create(unix_ms())?;
            store.set_open(Some(id))?;
            id
        };
        store.set_settings(id, &settings)?;
        store.summary(id)
    });
    kept.await
}

/// Keeps the message the user has begun to write.
#[tauri::command]
pub(crate) fn save_draft(chats: OurChats<'_>, conversation: Option<i64>, draft: String) {
    chats.store().keep_draft(conversation, draft);
}

/// Chooses the branch that holds a message.
#[tauri::command]
pub(crate) async fn choose_branch(chats: OurChats<'_>, keeper: Keeper<'_>, message: i64) -> Answered<ConversationView> {
    let chosen = chats.store().with(move |store| {
        let conversation = store.choose(message)?;
        store.set_open(Some(conversation))?;
        store.view(conversation)
    });
    Ok(chosen.await?.in_words(keeper.language()))
}

/// The user has read what was said of the store.
#[tauri::command]
pub(crate) fn dismiss_store_notice(chats: OurChats<'_>) {
    chats.store().dismiss_notice();
}
