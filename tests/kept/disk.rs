//! A disk without room, and one whose `fsync` takes a second.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use tempfile::{TempDir, tempdir};

use crate::damage::{answers, plain, quit};
use crate::harness::Surroundings;
use crate::person::{Person, tell_slowest};
use crate::preload;
use crate::remains::{SharedMemory, assert_clean};

/// Room for what the page's engine writes, and to fill with nothing soon.
const DISK_MIB: usize = 64;

#[tokio::test]
async fn on_a_full_disk_it_is_said_and_the_answer_is_whole_when_there_is_room_again() {
    let around = tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(around.path()) else {
        eprintln!("skipped: only root can make a small file system");
        return;
    };
    let (data, shared) = (Rc::new(tempfile::tempdir_in(&disk.place).unwrap()), SharedMemory::now());
    let mut person = Person::sits_down(&data).await;
    person.asks("Tell me a very long story with many chapters.").await;
    person.reads(20).await;
    let filler = disk.fill();
    person.is_told("not_saved").await;
    person.desktop.save_screenshot("kept-full-disk").await;
    let answer = person.reads_to_the_end().await;
    // What is asked now cannot be kept, and that is said; nothing of before goes away.
    fs::remove_file(filler).unwrap();
    person.is_told("saved").await;
    tell_slowest("a full disk", person.slowest());
    quit(person).await;
    assert_clean(data.path(), &shared);
    let kept = answers(data.path());
    assert!(plain(&kept[0]).starts_with(&plain(&answer)), "seen: {answer}\nkept: {kept:?}");
}

struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    fn mount(around: &Path) -> Option<Self> {
        let place = around.join("disk");
        fs::create_dir(&place).unwrap();
        let size = format!("size={DISK_MIB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "workly-test"]).arg(&place).output();
        mounted.ok()?.status.success().then_some(Self { place })
    }

    /// Leaves no byte free, and names the file to be removed.
    fn fill(&self) -> PathBuf {
        let path = self.place.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.place).status();
    }
}

#[tokio::test]
async fn a_disk_whose_fsync_takes_a_second_keeps_nobody_waiting() {
    let (data, shared): (Rc<TempDir>, _) = (Rc::new(tempdir().unwrap()), SharedMemory::now());
    let library = tempdir().unwrap();
    let slow = preload::compile(library.path(), preload::SLOW_DISK);
    let surroundings = || Surroundings::over(Rc::clone(&data)).with("LD_PRELOAD", slow.to_str().unwrap());
    let mut person = Person::in_surroundings(surroundings()).await;
    let mut seen = Vec::new();
    for question in ["Say hello.", "Tell me a long story."] {
        person.asks(question).await;
        seen.push(person.reads_to_the_end().await);
    }
    person.desktop.save_screenshot("kept-slow-disk").await;
    tell_slowest("a slow disk", person.slowest());
    quit(person).await;
    assert_clean(data.path(), &shared);
    let kept = answers(data.path());
    for answer in seen {
        assert!(kept.iter().any(|text| plain(text).starts_with(&plain(&answer))), "seen: {answer}\nkept: {kept:?}");
    }
}
