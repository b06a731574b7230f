//! What a run before this one left behind, what was deleted, and the index of the search.

use rusqlite::Connection;

use crate::answers;
use crate::database::Store;
use crate::error::Stored;

/// Most messages that are removed at once: whoever asks meanwhile waits for one such step.
const AT_ONCE: u32 = 200;

impl Store {
    /// Marks the answers that the last run was writing as interrupted.
    pub(crate) fn end_unfinished(&mut self) -> Stored<()> {
        let transaction = self.connection.transaction()?;
        answers::interrupt(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// Makes the index of the search anew from the messages and titles.
    pub(crate) fn rebuild_index(&self) -> Stored<()> {
        rebuild_index(&self.connection)
    }

    /// Removes conversations that were deleted before `before_ms` or are dated after `now_ms`, some messages at a time;
    /// nothing of their text stays in the file. Says whether there are more.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn remove_deleted(&mut self, before_ms: i64, now_ms: i64) -> Stored<bool> {
        let due = "SELECT id FROM conversations WHERE deleted_ms < ?1 OR deleted_ms > ?2 LIMIT 1";
        let transaction = self.connection.transaction()?;
        let removed = {
            // The newest first: a message stays as long as one that follows it.
            let messages = transaction.execute(
                &format!(
                    "DELETE FROM messages WHERE id IN
                     (SELECT id FROM messages WHERE conversation = ({due}) ORDER BY id DESC LIMIT {AT_ONCE})"
                ),
                [before_ms, now_ms],
            )?;
            if messages == 0 {
                transaction.execute(&format!("DELETE FROM conversations WHERE id = ({due})"), [before_ms, now_ms])?
            } else {
                messages
            }
        };
        transaction.execute("DELETE FROM pieces WHERE message NOT IN (SELECT id FROM messages)", [])?;
        transaction.commit()?;
        Ok(removed > 0)
    }

    /// When the conversation was deleted that waits longest for its removal, milliseconds since 1970 (UTC).
    pub(crate) fn first_deleted_ms(&self) -> Stored<Option<i64>> {
        let first = "SELECT min(deleted_ms) FROM conversations WHERE deleted_ms IS NOT NULL";
        Ok(self.connection.prepare_cached(first)?.query_row([], |row| row.get(0))?)
    }

    /// Whether nothing was ever said.
    pub(crate) fn is_empty(&self) -> bool {
        let any = self.connection.query_row("SELECT EXISTS (SELECT 1 FROM messages)", [], |row| row.get(0));
        any.is_ok_and(|any: bool| !any)
    }
}

/// Makes the index of the search anew from the messages and titles.
pub(crate) fn rebuild_index(connection: &Connection) -> Stored<()> {
    connection.execute_batch(
        "INSERT INTO message_text (message_text) VALUES ('rebuild');
         INSERT INTO title_text (title_text) VALUES ('rebuild');",
    )?;
    Ok(())
}
