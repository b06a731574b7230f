//! Conversations as they lie on the disk, without anybody having said them.

use std::path::Path;

use rusqlite::{Connection, params};
use workly_store::{DATABASE, open, unix_ms};

/// A message: its text, and the record of an answer as JSON. The user's come first, then they alternate.
pub(crate) type Said = (String, Option<String>);

/// Writes conversations into a data folder; the last one is the open one.
pub(crate) fn write(data: &Path, conversations: impl IntoIterator<Item = (String, Vec<Said>)>) {
    drop(open(Some(data), unix_ms()));
    let mut connection = Connection::open(data.join(DATABASE)).unwrap();
    let transaction = connection.transaction().unwrap();
    let mut next = 1_i64;
    let mut last = None;
    {
        let mut begin = transaction
            .prepare("INSERT INTO conversations (title, is_renamed, created_ms, updated_ms, active_root) VALUES (?1, 1, 0, ?2, ?3)")
            .unwrap();
        let mut say = transaction
            .prepare(
                "INSERT INTO messages (id, conversation, parent, role, content, state, created_ms, record, active_child)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'done', 0, ?6, ?7)",
            )
            .unwrap();
        for (title, messages) in conversations {
            let id = begin.insert(params![title, next, next]).unwrap();
            let count = messages.len();
            for (index, (content, record)) in messages.into_iter().enumerate() {
                let role = if index % 2 == 0 { "user" } else { "assistant" };
                let parent = (index > 0).then_some(next - 1);
                let child = (index + 1 < count).then_some(next + 1);
                say.execute(params![next, id, parent, role, content, record, child]).unwrap();
                next += 1;
            }
            last = Some(id);
        }
    }
    transaction.commit().unwrap();
    drop(connection);
    open(Some(data), unix_ms()).store.set_open(last).unwrap();
}
