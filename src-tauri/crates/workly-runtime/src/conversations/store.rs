//! The database as conversations: the list, titles, settings, drafts, and what was open last.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use workly_wire::chat::{ConversationSettings, ConversationSummary, ConversationView};

use super::{StoreError, Stored, messages};

/// Longest title made from a first message, characters.
const TITLE_LENGTH: usize = 60;
const OPEN: &str = "open";
const DRAFT: &str = "draft";
const SUMMARY: &str = "
SELECT id, title, updated_ms,
    EXISTS (SELECT 1 FROM messages WHERE conversation = conversations.id AND state = 'streaming')
FROM conversations WHERE deleted_ms IS NULL";

/// The conversations and the switch log. One owner; every change is on the disk when its function returns.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
}

impl Store {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// What the last run left behind: answers that were being written are marked as interrupted, deleted conversations
    /// are removed for good.
    pub(super) fn after_start(&mut self) -> Stored<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute("UPDATE messages SET state = 'interrupted' WHERE state = 'streaming'", [])?;
        let deleted = "SELECT id FROM conversations WHERE deleted_ms IS NOT NULL";
        transaction.pragma_update(None, "defer_foreign_keys", true)?;
        transaction.execute(&format!("DELETE FROM messages WHERE conversation IN ({deleted})"), [])?;
        transaction.execute("DELETE FROM conversations WHERE deleted_ms IS NOT NULL", [])?;
        Ok(transaction.commit()?)
    }

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

    /// Whether nothing was ever said.
    pub(super) fn is_empty(&self) -> bool {
        let any = self.connection.query_row("SELECT EXISTS (SELECT 1 FROM messages)", [], |row| row.get(0));
        any.is_ok_and(|any: bool| !any)
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

    /// Takes a conversation out of the list and the search. It can be restored until Workly starts anew.
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
        match id {
            Some(id) => {
                self.connection
                    .execute("UPDATE conversations SET draft = ?2 WHERE id = ?1", params![id, draft])
                    .map_err(StoreError::from)?;
                Ok(())
            }
            None => self.remember(DRAFT, draft),
        }
    }

    /// The message begun for a conversation that does not exist yet.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn draft_of_new(&self) -> Stored<String> {
        Ok(self.recall(DRAFT)?.unwrap_or_default())
    }

    /// Notes which conversation is open.
    ///
    /// # Errors
    ///
    /// When it cannot be kept.
    pub fn set_open(&mut self, id: Option<i64>) -> Stored<()> {
        self.remember(OPEN, &id.map(|id| id.to_string()).unwrap_or_default())
    }

    /// The conversation that was open last, if it is still there.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn last_open(&self) -> Stored<Option<ConversationView>> {
        let Some(id) = self.recall(OPEN)?.and_then(|id| id.parse().ok()) else { return Ok(None) };
        match self.view(id) {
            Err(StoreError::Missing) => Ok(None),
            other => other.map(Some),
        }
    }

    fn remember(&mut self, name: &str, value: &str) -> Stored<()> {
        let upsert =
            "INSERT INTO memory (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.connection.prepare_cached(upsert)?.execute([name, value])?;
        Ok(())
    }

    fn recall(&self, name: &str) -> Stored<Option<String>> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM memory WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }
}

/// Something was said: the conversation moves to the top, and takes its title from its first message.
pub(super) fn touch(transaction: &Transaction<'_>, id: i64, first_message: Option<&str>, now_ms: i64) -> Stored<()> {
    let changed = transaction.execute("UPDATE conversations SET updated_ms = ?2 WHERE id = ?1", [id, now_ms])?;
    exactly_one(changed)?;
    if let Some(message) = first_message {
        transaction.execute(
            "UPDATE conversations SET title = ?2 WHERE id = ?1 AND NOT is_renamed",
            params![id, title_of(message)],
        )?;
    }
    Ok(())
}

pub(super) fn exactly_one(changed: usize) -> Stored<()> {
    if changed == 1 { Ok(()) } else { Err(StoreError::Missing) }
}

pub(super) fn to_summary(row: &Row<'_>) -> rusqlite::Result<ConversationSummary> {
    Ok(ConversationSummary { id: row.get(0)?, title: row.get(1)?, updated_ms: row.get(2)?, answering: row.get(3)? })
}

/// The beginning of a message as a title: its first line that says something, without Markdown's marks.
fn title_of(message: &str) -> String {
    let line = message.lines().map(|line| line.trim_matches(|c: char| c.is_whitespace() || "#>*`-".contains(c)));
    shortened(line.into_iter().find(|line| !line.is_empty()).unwrap_or_default(), TITLE_LENGTH)
}

/// One line of at most `length` characters, cut between words where that leaves most of it.
fn shortened(text: &str, length: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(length) else { return line };
    let cut = &line[..end];
    let at_word = cut.rfind(' ').filter(|at| *at > end / 2).map_or(cut, |at| &cut[..at]);
    format!("{}…", at_word.trim_end_matches([',', ';', ':', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_that_says_something() {
        assert_eq!(title_of("\n\n## **Hello** there\nmore"), "Hello** there");
        assert_eq!(title_of("```\nlet x = 1;\n```"), "let x = 1;");
        assert_eq!(title_of("   "), "");
    }

    #[test]
    fn a_long_title_is_cut_between_words() {
        let title = title_of("Explain to me, slowly and in simple words, what a graphics card is good for today");
        assert_eq!(title, "Explain to me, slowly and in simple words, what a graphics…");
        assert_eq!(title_of(&"é".repeat(100)).chars().count(), TITLE_LENGTH + 1);
    }
}
