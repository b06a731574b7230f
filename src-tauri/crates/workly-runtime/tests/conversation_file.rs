//! The file of conversations on a real disk: backups, damage, and a file that a newer Workly wrote.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::Path;

use workly_runtime::conversations::{BACKUPS_KEPT, DATABASE, Opened, back_up, now_ms, open};
use workly_wire::chat::StoreNotice;

/// A database with one conversation.
fn with_history(folder: &Path) -> i64 {
    let mut store = open(Some(folder), now_ms()).store;
    let id = store.create(1).unwrap();
    store.rename(id, "Precious").unwrap();
    id
}

#[test]
fn three_backups_are_kept_and_the_oldest_gives_way() {
    let folder = tempfile::tempdir().unwrap();
    with_history(folder.path());
    let day = 24 * 3_600 * 1_000;
    let made: Vec<_> = (1..=5).map(|number| back_up(folder.path(), number * day).unwrap()).collect();
    let mut left: Vec<_> = fs::read_dir(folder.path().join("backups")).unwrap().map(|f| f.unwrap().path()).collect();
    left.sort();
    assert_eq!(left, made[made.len() - BACKUPS_KEPT..]);
}

#[test]
fn a_damaged_file_is_kept_and_the_newest_good_backup_takes_its_place() {
    for damage in [damage_page, truncate, replace_by_text] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DATABASE);
        let id = with_history(folder.path());
        back_up(folder.path(), 1_000_000).unwrap();
        // The newest backup is damaged too.
        let newest = back_up(folder.path(), 2_000_000).unwrap();
        replace_by_text(&newest);
        damage(&path);
        let damaged = fs::read(&path).unwrap();

        let Opened { store, notice } = open(Some(folder.path()), now_ms());
        let Some(StoreNotice::Restored { backup_ms, kept_as }) = notice else { panic!("{notice:?}") };
        assert_eq!(backup_ms, 1_000_000);
        assert_eq!(store.summary(id).unwrap().title, "Precious");
        assert_eq!(fs::read(folder.path().join(kept_as)).unwrap(), damaged, "the damaged file is kept as it was");
        drop(store);
        assert_eq!(open(Some(folder.path()), now_ms()).notice, None, "it is told once");
    }
}

#[test]
fn a_damaged_file_without_a_backup_is_kept_and_workly_starts_empty() {
    let folder = tempfile::tempdir().unwrap();
    with_history(folder.path());
    replace_by_text(&folder.path().join(DATABASE));
    let Opened { mut store, notice } = open(Some(folder.path()), now_ms());
    assert!(matches!(notice, Some(StoreNotice::Emptied { .. })), "{notice:?}");
    assert_eq!(store.list().unwrap(), []);
    store.create(1).unwrap();
}

#[test]
fn what_cannot_be_kept_is_kept_in_memory_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in-the-way");
    fs::write(&file, "").unwrap();
    for place in [None, Some(file.as_path())] {
        let Opened { mut store, notice } = open(place, now_ms());
        assert!(matches!(notice, Some(StoreNotice::NotKept { .. })), "{notice:?}");
        store.create(1).unwrap();
    }
}

#[test]
fn a_file_of_a_newer_workly_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    with_history(folder.path());
    let path = folder.path().join(DATABASE);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    let notice = open(Some(folder.path()), now_ms()).notice;
    assert!(matches!(&notice, Some(StoreNotice::NotKept { details }) if details.contains("99")), "{notice:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

fn damage_page(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    // The second page and what follows: tables, whose cells no longer make sense.
    for byte in &mut bytes[4096..4096 * 6] {
        *byte = 0xa5;
    }
    fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn replace_by_text(path: &Path) {
    fs::write(path, "this is no database ".repeat(500)).unwrap();
}
