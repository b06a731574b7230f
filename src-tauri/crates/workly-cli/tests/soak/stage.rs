//! The manager that all of it happens to, with real workers and one layer on the device that Mesa computes in software.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use workly_core::chat::{Message, Role};
use workly_core::device::DeviceWish;
use workly_core::model::ContextSize;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::sampling::Sampling;
use workly_runtime::manager::{AnswerStream, ModelManager, ModelSettings, Patience};
use workly_runtime::monitor::{Monitor, MonitorSettings, Sources};
use workly_wire::answer::AnswerRequest;
use workly_wire::model::ModelSnapshot;

use crate::cast::Cast;
use crate::support::progress::Deadline;
use crate::support::{is_alive, workers_of};

/// Words that questions are made of.
const WORDS: [&str; 12] = [
    "river",
    "lighthouse",
    "winter",
    "engine",
    "garden",
    "letter",
    "harbour",
    "violin",
    "mountain",
    "copper",
    "bridge",
    "morning",
];

/// One manager after the other; a new one only where one hung.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    cast: Cast,
    pub(crate) manager: ModelManager,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(Cast::Real)
    }

    pub(crate) fn with(cast: Cast) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manager = manager(folder.path(), cast);
        Self { folder, cast, manager }
    }

    /// Ends every worker and goes on with another manager.
    pub(crate) fn start_over(&mut self) {
        kill_all();
        self.manager = manager(self.folder.path(), self.cast);
    }

    /// Chooses one of two models, and its place.
    pub(crate) fn choose(&self, is_other: bool, place: Profile) {
        self.manager.configure(self.cast.settings(self.folder.path(), is_other, place));
    }

    pub(crate) fn snapshot(&self) -> ModelSnapshot {
        self.manager.snapshot().borrow().clone()
    }

    /// Asks for an answer of so many tokens to a question of so many words.
    pub(crate) fn ask(&self, random: &mut fastrand::Rng, words: usize, tokens: u32) -> AnswerStream {
        let words: Vec<&str> = (0..words).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
        let text = format!("Tell a story with these words: {}.", words.join(" "));
        self.manager.answer(AnswerRequest {
            messages: vec![Message::new(Role::User, text)],
            sampling: Some(Sampling { seed: random.u32(..), ..Sampling::default() }),
            max_tokens: Some(tokens),
            stop_strings: Vec::new(),
            ignore_end: true,
        })
    }

    /// Gives the model back; how many processes did not end with it.
    pub(crate) async fn unload(&self) -> u32 {
        self.manager.unload();
        let left = none_left().await;
        kill_all();
        left
    }

    /// Ends the manager; how many processes did not end with it, and whether it ended itself.
    pub(crate) async fn shut_down(self) -> (u32, bool) {
        let has_ended = crate::support::progress::unless_it_hangs(self.manager.shut_down()).await.is_some();
        (none_left().await, has_ended)
    }

    /// Lets the worker that is started next exit by itself at this point.
    pub(crate) fn arm(&self, fault: &str) {
        let path = self.folder.path().join("fault");
        let whole = path.with_extension("new");
        fs::write(&whole, fault).unwrap();
        fs::rename(whole, path).unwrap();
    }

    /// The worker that was to exit by itself, if one was started since; asked once.
    pub(crate) fn disarm(&self) -> Option<u32> {
        let _ = fs::remove_file(self.folder.path().join("fault"));
        fs::read_dir(self.folder.path()).unwrap().flatten().find_map(|entry| {
            let id = entry.file_name().to_str()?.strip_prefix("armed.")?.parse().ok()?;
            fs::remove_file(entry.path()).unwrap();
            Some(id)
        })
    }
}

/// The model in a place that does not change by itself.
pub(crate) fn settings(path: PathBuf, profile: ProfileChoice) -> ModelSettings {
    ModelSettings {
        profile,
        auto_switching: false,
        gpu_layers: Some(1),
        gpu: DeviceWish::Named("llvmpipe".into()),
        context: ContextSize::UpTo(1024),
        // A second one spins while another program keeps a core busy.
        threads: Some(1),
        ..ModelSettings::new(path)
    }
}

fn manager(folder: &Path, cast: Cast) -> ModelManager {
    let monitor = Arc::new(Monitor::start(Sources::default(), MonitorSettings::default()).unwrap());
    let settings = cast.settings(folder, false, Profile::CpuFallback);
    ModelManager::start(cast.program(folder), settings, Patience::default(), monitor, Some(folder))
}

/// Waits until no worker of this process is left, wherever it hangs in the tree of processes; how many are.
pub(crate) async fn none_left() -> u32 {
    let mut deadline = Deadline::of_children();
    loop {
        let left = workers().len() as u32;
        if left == 0 || deadline.is_over() {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All workers that were started for this process, its children or not.
pub(crate) fn workers() -> Vec<u32> {
    let parent = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.windows(2).any(|pair| pair == [b"--parent", parent.as_bytes()]) && is_alive(*id)
    })
    .collect()
}

fn kill_all() {
    for id in workers().into_iter().chain(workers_of(std::process::id())) {
        strike(id, Signal::KILL);
    }
}

/// Sends a signal; whether there was somebody to get it.
pub(crate) fn strike(process_id: u32, signal: Signal) -> bool {
    Pid::from_raw(process_id.cast_signed()).is_some_and(|id| is_alive(process_id) && kill_process(id, signal).is_ok())
}
