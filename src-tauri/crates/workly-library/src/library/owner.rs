//! What the library's own thread does: it searches, and tells of changes. Everyone else sends it commands.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::models::LibrarySnapshot;

use super::change;
use super::index::{CardNow, Index, Wishes, id};
use super::schedule::{Due, Schedule};
use super::watching::Watching;

/// How often figures that nobody tells of are looked at: memory, speeds, disks that come and go.
const TICK: Duration = Duration::from_secs(30);
/// A card whose figure moves less is as it was, bytes.
const STEP: u64 = 32 << 20;

/// What the thread can be told.
#[derive(Debug)]
pub(super) enum Command {
    Refresh(Option<oneshot::Sender<()>>),
    Configure(Box<Wishes>),
    Card(Option<CardNow>),
    Rename {
        id: String,
        name: String,
        done: oneshot::Sender<Result<String, Problem>>,
    },
    Delete {
        id: String,
        done: oneshot::Sender<Result<(), Problem>>,
    },
    /// Something changed in a folder.
    Changed,
    End,
}

/// The library's state, with those who hear of it.
pub(super) struct Owner {
    index: Index,
    commands: Receiver<Command>,
    snapshot: watch::Sender<LibrarySnapshot>,
    watching: Watching,
    schedule: Schedule,
}

impl Owner {
    pub(super) fn new(
        index: Index,
        commands: Receiver<Command>,
        snapshot: watch::Sender<LibrarySnapshot>,
        watching: Watching,
    ) -> Self {
        Self { index, commands, snapshot, watching, schedule: Schedule::new(TICK, Instant::now()) }
    }

    /// Runs until the last handle is gone.
    pub(super) fn run(mut self) {
        self.search();
        loop {
            let wait = self.schedule.next().saturating_duration_since(Instant::now());
            match self.commands.recv_timeout(wait) {
                Ok(Command::End) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // After a command as well: where they come often, what is due still comes in time.
            match self.schedule.take(Instant::now()) {
                Some(Due::Search) => self.search(),
                Some(Due::Tick) if self.index.has_other_places() => self.search(),
                Some(Due::Tick) => self.publish(),
                None => {}
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Refresh(done) => {
                self.search();
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            Command::Configure(wishes) => {
                let elsewhere = self.index.wishes.searches_elsewhere(&wishes);
                self.index.wishes = *wishes;
                if elsewhere { self.search() } else { self.publish() }
            }
            Command::Card(card) => {
                if !is_as_before(self.index.card.as_ref(), card.as_ref()) {
                    self.index.card = card;
                    self.publish();
                }
            }
            Command::Rename { id, name, done } => {
                let renamed = self.change(&id, |own, path| change::rename(own, path, &name));
                let _ = done.send(renamed.map(|path| self::id(&path)));
            }
            Command::Delete { id, done } => {
                let _ = done.send(self.change(&id, change::delete));
            }
            Command::Changed => self.schedule.changed(Instant::now()),
            // Waited for in `run`.
            Command::End => {}
        }
    }

    /// Changes a model's files, and looks at the folders again before it is told.
    fn change<T>(&mut self, id: &str, change: impl FnOnce(&Path, &Path) -> Result<T, Problem>) -> Result<T, Problem> {
        let gone = || Problem::new(ProblemCode::ModelMissing, "This model is not in the library any more.");
        let path = self.index.path_of(id).ok_or_else(gone)?;
        let own = self.index.own_folder().unwrap_or_else(|| PathBuf::from("models"));
        let result = change(&own, &path);
        self.search();
        result
    }

    fn search(&mut self) {
        self.snapshot.send_if_modified(|shown| !std::mem::replace(&mut shown.is_searching, true));
        self.index.search();
        if self.watching.follow(&self.index.visited) {
            // What came before the watch began would be missed; headers that were read are not read again.
            self.index.search();
        }
        self.schedule.searched(Instant::now());
        self.publish();
    }

    fn publish(&self) {
        let now = self.index.describe(false);
        self.snapshot.send_if_modified(|shown| {
            let differs = *shown != now;
            *shown = now;
            differs
        });
    }
}

fn is_as_before(before: Option<&CardNow>, now: Option<&CardNow>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => {
            let as_before = CardNow { vram_external: now.vram_external, ..before.clone() } == *now;
            as_before && before.vram_external.abs_diff(now.vram_external) < STEP
        }
        (before, now) => before == now,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::{fs, thread};

    use workly_core::settings::Settings;

    use super::super::apps::{Surroundings, System};
    use super::super::index::LibraryPlaces;
    use super::*;

    #[test]
    fn a_disk_is_noticed_although_a_card_is_told_of_all_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        let mut settings = Settings::default();
        settings.library.folders = vec![disk.to_str().unwrap().to_owned()];
        let surroundings = Surroundings { system: System::Linux, home: None, variables: HashMap::new() };
        let places = LibraryPlaces { data_dir: Some(folder.path().join("data")), embedded: None, surroundings };
        let (commands, received) = mpsc::channel();
        let (publish, mut snapshot) = watch::channel(LibrarySnapshot::default());
        let index = Index::new(places, Wishes::of(&settings, None));
        let mut owner = Owner::new(index, received, publish, Watching::start(|| {}));
        owner.schedule = Schedule::new(Duration::from_millis(400), Instant::now());
        let owner = thread::spawn(move || owner.run());

        let is_over = Arc::new(AtomicBool::new(false));
        let feeder = thread::spawn({
            let (commands, is_over) = (commands.clone(), Arc::clone(&is_over));
            move || {
                let card = |vram_external| CardNow {
                    name: "card".into(),
                    pci_address: None,
                    vram_total: 8 << 30,
                    vram_external,
                };
                while !is_over.load(Ordering::SeqCst) {
                    let _ = commands.send(Command::Card(Some(card(1 << 30))));
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut until = |wanted: fn(&LibrarySnapshot) -> bool| {
            let found = runtime.block_on(async {
                tokio::time::timeout(Duration::from_mins(1), snapshot.wait_for(wanted)).await.map(drop)
            });
            assert!(found.is_ok(), "{:?}", snapshot.borrow());
        };
        until(|shown| !shown.is_searching && shown.folders.iter().any(|folder| folder.problem.is_some()));
        fs::create_dir(&disk).unwrap();
        until(|shown| !shown.is_searching && shown.folders.iter().all(|folder| folder.problem.is_none()));
        is_over.store(true, Ordering::SeqCst);
        feeder.join().unwrap();
        commands.send(Command::End).unwrap();
        owner.join().unwrap();
    }
}
