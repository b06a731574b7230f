//! A file that is no database any more, and one that another program holds.

use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::{TempDir, tempdir};
use workly_store::{DATABASE, open, unix_ms};

use crate::asked_for;
use crate::ends::gone;
use crate::harness::signal;
use crate::person::{ANSWER, Person, tell_slowest, words};
use crate::remains::{SharedMemory, assert_clean};
use rustix::process::Signal;

/// A short conversation, as an earlier run left it.
pub(crate) async fn earlier(data: &Rc<TempDir>) -> String {
    let mut person = Person::sits_down(data).await;
    person.asks("Say hello.").await;
    let answer = person.reads_to_the_end().await;
    quit(person).await;
    answer
}

pub(crate) async fn quit(person: Person) {
    let program = person.desktop.program();
    signal(program, Signal::TERM);
    gone(program).await;
}

#[tokio::test]
async fn a_database_of_no_bytes_or_of_zeros_is_kept_aside_and_told() {
    let (data, shared) = (Rc::new(tempdir().unwrap()), SharedMemory::now());
    earlier(&data).await;
    let path = data.path().join(DATABASE);
    let length = fs::metadata(&path).unwrap().len();
    for damaged in [Vec::new(), vec![0; usize::try_from(length).unwrap()]] {
        fs::write(&path, &damaged).unwrap();
        let before = names(data.path());
        let mut person = Person::sits_down(&data).await;
        let kept = names(data.path()).into_iter().find(|name| name.contains("damaged") && !before.contains(name));
        let kept = kept.expect("the old file is kept");
        let is_told = || async {
            let notice = |kind| format!("[data-testid=store-notice][data-type={kind}]");
            let (emptied, restored) = (notice("emptied"), notice("restored"));
            person.desktop.last_text(&emptied).await.contains(&kept)
                || person.desktop.last_text(&restored).await.contains(&kept)
        };
        person.desktop.wait_for("the name of the old file", is_told).await;
        assert_eq!(fs::read(data.path().join(&kept)).unwrap(), damaged);
        person.desktop.save_screenshot("kept-damaged").await;
        person.asks("Say hello.").await;
        let answer = person.reads_to_the_end().await;
        tell_slowest("a damaged file", person.slowest());
        quit(person).await;
        assert_clean(data.path(), &shared);
        let person = Person::sits_down(&data).await;
        let shown = || async { words(&person.desktop.last_text(ANSWER).await) == words(&answer) };
        person.desktop.wait_for("the answer of before", shown).await;
        quit(person).await;
    }
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a_file_that_another_program_holds_at_the_start_and_during_an_answer_costs_no_word() {
    let time = Duration::from_secs(asked_for("WORKLY_SOAK_LOCKED_S", 4));
    let (data, shared) = (Rc::new(tempdir().unwrap()), SharedMemory::now());
    earlier(&data).await;

    let held = hold(data.path(), true);
    let mut person = Person::sits_down(&data).await;
    person.is_told("not_kept").await;
    person.asks("Tell me a story while the file is held, a long one.").await;
    let first = person.reads_to_the_end().await;
    person.reads_for(time).await;
    person.desktop.save_screenshot("kept-not-kept").await;
    drop(held);
    person.is_told("saved").await;

    person.asks("Tell me another story, a very long one with many chapters.").await;
    person.reads(40).await;
    let held = hold(data.path(), false);
    person.reads_for(time).await;
    person.is_told("not_saved").await;
    person.desktop.save_screenshot("kept-not-saved").await;
    let second = person.reads_to_the_end().await;
    drop(held);
    person.is_told("saved").await;
    tell_slowest("a file that is held", person.slowest());
    quit(person).await;
    assert_clean(data.path(), &shared);

    let mut kept = answers(data.path());
    kept.sort_unstable();
    assert_eq!(kept.len(), 3);
    for whole in [first, second] {
        // On the page it is rendered; its words are the same.
        let first_words: String = plain(&whole);
        assert!(kept.iter().any(|text| plain(text).starts_with(&first_words)), "{whole}\n is not in {kept:?}");
    }
}

/// Letters alone: what Markdown does to a text leaves them as they are.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|character| character.is_alphabetic()).collect()
}

/// The text of every answer on the disk, as the next start finds it.
pub(crate) fn answers(data: &Path) -> Vec<String> {
    drop(open(Some(data), unix_ms()));
    let connection = Connection::open(data.join(DATABASE)).unwrap();
    let mut read = connection.prepare("SELECT content FROM messages WHERE role = 'assistant'").unwrap();
    read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Another program that writes to the file and does not finish; one that is alone with it lets nobody read either.
fn hold(data: &Path, is_alone: bool) -> Connection {
    let connection = Connection::open(data.join(DATABASE)).unwrap();
    if is_alone {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    }
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection.execute_batch("BEGIN EXCLUSIVE; DELETE FROM memory WHERE name = 'nothing'").unwrap();
    connection
}
