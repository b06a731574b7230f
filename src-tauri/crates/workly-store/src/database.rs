//! The opened database, and what every part of the store does with it.

use rusqlite::{Connection, OptionalExtension as _};

use crate::error::{StoreError, Stored};

/// The conversations and the switch log. Every change outlives the program when its function returns.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
}

impl Store {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

pub(crate) fn exactly_one(changed: usize) -> Stored<()> {
    if changed == 1 { Ok(()) } else { Err(StoreError::Missing) }
}

/// Keeps a value under a name.
pub(crate) fn remember(connection: &Connection, name: &str, value: &str) -> Stored<()> {
    let upsert =
        "INSERT INTO memory (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(upsert)?.execute([name, value])?;
    Ok(())
}

/// The value kept under a name.
pub(crate) fn recall(connection: &Connection, name: &str) -> Stored<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM memory WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}
