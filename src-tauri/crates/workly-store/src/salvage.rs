//! What can still be read of a damaged file.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use crate::clean_up::rebuild_index;
use crate::error::Stored;
use crate::files::with_ending;
use crate::schema;
use workly_files::places::private_file;

/// What is read, those that others point to first.
const TABLES: [&str; 5] = ["conversations", "messages", "pieces", "switches", "memory"];
/// Reads that may fail before the rest of a table is given up.
const FAILURES: u32 = 5_000;
/// No table has more rows than this by far.
const HIGHEST: i64 = 1 << 52;

/// Reads a damaged file into `target`, a good database: what it holds already gives way to what the damaged file says.
/// The damaged file is not changed. Returns how many messages were read.
pub(crate) fn salvage(damaged: &Path, target: &Path) -> Stored<u32> {
    let copy = with_ending(target, ".reading");
    let salvaged = copy_with_log(damaged, &copy).map_err(Into::into).and_then(|()| read(&copy, target));
    for part in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(with_ending(&copy, part));
    }
    salvaged
}

/// A copy, since opening a file writes its log into it.
fn copy_with_log(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::copy(from, to)?;
    let log = with_ending(from, "-wal");
    if log.exists() {
        fs::copy(log, with_ending(to, "-wal"))?;
    }
    fill_up(to)
}

/// A file that was cut short gets the length that its header tells; `SQLite` would not read any of it otherwise.
fn fill_up(path: &Path) -> std::io::Result<()> {
    let mut file = private_file(path)?;
    let mut header = [0; 32];
    if file.read_exact(&mut header).is_err() {
        return Ok(());
    }
    // 65,536 is told as 1.
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    let told = page_bytes * u64::from(pages);
    let length = file.metadata()?.len();
    // No header is believed that tells of a file a hundred times as long.
    if length < told && told / 100 < length { file.set_len(told) } else { Ok(()) }
}

fn read(damaged: &Path, target: &Path) -> Stored<u32> {
    let source = Connection::open(damaged)?;
    schema::configure_reading(&source)?;
    let version = schema::version(&source)?;
    let mut target = Connection::open(target)?;
    schema::configure_reading(&target)?;
    // A backup may be of an older version than the file.
    let version = version.max(schema::version(&target)?).max(1);
    schema::migrate(&mut target, version)?;
    target.pragma_update(None, "foreign_keys", false)?;
    let transaction = target.transaction()?;
    let mut messages = 0;
    for table in TABLES {
        let Some(columns) = shared_columns(&source, &transaction, table) else { continue };
        let mut reader =
            Reader { source: &source, target: &transaction, table, columns: &columns, failures: 0, read: 0 };
        reader.read_all();
        if table == "messages" {
            messages = reader.read;
        }
        if table == "conversations" && reader.read > 0 && reader.failures == 0 {
            forget_removed(&source, &transaction)?;
        }
    }
    mend(&transaction)?;
    rebuild_index(&transaction)?;
    transaction.commit()?;
    Ok(messages)
}

/// The columns of a table that both files have; `None` where one of them has no such table.
fn shared_columns(source: &Connection, target: &Connection, table: &str) -> Option<Vec<String>> {
    let columns = |connection: &Connection| -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        statement.query_map([table], |row| row.get(0))?.collect()
    };
    let theirs = columns(source).ok()?;
    let ours = columns(target).ok()?;
    let shared: Vec<String> = ours.into_iter().filter(|name| theirs.contains(name)).collect();
    (!shared.is_empty()).then_some(shared)
}

/// Reads one table around what is damaged in it.
struct Reader<'a> {
    source: &'a Connection,
    target: &'a Connection,
    table: &'a str,
    columns: &'a [String],
    failures: u32,
    read: u32,
}

impl Reader<'_> {
    fn read_all(&mut self) {
        let highest = self.source.query_row(&format!("SELECT max(rowid) FROM {}", self.table), [], |row| row.get(0));
        let highest: Option<i64> = highest.unwrap_or(Some(HIGHEST));
        let mut ranges = vec![(i64::MIN, highest.unwrap_or(0))];
        while let Some((from, to)) = ranges.pop() {
            let Err(good) = self.read_range(from, to) else { continue };
            self.failures += 1;
            // Before the first row the damage may begin anywhere from 1 on.
            let next = good.map_or(from.max(1), |good| good + 1);
            if self.failures > FAILURES || next >= to {
                continue;
            }
            let middle = next + (to - next) / 2;
            ranges.extend([(middle + 1, to), (next, middle)]);
        }
    }

    /// Reads rows in order until one cannot be read; says which was the last good one.
    fn read_range(&mut self, from: i64, to: i64) -> Result<(), Option<i64>> {
        let columns = self.columns.join(", ");
        let select =
            format!("SELECT rowid, {columns} FROM {} WHERE rowid BETWEEN ?1 AND ?2 ORDER BY rowid", self.table);
        let places = vec!["?"; self.columns.len()].join(", ");
        let insert = format!("INSERT OR REPLACE INTO {} ({columns}) VALUES ({places})", self.table);
        let mut good = None;
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.source.prepare_cached(&select)?;
            let mut rows = statement.query([from, to])?;
            while let Some(row) = rows.next()? {
                // A row whose values make no sense is left out.
                let values = (1..=self.columns.len()).map(|index| value(row, index)).collect::<Result<Vec<_>, _>>()?;
                if self.target.prepare_cached(&insert)?.execute(params_from_iter(values)).is_ok() {
                    self.read += 1;
                }
                good = Some(row.get(0)?);
            }
            Ok(())
        };
        read().map_err(|_| good)
    }
}

fn value(row: &Row<'_>, index: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        _ => row.get(index)?,
    })
}

/// The list was read whole: what is not in it was removed since the backup.
fn forget_removed(source: &Connection, target: &Connection) -> Stored<()> {
    let mut statement = source.prepare("SELECT json_group_array(id) FROM conversations")?;
    let there: String = statement.query_row([], |row| row.get(0))?;
    let removed = "SELECT id FROM conversations WHERE id NOT IN (SELECT value FROM json_each(?1))";
    target.execute(&format!("DELETE FROM messages WHERE conversation IN ({removed})"), [&there])?;
    target.execute("DELETE FROM conversations WHERE id NOT IN (SELECT value FROM json_each(?1))", [&there])?;
    Ok(())
}

/// Gives messages whose conversation or parent is lost a place where they are seen.
fn mend(target: &Connection) -> Stored<()> {
    target.execute_batch(
        "INSERT INTO conversations (id, title, created_ms, updated_ms)
            SELECT m.conversation, substr(m.content, 1, 60), m.created_ms, max(m.created_ms) FROM messages m
            WHERE m.conversation NOT IN (SELECT id FROM conversations) GROUP BY m.conversation;
         UPDATE messages SET parent = NULL WHERE parent NOT IN (SELECT id FROM messages);
         UPDATE messages SET active_child = (SELECT max(c.id) FROM messages c WHERE c.parent = messages.id)
            WHERE active_child NOT IN (SELECT id FROM messages);
         UPDATE conversations SET active_root =
            (SELECT max(m.id) FROM messages m WHERE m.conversation = conversations.id AND m.parent IS NULL)
            WHERE active_root IS NULL OR active_root NOT IN (SELECT id FROM messages WHERE parent IS NULL);",
    )?;
    let has_pieces = "SELECT count(*) FROM sqlite_schema WHERE name = 'pieces'";
    if target.query_row(has_pieces, [], |row| row.get::<_, i64>(0))? > 0 {
        target.execute("DELETE FROM pieces WHERE message NOT IN (SELECT id FROM messages)", [])?;
    }
    Ok(())
}
