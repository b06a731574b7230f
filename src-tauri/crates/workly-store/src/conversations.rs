//! The conversations: the list, titles, settings, drafts, and what was open last.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use workly_wire::chat::{ConversationSettings, ConversationSummary, ConversationView};

use crate::database::{Store, exactly_one, recall, remember};
use crate::error::{StoreError, Stored};
use crate::messages;
use crate::titles::{shortened, title_of};

const OPEN: &str = "open";
const DRAFT: &str = "draft";
/// How long a deleted conversation can be brought back, milliseconds; then it is removed for good.
pub const TAKEN_BACK_MS: i64 = 30_000;
const SUMMARY: &str = "
SELECT id, title, updated_ms,
    EXISTS (SELECT 1 FROM messages WHERE conversation = conversations.id AND state = 'streaming')
FROM conversations WHERE deleted_ms IS NULL";

impl Store {
    /// All conversations, the one something was said in last first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn list(&self) -> Stored<Vec<ConversationSummary>> {
        let mut statement = self.connection.prepare_cached(&format!("{SUMMARY} ORDER BY updated_ms DESC, id DESC"))?;
        let rows = statement.query_map([], to_summary)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What the list shows of one conversation.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn summary(&self, id: i64) -> Stored<ConversationSummary> {
        let mut statement = self.connection.prepare_cached(&format!("{SUMMARY} AND id = ?1"))?;
        statement.query_row([id], to_summary).optional()?.ok_or(StoreError::Missing)
    }

    /// One conversation along its chosen branch.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn view(&self, id: i64) -> Stored<ConversationView> {
        let summary = self.summary(id)?;
        let mut statement =
            self.connection.prepare_cached("SELECT settings, draft FROM conversations WHERE id = ?1")?;
        let (settings, draft): (String, String) = statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let settings = serde_json::from_str(&settings).unwrap_or_default();
        Ok(ConversationView { summary, settings, draft, messages: messages::branch(&self.connection, id)? })
    }

    /// A conversation in which nothing was said yet.
    ///
    /// # Errors
    ///
    /// When it cannot be kept.
    pub fn create(&mut self, now_ms: i64) -> Stored<i64> {
        self.connection.execute("INSERT INTO conversations (created_ms, updated_ms) VALUES (?1, ?1)", [now_ms])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Gives a conversation the user's own title; an empty one goes back to the first message's beginning.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn rename(&mut self, id: i64, title: &str) -> Stored<ConversationSummary> {
        let own = shortened(title, 200);
        let title = if own.is_empty() { self.first_words(id)? } else { own.clone() };
        let changed = self.connection.execute(
            "UPDATE conversations SET title = ?2, is_renamed = ?3 WHERE id = ?1 AND deleted_ms IS NULL",
            params![id, title, !own.is_empty()],
        )?;
        exactly_one(changed)?;
        self.summary(id)
    }

    fn first_words(&self, id: i64) -> Stored<String> {
        let first = "SELECT content FROM messages WHERE id = (SELECT active_root FROM conversations WHERE id = ?1)";
        let content: Option<String> = self.connection.query_row(first, [id], |row| row.get(0)).optional()?;
        Ok(content.map(|content| title_of(&content)).unwrap_or_default())
    }

    /// Takes a conversation out of the list and the search. It can be restored for [`TAKEN_BACK_MS`].
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn delete(&mut self, id: i64, now_ms: i64) -> Stored<()> {
        let changed = self
            .connection
            .execute("UPDATE conversations SET deleted_ms = ?2 WHERE id = ?1 AND deleted_ms IS NULL", [id, now_ms])?;
        exactly_one(changed)
    }

    /// Brings a deleted conversation back.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub fn restore(&mut self, id: i64) -> Stored<ConversationSummary> {
        self.connection.execute("UPDATE conversations SET deleted_ms = NULL WHERE id = ?1", [id])?;
        self.summary(id)
    }

    /// How the answers of a conversation are written from now on.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn set_settings(&mut self, id: i64, settings: &ConversationSettings) -> Stored<()> {
        let settings = serde_json::to_string(settings)?;
        let changed =
            self.connection.execute("UPDATE conversations SET settings = ?2 WHERE id = ?1", params![id, settings])?;
        exactly_one(changed)
    }

    /// Keeps the message the user has begun; without a conversation, the one for the next new conversation.
    ///
    /// # Errors
    ///
    /// When it cannot be kept.
    pub fn save_draft(&mut self, id: Option<i64>, draft: &str) -> Stored<()> {
        save_draft(&self.connection, id, draft)
    }

    /// The message begun for a conversation that does not exist yet.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn draft_of_new(&self) -> Stored<String> {
        Ok(recall(&self.connection, DRAFT)?.unwrap_or_default())
    }

    /// Notes which conversation is open.
    ///
    /// # Errors
    ///
    /// When it cannot be kept.
    pub fn set_open(&mut self, id: Option<i64>) -> Stored<()> {
        set_open(&self.connection, id)
    }

    /// The conversation that was open last, if it is still there.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn last_open(&self) -> Stored<Option<ConversationView>> {
        let Some(id) = recall(&self.connection, OPEN)?.and_then(|id| id.parse().ok()) else { return Ok(None) };
        match self.view(id) {
            Err(StoreError::Missing) => Ok(None),
            other => other.map(Some),
        }
    }
}

/// Keeps a message the user has begun; without a conversation, the one for the next new conversation.
pub(crate) fn save_draft(connection: &Connection, id: Option<i64>, draft: &str) -> Stored<()> {
    match id {
        Some(id) => {
            connection
                .prepare_cached("UPDATE conversations SET draft = ?2 WHERE id = ?1")?
                .execute(params![id, draft])?;
            Ok(())
        }
        None => remember(connection, DRAFT, draft),
    }
}

/// Notes which conversation is open.
pub(crate) fn set_open(connection: &Connection, id: Option<i64>) -> Stored<()> {
    remember(connection, OPEN, &id.map(|id| id.to_string()).unwrap_or_default())
}

fn to_summary(row: &Row<'_>) -> rusqlite::Result<ConversationSummary> {
    Ok(ConversationSummary { id: row.get(0)?, title: row.get(1)?, updated_ms: row.get(2)?, answering: row.get(3)? })
}
