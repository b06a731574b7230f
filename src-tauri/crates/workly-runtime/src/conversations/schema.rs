//! The tables, and how older files come to have them.

use rusqlite::Connection;

use super::{StoreError, Stored};

/// One step for each version of the file; a step is never changed once it was released.
const STEPS: [&str; 1] = [FIRST];

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

/// How this process talks to the file. Every commit is on the disk when it returns.
pub(super) fn configure(connection: &Connection) -> Stored<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Brings the file to the present version.
pub(super) fn migrate(connection: &mut Connection) -> Stored<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).ok().filter(|done| *done <= STEPS.len()).ok_or(StoreError::TooNew(version))?;
    for (version, step) in (1_i64..).zip(STEPS).skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
