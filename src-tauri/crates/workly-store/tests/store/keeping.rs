//! Keeping what is said while the disk, another handle or a job is in the way.

use std::fs;

use rusqlite::Connection;
use workly_core::problem::ProblemCode;
use workly_store::{Conversations, DATABASE, FolderLock, Held, Store, StoreError, open, unix_ms};
use workly_wire::chat::{MessageState, StoreNotice};

use crate::room::{Writing, told};
use crate::sound::assert_sound;

#[tokio::test]
async fn an_answer_is_written_once_and_not_anew_with_every_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Conversations::open(Some(folder.path().to_path_buf()));
    let mut answer = Writing::begin(&store, "Count.").await.unwrap();
    for number in 0..300 {
        answer.say(&store, &format!("número {number} "));
        store.flushed().await.unwrap();
    }
    let connection = Connection::open(folder.path().join(DATABASE)).unwrap();
    let (whole, pieces): (String, i64) = connection
        .query_row(
            "SELECT content, (SELECT sum(octet_length(text)) FROM pieces) FROM messages WHERE role = 'assistant'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!((whole.as_str(), pieces), ("", i64::try_from(answer.text.len()).unwrap()), "each part lies there once");
    let id = answer.conversation;
    assert_eq!(store.read(move |store| store.view(id)).await.unwrap().messages[1].content, answer.text);
    answer.end(&store);
    store.flushed().await.unwrap();
    let view = store.read(move |store| store.view(id)).await.unwrap();
    assert_eq!((view.messages[1].content.as_str(), view.messages[1].state), (answer.text.as_str(), MessageState::Done));
    let left: i64 = connection.query_row("SELECT count(*) FROM pieces", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    store.close().await;
    assert!(!folder.path().join("conversations.db-wal").exists() || connection.close().is_ok());
    assert_sound(folder.path());
}

#[tokio::test]
async fn a_job_that_panics_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Conversations::open(Some(folder.path().to_path_buf()));
    let mut answer = Writing::begin(&store, "One?").await.unwrap();
    answer.say(&store, "Half");
    let failed = store.with(|store: &mut Store| {
        store.create(7)?;
        assert!(store.list()?.is_empty(), "on purpose");
        Ok::<_, StoreError>(())
    });
    assert_eq!(failed.await.unwrap_err().code, ProblemCode::StoreFailed);
    answer.say(&store, " and half");
    answer.end(&store);
    store.flushed().await.unwrap();
    let id = answer.conversation;
    assert_eq!(store.read(move |store| store.view(id)).await.unwrap().messages[1].content, "Half and half");
}

#[tokio::test]
async fn a_second_program_on_a_folder_touches_nothing_and_keeps_what_was_said_in_it_afterwards() {
    let around = tempfile::tempdir().unwrap();
    let folder = around.path().join("data");
    let first = Conversations::open(Some(folder.clone()));
    let mut answer = Writing::begin(&first, "First?").await.unwrap();
    answer.say(&first, "Half");
    first.flushed().await.unwrap();
    #[cfg(unix)]
    let other_name = {
        let link = around.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        link
    };
    #[cfg(not(unix))]
    let other_name = folder.clone();
    assert!(matches!(FolderLock::take(&other_name), Err(Held::ByAnother)));

    let second = Conversations::open(Some(other_name));
    let mut notices = second.notices();
    assert_eq!(told(&mut notices, "in use", |told| !told.is_empty()).await, [StoreNotice::InUse]);
    assert_eq!(second.snapshot().await.unwrap().conversations, []);
    let mut late = Writing::begin(&second, "Second?").await.unwrap();
    late.say(&second, "in memory");

    answer.say(&first, " and half");
    answer.end(&first);
    first.close().await;
    told(&mut notices, "saved", |told| told.contains(&StoreNotice::Saved)).await;
    // What was begun in memory goes on in the file, under the same numbers.
    late.say(&second, ", then on the disk");
    late.end(&second);
    second.flushed().await.unwrap();
    second.close().await;

    let store = open(Some(&folder), unix_ms()).store;
    assert_eq!(store.list().unwrap().len(), 2);
    for writing in [&answer, &late] {
        let message = &store.view(writing.conversation).unwrap().messages[1];
        assert_eq!((message.content.as_str(), message.state), (writing.text.as_str(), MessageState::Done));
    }
    drop(store);
    assert_sound(&folder);
}

#[tokio::test]
async fn an_index_that_does_not_fit_the_messages_is_made_anew_and_takes_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(Some(folder.path()), unix_ms()).store;
    let gone = store.create(1).unwrap();
    store.ask(gone, "a few words", 1).unwrap();
    store.delete(gone, 2).unwrap();
    drop(store);
    // As two programs on one file, or an earlier Workly, left it.
    let connection = Connection::open(folder.path().join(DATABASE)).unwrap();
    let trigger: String = connection
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'message_changed'", [], |row| row.get(0))
        .unwrap();
    connection
        .execute_batch(&format!(
            "DROP TRIGGER message_changed; UPDATE messages SET content = content || ' and three more'; {trigger};"
        ))
        .unwrap();
    drop(connection);

    let store = Conversations::open(Some(folder.path().to_path_buf()));
    let kept = Writing::begin(&store, "Is this kept?").await.unwrap();
    assert_eq!(*store.notices().borrow(), []);
    // The one that was deleted is removed in time, whatever the index says.
    let gone = async {
        loop {
            let count = store.read(|store| store.search("words")).await.unwrap().len();
            let left = Connection::open(folder.path().join(DATABASE)).unwrap();
            let left: i64 = left.query_row("SELECT count(*) FROM conversations", [], |row| row.get(0)).unwrap();
            if (count, left) == (0, 1) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(2), gone).await.unwrap();
    store.close().await;
    let store = open(Some(folder.path()), unix_ms());
    assert!(store.is_kept);
    assert_eq!(store.store.list().unwrap()[0].id, kept.conversation);
    drop(store);
    assert_sound(folder.path());
}

#[tokio::test]
async fn an_unclean_end_is_checked_in_the_background_and_damage_is_told_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DATABASE);
    let store = Conversations::open(Some(folder.path().to_path_buf()));
    for number in 0..40 {
        let mut answer = Writing::begin(&store, &format!("Question {number}")).await.unwrap();
        answer.say(&store, &"A long answer of many words. ".repeat(200));
        answer.end(&store);
        store.flushed().await.unwrap();
    }
    store.close().await;
    let mut bytes = fs::read(&path).unwrap();
    // Overflow pages near the end: no list touches them.
    let pages = bytes.len() / 4096;
    bytes[(pages - 30) * 4096..(pages - 28) * 4096].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    // A log that stayed, of no use to anybody.
    fs::write(folder.path().join("conversations.db-wal"), [0; 4096]).unwrap();

    let store = Conversations::open(Some(folder.path().to_path_buf()));
    let mut notices = store.notices();
    let notices = told(&mut notices, "damage", |told| !told.is_empty()).await;
    let [StoreNotice::Salvaged { messages, backup_ms: None, kept_as }] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    assert!(*messages > 60, "{messages} of 80");
    assert_eq!(fs::metadata(folder.path().join(kept_as)).unwrap().len(), bytes.len() as u64);
    let list = store.read(Store::list).await.unwrap();
    assert_eq!(list.len(), 40);
    let mut answer = Writing::begin(&store, "And now?").await.unwrap();
    answer.say(&store, "It goes on.");
    answer.end(&store);
    store.flushed().await.unwrap();
    store.close().await;
    assert_sound(folder.path());
}
