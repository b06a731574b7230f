//! An answer on the disk while it is written. Its text lies there in pieces, so that a long answer is not written anew
//! with every word; at its end they become one.

use rusqlite::{Connection, OptionalExtension as _, params};
use workly_wire::chat::{AnswerRecord, MessageState};

use crate::database::exactly_one;
use crate::error::{StoreError, Stored};
use crate::messages::State;

/// What came to an answer since the last part of it was given to the store.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerPart {
    /// Number of the answer's message.
    pub message: i64,
    /// Where in the answer this text begins, bytes.
    pub start: usize,
    /// The text.
    pub text: String,
    /// How far the answer is. The part that ends it is the last one.
    pub state: MessageState,
    /// What is kept of it beside the text; whole, not only what is new.
    pub record: Option<AnswerRecord>,
}

impl AnswerPart {
    /// Takes in the part that follows this one.
    pub(crate) fn append(&mut self, next: Self) {
        self.text.push_str(&next.text);
        self.state = next.state;
        self.record = next.record;
    }
}

/// The text of an answer that is being written, from its pieces.
const PIECES: &str = "coalesce((SELECT group_concat(text, '' ORDER BY start) FROM pieces WHERE message = ?1), '')";

/// Keeps a part of an answer. The same part once more, or a longer one that begins where it did, takes its place; an
/// answer that has ended stays as it is.
pub(crate) fn write(connection: &Connection, part: &AnswerPart) -> Stored<()> {
    let record = part.record.as_ref().map(serde_json::to_string).transpose()?;
    let state = "SELECT state = 'streaming' FROM messages WHERE id = ?1";
    let is_open: Option<bool> =
        connection.prepare_cached(state)?.query_row([part.message], |row| row.get(0)).optional()?;
    match is_open {
        None => return Err(StoreError::Missing),
        Some(false) => return Ok(()),
        Some(true) => {}
    }
    write_piece(connection, part)?;
    if part.state == MessageState::Streaming {
        let update = "UPDATE messages SET record = ?2 WHERE id = ?1 AND record IS NOT ?2";
        connection.prepare_cached(update)?.execute(params![part.message, record])?;
        return Ok(());
    }
    let end = format!("UPDATE messages SET content = content || {PIECES}, state = ?2, record = ?3 WHERE id = ?1");
    let changed = connection.prepare_cached(&end)?.execute(params![part.message, State(part.state), record])?;
    connection.prepare_cached("DELETE FROM pieces WHERE message = ?1")?.execute([part.message])?;
    exactly_one(changed)
}

fn write_piece(connection: &Connection, part: &AnswerPart) -> Stored<()> {
    if part.text.is_empty() {
        return Ok(());
    }
    let start = i64::try_from(part.start).unwrap_or(i64::MAX);
    connection
        .prepare_cached("DELETE FROM pieces WHERE message = ?1 AND start >= ?2")?
        .execute([part.message, start])?;
    let last = "SELECT start + octet_length(text) FROM pieces WHERE message = ?1 ORDER BY start DESC LIMIT 1";
    let end: Option<i64> = connection.prepare_cached(last)?.query_row([part.message], |row| row.get(0)).optional()?;
    if start != end.unwrap_or(0) {
        return Err(StoreError::Gap(part.start));
    }
    connection.prepare_cached("INSERT INTO pieces (message, start, text) VALUES (?1, ?2, ?3)")?.execute(params![
        part.message,
        start,
        part.text
    ])?;
    Ok(())
}

/// Answers that a run before this one did not end are whole now, as far as they came. Writes nothing where there are none.
pub(crate) fn interrupt(connection: &Connection) -> Stored<()> {
    let any = "SELECT EXISTS (SELECT 1 FROM messages WHERE state = 'streaming') OR EXISTS (SELECT 1 FROM pieces)";
    if !connection.query_row(any, [], |row| row.get(0))? {
        return Ok(());
    }
    let whole = PIECES.replace("?1", "messages.id");
    connection.execute(
        &format!("UPDATE messages SET content = content || {whole}, state = 'interrupted' WHERE state = 'streaming'"),
        [],
    )?;
    connection.execute("DELETE FROM pieces", [])?;
    Ok(())
}
