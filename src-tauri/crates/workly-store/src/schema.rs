//! The tables, and how older files come to have them.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, params};
use serde_json::{Value, json};
use workly_core::why::Why;

use crate::answers;
use crate::clean_up::rebuild_index;
use crate::error::{StoreError, Stored};

/// The version of files that this Workly writes.
pub(crate) const VERSION: i64 = 2;

/// How long a statement waits for another program to let go of the file. Short: what is written is kept in memory and
/// tried again, and whoever asks is told.
const BUSY: Duration = Duration::from_millis(250);
/// The log beside the file is cut to this after it was moved into the file, bytes.
const LOG_BYTES: i64 = 4 * 1024 * 1024;

/// Messages form a tree: an edit or another answer stands beside the first one, under the same parent. Which of them is
/// shown is remembered by the parent, so that a branch comes back as it was left.
///
/// Full-text search takes a message up when it is complete: an answer is rewritten several times a second before.
const FIRST: &str = "
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL DEFAULT '',
    is_renamed INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    deleted_ms INTEGER,
    settings TEXT NOT NULL DEFAULT '{}',
    draft TEXT NOT NULL DEFAULT '',
    active_root INTEGER
) STRICT;
CREATE INDEX conversations_by_time ON conversations (updated_ms) WHERE deleted_ms IS NULL;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    parent INTEGER REFERENCES messages (id),
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    record TEXT,
    active_child INTEGER
) STRICT;
CREATE INDEX messages_of ON messages (conversation, parent);
CREATE INDEX messages_under ON messages (parent);
CREATE INDEX messages_streaming ON messages (conversation) WHERE state = 'streaming';

CREATE VIRTUAL TABLE message_text USING fts5 (
    content, content = 'messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4 5'
);
CREATE TRIGGER message_added AFTER INSERT ON messages WHEN new.state <> 'streaming' BEGIN
    INSERT INTO message_text (rowid, content) VALUES (new.id, new.content);
END;
CREATE TRIGGER message_ended AFTER UPDATE OF state ON messages
WHEN old.state = 'streaming' AND new.state <> 'streaming' BEGIN
    INSERT INTO message_text (rowid, content) VALUES (new.id, new.content);
END;
CREATE TRIGGER message_gone AFTER DELETE ON messages WHEN old.state <> 'streaming' BEGIN
    INSERT INTO message_text (message_text, rowid, content) VALUES ('delete', old.id, old.content);
END;

CREATE VIRTUAL TABLE title_text USING fts5 (
    title, content = 'conversations', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER title_added AFTER INSERT ON conversations BEGIN
    INSERT INTO title_text (rowid, title) VALUES (new.id, new.title);
END;
CREATE TRIGGER title_changed AFTER UPDATE OF title ON conversations BEGIN
    INSERT INTO title_text (title_text, rowid, title) VALUES ('delete', old.id, old.title);
    INSERT INTO title_text (rowid, title) VALUES (new.id, new.title);
END;
CREATE TRIGGER title_gone AFTER DELETE ON conversations BEGIN
    INSERT INTO title_text (title_text, rowid, title) VALUES ('delete', old.id, old.title);
END;

CREATE TABLE switches (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    from_profile TEXT NOT NULL,
    to_profile TEXT NOT NULL,
    reason TEXT NOT NULL,
    code TEXT NOT NULL,
    strategy TEXT,
    gap_ms REAL
) STRICT;

CREATE TABLE memory (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
";

/// An answer lies in pieces while it is written; the index of the search follows every change of a complete message, and
/// holds nothing of what was removed; reasons are codes.
const SECOND: &str = "
CREATE TABLE pieces (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    start INTEGER NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (message, start)
) STRICT;

DROP TRIGGER message_added;
DROP TRIGGER message_ended;
DROP TRIGGER message_gone;
DROP TABLE message_text;
CREATE VIEW complete_messages AS SELECT id, content FROM messages WHERE state <> 'streaming';
CREATE VIRTUAL TABLE message_text USING fts5 (
    content, content = 'complete_messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2',
    prefix = '2 3 4 5'
);
INSERT INTO message_text (message_text, rank) VALUES ('secure-delete', 1);
INSERT INTO title_text (title_text, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER message_added AFTER INSERT ON messages WHEN new.state <> 'streaming' BEGIN
    INSERT INTO message_text (rowid, content) VALUES (new.id, new.content);
END;
CREATE TRIGGER message_changed AFTER UPDATE OF state, content ON messages
WHEN old.content IS NOT new.content OR (old.state = 'streaming') <> (new.state = 'streaming') BEGIN
    INSERT INTO message_text (message_text, rowid, content)
        SELECT 'delete', old.id, old.content WHERE old.state <> 'streaming';
    INSERT INTO message_text (rowid, content) SELECT new.id, new.content WHERE new.state <> 'streaming';
END;
CREATE TRIGGER message_gone AFTER DELETE ON messages WHEN old.state <> 'streaming' BEGIN
    INSERT INTO message_text (message_text, rowid, content) VALUES ('delete', old.id, old.content);
END;

CREATE INDEX conversations_deleted ON conversations (deleted_ms) WHERE deleted_ms IS NOT NULL;
CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    from_profile TEXT NOT NULL,
    to_profile TEXT NOT NULL,
    why TEXT NOT NULL,
    strategy TEXT
) STRICT;
";

/// How this process talks to the file. A commit outlives the program when it returns, and the machine soon after
/// ([`crate::disk`]); what is deleted is overwritten, and what a stranger may have put into the schema does nothing.
pub(crate) fn configure(connection: &Connection) -> Stored<()> {
    connection.busy_timeout(BUSY)?;
    configure_reading(connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    Ok(())
}

/// How this process reads a file that it does not write to.
pub(crate) fn configure_reading(connection: &Connection) -> Stored<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Makes a new file, in the form that [`configure`] then finds.
pub(crate) fn make(path: &Path) -> Stored<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    migrate(&mut connection, VERSION)
}

/// The version of a file; 0 for a new one.
///
/// # Errors
///
/// When it is newer than this Workly, or cannot be read.
pub(crate) fn version(connection: &Connection) -> Stored<i64> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if (0..=VERSION).contains(&version) { Ok(version) } else { Err(StoreError::TooNew(version)) }
}

/// Brings the file to a version; one step for each, and a step is never changed once it was released.
pub(crate) fn migrate(connection: &mut Connection, to: i64) -> Stored<()> {
    for next in version(connection)? + 1..=to {
        let transaction = connection.transaction()?;
        match next {
            1 => transaction.execute_batch(FIRST)?,
            _ => second(&transaction)?,
        }
        transaction.pragma_update(None, "user_version", next)?;
        transaction.commit()?;
    }
    Ok(())
}

fn second(transaction: &Transaction<'_>) -> Stored<()> {
    transaction.execute_batch(SECOND)?;
    answers::interrupt(transaction)?;
    rebuild_index(transaction)?;
    give_records_codes(transaction)?;
    give_switches_codes(transaction)
}

/// In the record of each answer, `switches[].switch.reason`, a sentence, becomes `why`.
fn give_records_codes(transaction: &Transaction<'_>) -> Stored<()> {
    let mut read = transaction.prepare("SELECT id, record FROM messages WHERE record LIKE '%\"reason\"%'")?;
    let mut write = transaction.prepare("UPDATE messages SET record = ?2 WHERE id = ?1")?;
    let records =
        read.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, String)>, _>>()?;
    for (id, record) in records {
        let Ok(mut record) = serde_json::from_str::<Value>(&record) else { continue };
        for placed in record.get_mut("switches").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(switch) = placed.get_mut("switch").and_then(Value::as_object_mut) else { continue };
            if let Some(reason) = switch.remove("reason") {
                switch.entry("why").or_insert_with(|| json!({ "code": "text", "text": reason.as_str().unwrap_or("") }));
            }
        }
        write.execute(params![id, record.to_string()])?;
    }
    Ok(())
}

/// In the switch log, a reason's sentence and code become one value.
fn give_switches_codes(transaction: &Transaction<'_>) -> Stored<()> {
    let mut read = transaction.prepare("SELECT id, reason, code FROM switches")?;
    let mut write = transaction.prepare(
        "INSERT INTO changes SELECT id, at_ms, from_profile, to_profile, ?2, strategy FROM switches WHERE id = ?1",
    )?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let (id, reason, code): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // Without a code, the reason was written as one already.
        let known = code.is_empty().then(|| serde_json::from_str::<Option<Why>>(&reason).ok()).flatten();
        let why = known.unwrap_or_else(|| Some(Why::from(reason.as_str())));
        write.execute(params![id, serde_json::to_string(&why)?])?;
    }
    transaction.execute_batch("DROP TABLE switches; ALTER TABLE changes RENAME TO switches;")?;
    Ok(())
}
