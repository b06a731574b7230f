//! Files of earlier versions.

use std::fs;

use rusqlite::Connection;
use workly_core::why::Why;
use workly_store::{DATABASE, Opened, open, unix_ms};
use workly_wire::chat::MessageState;

use crate::sound::assert_sound;

/// A file as version 1 wrote it: its own schema, and an index that an answer outgrew after its end.
const FIRST: &str = include_str!("version-1.sql");

#[test]
fn a_file_of_version_1_is_copied_first_and_then_has_codes_and_an_exact_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DATABASE);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(FIRST).unwrap();
    drop(connection);

    let Opened { store, notices, is_kept, .. } = open(Some(folder.path()), unix_ms());
    assert!(is_kept && notices.is_empty(), "{notices:?}");
    let view = store.view(1).unwrap();
    let answer = view.messages[1].answer.clone().unwrap();
    assert_eq!(answer.switches.len(), 1);
    assert_eq!(answer.switches[0].switch.why, Why::from("cpu_fallback: VRAM 94 % (game 4.0 GB)"));
    assert_eq!(answer.switches[0].at_text, 9);
    assert_eq!(view.messages[1].state, MessageState::Interrupted, "it was being written when version 1 ended");
    let whys: Vec<Option<Why>> = store.switches(9).unwrap().into_iter().map(|entry| entry.why).collect();
    let asked = Why::Asked { after_token: Some(7) };
    assert_eq!(whys, [None, Some(asked), Some(Why::from("performance: VRAM 20 %"))]);
    assert_eq!(store.search("outgrown tail").unwrap().len(), 1, "the end of an answer is found");
    drop(store);
    assert_sound(folder.path());

    let backups: Vec<_> =
        fs::read_dir(folder.path().join("backups")).unwrap().map(|file| file.unwrap().path()).collect();
    let [backup] = backups.as_slice() else { panic!("{backups:?}") };
    let version = |path| -> i64 {
        Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    assert_eq!((version(backup), version(&path)), (1, 2));
}
