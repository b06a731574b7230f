//! The file of conversations on a real disk: backups, damage, and a file that a newer Workly wrote.

use std::fs;
use std::path::Path;

use workly_store::{BACKUPS_KEPT, DATABASE, Opened, back_up, open, unix_ms};
use workly_wire::chat::StoreNotice;

use crate::sound::assert_sound;

/// A database with one conversation.
fn with_history(folder: &Path) -> i64 {
    let mut store = open(Some(folder), unix_ms()).store;
    let id = store.create(1).unwrap();
    store.rename(id, "Precious").unwrap();
    store.ask(id, "Is it kept?", 2).unwrap();
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
fn a_file_of_which_nothing_is_left_is_kept_and_the_newest_good_backup_takes_its_place() {
    for damage in [empty, zero, replace_by_text, zero_header] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DATABASE);
        let id = with_history(folder.path());
        back_up(folder.path(), 1_000_000).unwrap();
        // The newest backup is damaged too.
        let newest = back_up(folder.path(), 2_000_000).unwrap();
        replace_by_text(&newest);
        damage(&path);
        let damaged = fs::read(&path).unwrap();

        let Opened { store, notices, lock, .. } = open(Some(folder.path()), unix_ms());
        let [StoreNotice::Restored { backup_ms: 1_000_000, kept_as }] = notices.as_slice() else {
            panic!("{notices:?}")
        };
        assert_eq!(store.summary(id).unwrap().title, "Precious");
        assert!(fs::read(folder.path().join(kept_as)).unwrap() == damaged, "the damaged file is kept as it was");
        drop((store, lock));
        assert_eq!(open(Some(folder.path()), unix_ms()).notices, [], "it is told once");
        assert_sound(folder.path());
    }
}

#[test]
fn a_file_that_is_gone_comes_back_from_the_newest_backup_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let id = with_history(folder.path());
    back_up(folder.path(), 1_000_000).unwrap();
    fs::remove_file(folder.path().join(DATABASE)).unwrap();
    // The log of the file that is gone is no log of the backup.
    fs::write(folder.path().join("conversations.db-wal"), [7; 8192]).unwrap();
    let Opened { store, notices, .. } = open(Some(folder.path()), unix_ms());
    assert_eq!(notices, [StoreNotice::Missing { backup_ms: 1_000_000 }]);
    assert_eq!(store.summary(id).unwrap().title, "Precious");
}

#[test]
fn a_damaged_file_is_read_as_far_as_it_can_be_before_a_day_is_thrown_away() {
    for damage in [damage_pages, truncate] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DATABASE);
        with_history(folder.path());
        back_up(folder.path(), 1_000_000).unwrap();
        // What was said since is in no backup.
        let mut store = open(Some(folder.path()), unix_ms()).store;
        let said: Vec<i64> = (0..200)
            .map(|number| {
                let id = store.create(number).unwrap();
                store
                    .ask(id, &format!("Question {number}. {}", "A word and another one. ".repeat(40)), number)
                    .unwrap();
                id
            })
            .collect();
        drop(store);
        damage(&path);
        let damaged = fs::read(&path).unwrap();

        let Opened { store, notices, .. } = open(Some(folder.path()), unix_ms());
        let [StoreNotice::Salvaged { messages, backup_ms, kept_as }] = notices.as_slice() else {
            panic!("{notices:?}")
        };
        assert_eq!(*backup_ms, Some(1_000_000));
        assert!(fs::read(folder.path().join(kept_as)).unwrap() == damaged, "the damaged file is kept as it was");
        assert!(*messages > 50, "{messages} of 200 messages were read");
        let list = store.list().unwrap();
        assert!(list.len() > 50, "{} of {} conversations", list.len(), said.len());
        for summary in &list {
            store.view(summary.id).unwrap();
        }
        drop(store);
        assert_sound(folder.path());
    }
}

#[test]
fn a_damaged_file_without_a_backup_is_kept_and_workly_starts_empty() {
    for damage in [empty, zero, replace_by_text] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DATABASE);
        with_history(folder.path());
        damage(&path);
        let damaged = fs::read(&path).unwrap();
        let Opened { mut store, notices, .. } = open(Some(folder.path()), unix_ms());
        let [StoreNotice::Emptied { kept_as }] = notices.as_slice() else { panic!("{notices:?}") };
        assert_eq!(fs::read(folder.path().join(kept_as)).unwrap(), damaged);
        assert_eq!(store.list().unwrap(), []);
        store.create(1).unwrap();
    }
}

#[test]
fn what_cannot_be_kept_is_kept_in_memory_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in-the-way");
    fs::write(&file, "").unwrap();
    for place in [None, Some(file.as_path())] {
        let Opened { mut store, notices, .. } = open(place, unix_ms());
        assert!(matches!(notices.as_slice(), [StoreNotice::NotKept { .. }]), "{notices:?}");
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
    let notices = open(Some(folder.path()), unix_ms()).notices;
    let [StoreNotice::NotKept { details }] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(details.contains("99"), "{details}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_file_its_log_or_a_backup_even_where_they_could_before() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    with_history(folder.path());
    for (name, mode) in [("", 0o755), (DATABASE, 0o644)] {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let opened = open(Some(folder.path()), unix_ms());
    back_up(folder.path(), 1_000_000).unwrap();
    let backups = folder.path().join("backups");
    let inside = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let all = [vec![folder.path().to_path_buf()], inside(folder.path()), inside(&backups)].concat();
    assert!(all.len() >= 6, "{all:?}");
    for path in all {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is {:o}", path.display(), mode & 0o777);
    }
    drop(opened);
}

#[test]
fn what_was_deleted_is_in_no_byte_of_the_file_once_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(Some(folder.path()), unix_ms()).store;
    let kept = store.create(1).unwrap();
    store.ask(kept, "harmless", 1).unwrap();
    let secret = store.create(1).unwrap();
    store.ask(secret, &"xylophonist quinquereme ".repeat(400), 1).unwrap();
    store.delete(secret, 10).unwrap();
    while store.remove_deleted(11, 20).unwrap() {}
    drop(store);
    for name in [DATABASE, "conversations.db-wal"] {
        let bytes = fs::read(folder.path().join(name)).unwrap_or_default();
        for word in ["xylophonist", "quinquereme", "ylophonist"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word} is still in {name}");
        }
    }
    assert_sound(folder.path());
}

/// Pages of the list's table: cells that no longer make sense, while what is around them does.
fn damage_pages(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let page =
        "SELECT pageno FROM dbstat WHERE name = 'conversations' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 1";
    let page: i64 = connection.query_row(page, [], |row| row.get(0)).unwrap();
    let page = usize::try_from(page).unwrap();
    drop(connection);
    let mut bytes = fs::read(path).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn replace_by_text(path: &Path) {
    fs::write(path, "this is no database ".repeat(500)).unwrap();
}

fn empty(path: &Path) {
    fs::write(path, "").unwrap();
}

fn zero(path: &Path) {
    let length = fs::read(path).unwrap().len();
    fs::write(path, vec![0; length]).unwrap();
}

fn zero_header(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[..100].fill(0);
    fs::write(path, bytes).unwrap();
}
