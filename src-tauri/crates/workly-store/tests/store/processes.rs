//! Other programs that hold the file, disks that are full, and a disk whose `fsync` takes its time: real processes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use workly_store::{Conversations, DATABASE, Store, open, unix_ms};
use workly_wire::chat::{MessageState, StoreNotice};

use crate::preload;
use crate::room::{Writing, told};
use crate::sound::assert_sound;

/// What a child is to do; unset in every other run.
const ROLE: &str = "WORKLY_TEST_STORE_ROLE";
const FOLDER: &str = "WORKLY_TEST_STORE_FOLDER";

/// Not a test of its own: the other program of the tests below.
#[tokio::test]
#[ignore = "the child process of the tests below"]
async fn child() {
    let (Ok(role), Some(folder)) = (std::env::var(ROLE), std::env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    match role.as_str() {
        "hold" | "hold alone" => {
            let connection = Connection::open(folder.join(DATABASE)).unwrap();
            if role == "hold alone" {
                connection.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
            }
            connection.execute_batch("BEGIN EXCLUSIVE; DELETE FROM memory WHERE name = 'nothing'").unwrap();
            say("holds");
            let _ = std::io::stdin().read(&mut [0]);
        }
        "write" => write(folder).await,
        other => panic!("{other}"),
    }
}

/// Writes an answer, a numbered word at a time, until its input ends; then the rest is to be on the disk.
async fn write(folder: &Path) {
    let store = Conversations::open(Some(folder.to_path_buf()));
    let mut notices = store.notices();
    tokio::spawn(async move {
        while notices.changed().await.is_ok() {
            for notice in notices.borrow_and_update().iter() {
                say(&format!("told {notice:?}"));
            }
        }
    });
    let mut answer = Writing::begin(&store, "Count.").await.unwrap();
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    let mut number = 0;
    while !ended.is_finished() {
        answer.say(&store, &format!("{number} "));
        number += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
        if number % 50 == 0 {
            store.read(Store::list).await.unwrap();
            say(&format!("listed after {number}"));
        }
    }
    answer.end(&store);
    while store.flushed().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.close().await;
    say(&format!("wrote {number}"));
}

fn say(text: &str) {
    let mut output = std::io::stdout();
    writeln!(output, "child {text}").unwrap();
}

/// A child, and what it says.
struct Other {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Other {
    fn start(role: &str, folder: &Path, before: &str, environment: &[(&str, &Path)]) -> Self {
        // A write beyond the limit is an error and not a signal.
        let shell = format!("trap '' XFSZ; {before} exec \"$0\" \"$@\"");
        let mut process = Command::new("sh")
            .args(["-c", &shell])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .env(FOLDER, folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Waits until it says something that begins like that.
    fn wait_for(&mut self, wanted: &str) -> String {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if let Some((_, said)) = line.split_once("child ")
                && let Some(rest) = said.strip_prefix(wanted)
            {
                return rest.to_owned();
            }
        }
        panic!("it ended and never said {wanted:?}");
    }

    /// Closes its input.
    fn release(&mut self) {
        drop(self.process.stdin.take());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The numbered words of the only answer in a folder.
fn words(folder: &Path) -> Vec<usize> {
    let store = open(Some(folder), unix_ms()).store;
    let id = store.list().unwrap()[0].id;
    let answer = &store.view(id).unwrap().messages[1];
    assert_eq!(answer.state, MessageState::Done);
    answer.content.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_file_locked_during_an_answer_delays_no_reader_and_the_text_is_whole_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let store = Conversations::open(Some(folder.path().to_path_buf()));
    let mut notices = store.notices();
    let mut answer = Writing::begin(&store, "Count.").await.unwrap();
    answer.say(&store, "before ");
    store.flushed().await.unwrap();
    let mut other = Other::start("hold", folder.path(), "", &[]);
    other.wait_for("holds");
    let told_of = told(&mut notices, "not saved", {
        let store = store.clone();
        let answer = &mut answer;
        move |told| {
            answer.say(&store, "meanwhile ");
            told.iter().any(|notice| matches!(notice, StoreNotice::NotSaved { .. }))
        }
    });
    assert_eq!(told_of.await.len(), 1);
    // The other program holds the file until these have answered.
    let id = answer.conversation;
    for _ in 0..5 {
        assert_eq!(store.snapshot().await.unwrap().conversations.len(), 1);
        assert_eq!(store.read(move |store| store.view(id)).await.unwrap().messages.len(), 2);
        assert_eq!(store.read(|store| store.search("count")).await.unwrap().len(), 1);
        for _ in 0..200 {
            answer.say(&store, "and more ");
        }
        store.keep_draft(Some(id), format!("draft of {}", answer.text.len()));
    }
    assert!(store.with(move |store| store.rename(id, "No")).await.is_err(), "a change is refused in words, and soon");
    other.release();
    told(&mut notices, "saved", |told| told.contains(&StoreNotice::Saved)).await;
    answer.end(&store);
    store.flushed().await.unwrap();
    let view = store.read(move |store| store.view(id)).await.unwrap();
    assert_eq!(view.messages[1].content, answer.text);
    assert!(view.draft.starts_with("draft of"));
    store.close().await;
    assert_sound(folder.path());
}

#[tokio::test]
async fn a_file_that_is_held_at_the_start_is_taken_when_it_is_let_go_with_all_that_was_said_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = open(Some(folder.path()), unix_ms()).store;
    let earlier = before.create(1).unwrap();
    before.ask(earlier, "Earlier?", 1).unwrap();
    drop(before);
    let mut other = Other::start("hold alone", folder.path(), "", &[]);
    other.wait_for("holds");

    let store = Conversations::open(Some(folder.path().to_path_buf()));
    let mut notices = store.notices();
    told(&mut notices, "not kept", |told| matches!(told.as_slice(), [StoreNotice::NotKept { .. }])).await;
    let mut answer = Writing::begin(&store, "Meanwhile?").await.unwrap();
    answer.say(&store, "Half");
    store.keep_draft(None, "begun".to_owned());
    store.flushed().await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().conversations.len(), 1);
    other.release();
    let now = told(&mut notices, "saved", |told| told.contains(&StoreNotice::Saved)).await;
    assert_eq!(now, [StoreNotice::Saved]);
    answer.say(&store, " and half");
    answer.end(&store);
    store.flushed().await.unwrap();
    store.close().await;

    let store = open(Some(folder.path()), unix_ms()).store;
    assert_eq!(store.list().unwrap().len(), 2);
    assert_eq!(store.view(answer.conversation).unwrap().messages[1].content, "Half and half");
    assert_eq!(store.view(earlier).unwrap().messages[0].content, "Earlier?");
    assert_eq!(store.draft_of_new().unwrap(), "begun");
    drop(store);
    assert_sound(folder.path());
}

#[test]
fn a_disk_without_room_is_told_and_the_answer_is_whole_once_there_is_some() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("write", folder.path(), "", &[]);
    other.wait_for("listed");
    // No file of this process may grow from here on.
    let process = Pid::from_child(&other.process);
    let size = fs::metadata(folder.path().join("conversations.db-wal")).unwrap().len();
    let before = prlimit(Some(process), Resource::Fsize, Rlimit { current: Some(size), maximum: None }).unwrap();
    other.wait_for("told NotSaved");
    prlimit(Some(process), Resource::Fsize, before).unwrap();
    other.wait_for("told Saved");
    other.release();
    let wrote: usize = other.wait_for("wrote ").parse().unwrap();
    assert_eq!(words(folder.path()), (0..wrote).collect::<Vec<_>>());
    assert_sound(folder.path());
}

#[tokio::test]
async fn a_full_file_system_is_told_and_the_answer_is_whole_once_there_is_room() {
    let around = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(around.path()) else {
        writeln!(std::io::stderr(), "skipped: only root can make a small file system").unwrap();
        return;
    };
    let store = Conversations::open(Some(disk.0.join("workly")));
    let mut notices = store.notices();
    let mut answer = Writing::begin(&store, "Count.").await.unwrap();
    let filler = disk.0.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let told_of = told(&mut notices, "not saved", {
        let store = store.clone();
        let answer = &mut answer;
        move |told| {
            answer.say(&store, &"words ".repeat(1_000));
            told.iter().any(|notice| matches!(notice, StoreNotice::NotSaved { .. }))
        }
    });
    told_of.await;
    answer.say(&store, "the last one");
    answer.end(&store);
    assert!(store.flushed().await.is_err());
    fs::remove_file(filler).unwrap();
    drop(file);
    told(&mut notices, "saved", |told| told.contains(&StoreNotice::Saved)).await;
    let id = answer.conversation;
    assert_eq!(store.read(move |store| store.view(id)).await.unwrap().messages[1].content, answer.text);
    store.close().await;
    assert_sound(&disk.0.join("workly"));
}

/// A file system of two megabytes.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(around: &Path) -> Option<Self> {
        let place = around.join("disk");
        fs::create_dir(&place).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "workly-test"]).arg(&place).output().ok()?;
        mounted.status.success().then_some(Self(place))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_slow_disk_makes_longer_steps_and_no_queue() {
    let folder = tempfile::tempdir().unwrap();
    let library = preload::compile(folder.path(), preload::SLOW_DISK);
    let data = folder.path().join("data");
    let mut other = Other::start("write", &data, "", &[("LD_PRELOAD", &library)]);
    // A commit for each word would be far behind by now.
    other.wait_for("listed after 300");
    other.release();
    let wrote: usize = other.wait_for("wrote ").parse().unwrap();
    assert_eq!(words(&data), (0..wrote).collect::<Vec<_>>());
    assert_sound(&data);
}
