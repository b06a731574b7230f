//! Whether what lies on the disk is whole.

use std::path::Path;

use rusqlite::Connection;
use workly_store::DATABASE;

/// The index of the search is what the messages say it should be, and the file is whole.
pub(crate) fn assert_sound(folder: &Path) {
    let connection = Connection::open(folder.join(DATABASE)).unwrap();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    for index in ["message_text", "title_text"] {
        let check = format!("INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)");
        connection.execute(&check, []).unwrap();
    }
}
