//! A disk that does not answer: what was learned lies in a pipe that nobody writes into, and who reads it waits. That is
//! no reason for the manager to wait as well.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use workly_core::profile::{Profile, ProfileChoice};
use workly_runtime::manager::ModelSettings;
use workly_wire::model::ModelState;

use crate::stage::{Heard, Stage, hear_out, in_time};

/// A data folder whose file of what was learned gives nothing; once dropped, whoever still reads finds it empty.
struct Stuck(TempDir);

impl Stuck {
    fn new() -> Self {
        let stuck = Self(tempfile::tempdir().unwrap());
        mknodat(CWD, stuck.pipe(), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        stuck
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn pipe(&self) -> PathBuf {
        self.folder().join("footprints.json")
    }

    /// Waits for a reader. It waits for as long as the result is held.
    async fn is_read(&self) -> File {
        let write =
            || File::options().write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(self.pipe());
        in_time("a reader", async {
            loop {
                match write() {
                    Ok(end) => return end,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                }
            }
        })
        .await
    }

    /// From now on it is a file like others, without anything in it yet.
    fn answers(&self) {
        let aside = self.folder().join("aside");
        if std::fs::rename(self.pipe(), &aside).is_ok() {
            // Whoever is opening it has opened it then.
            drop(File::options().read(true).write(true).open(aside));
        }
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.answers();
    }
}

/// Plays with a manager that has threads of its own: where one of them waits for the disk, the test goes on.
fn over_stuck_disk(change: impl FnOnce(&mut ModelSettings), play: impl AsyncFnOnce(&Stuck, &Stage)) {
    let theirs = Runtime::new().unwrap();
    // Gone before they are waited for.
    let disk = Stuck::new();
    let stage = {
        let _theirs = theirs.enter();
        Stage::remembering(disk.folder(), change)
    };
    Runtime::new().unwrap().block_on(play(&disk, &stage));
}

#[test]
fn a_load_that_waits_for_the_disk_can_be_called_off() {
    over_stuck_disk(
        |_| {},
        async |disk, stage| {
            let manager = stage.manager.clone();
            let load = tokio::spawn(async move { manager.load().await });
            let waits = disk.is_read().await;
            stage.manager.unload();
            stage.until("stopped", |snapshot| snapshot.state == ModelState::Stopped).await;
            assert!(in_time("the load to be told", load).await.unwrap().is_err());
            drop(waits);
            disk.answers();
            stage.manager.shut_down().await;
        },
    );
}

#[test]
fn what_is_learned_of_an_answer_keeps_the_next_one_from_nothing() {
    over_stuck_disk(
        |settings| settings.profile = ProfileChoice::Fixed(Profile::CpuFallback),
        async |disk, stage| {
            // Long enough for its speed to say something.
            assert_eq!(hear_out(stage.ask(40), Heard::default()).await.indices.len(), 40);
            let waits = disk.is_read().await;
            assert_eq!(hear_out(stage.ask(3), Heard::default()).await.indices.len(), 3);
            drop(waits);
            disk.answers();
            stage.manager.shut_down().await;
        },
    );
}
