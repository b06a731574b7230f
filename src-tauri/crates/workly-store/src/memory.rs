//! A database in memory, for as long as the file cannot be had, and its way into the file.

use rusqlite::{Connection, params};

use crate::database::Store;
use crate::error::{StoreError, Stored};
use crate::schema;

/// Each table, and the columns that are taken over. The switch log is counted anew; it has no one who points to it.
const TABLES: [(&str, &str); 4] = [
    ("conversations", "id, title, is_renamed, created_ms, updated_ms, deleted_ms, settings, draft, active_root"),
    ("messages", "id, conversation, parent, role, content, state, created_ms, record, active_child"),
    ("pieces", "message, start, text"),
    ("switches", "at_ms, from_profile, to_profile, why, strategy"),
];

/// An empty store in memory.
///
/// Its numbers begin where those of no file have come, so that what is said in it keeps its numbers when the file can be
/// had: in thousandths of the milliseconds since 1970, which a number in a window still holds exactly.
pub(crate) fn in_memory(now_ms: i64) -> Store {
    let opened = Connection::open_in_memory().map_err(StoreError::from).and_then(|mut connection| {
        schema::configure(&connection)?;
        schema::migrate(&mut connection, schema::VERSION)?;
        connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('conversations', ?1), ('messages', ?1)",
            [now_ms.max(1) * 1_000],
        )?;
        Ok(connection)
    });
    #[expect(clippy::expect_used, reason = "the schema is a constant and memory is there, or nothing would run")]
    Store::new(opened.expect("an empty database in memory"))
}

/// Writes everything of a store in memory into the file.
///
/// # Errors
///
/// When the file cannot be written; nothing is in it then.
pub(crate) fn merge(memory: &Store, file: &mut Store) -> Stored<()> {
    let transaction = file.connection.transaction()?;
    transaction.pragma_update(None, "defer_foreign_keys", true)?;
    for (table, columns) in TABLES {
        let mut read = memory.connection.prepare(&format!("SELECT {columns} FROM {table} ORDER BY rowid"))?;
        let count = read.column_count();
        let places = vec!["?"; count].join(", ");
        let mut write = transaction.prepare(&format!("INSERT INTO {table} ({columns}) VALUES ({places})"))?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            for index in 0..count {
                write.raw_bind_parameter(index + 1, row.get::<_, rusqlite::types::Value>(index)?)?;
            }
            write.raw_execute()?;
        }
    }
    let mut read = memory.connection.prepare("SELECT name, value FROM memory WHERE value <> ''")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let (name, value): (String, String) = (row.get(0)?, row.get(1)?);
        transaction.execute(
            "INSERT INTO memory (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![name, value],
        )?;
    }
    Ok(transaction.commit()?)
}
