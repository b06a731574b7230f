//! The library's own thread: it searches, and tells of changes. Everyone else sends it orders.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::models::LibrarySnapshot;

use super::change;
use super::shelf::{CardNow, Shelf, Wishes, id};
use super::watching::Watching;

/// How long folders must be quiet before they are searched again, and the longest that is waited for.
const QUIET: Duration = Duration::from_millis(300);
const AT_MOST: Duration = Duration::from_secs(3);
/// How often figures that nobody tells of are looked at: memory, speeds, disks that come and go.
const TICK: Duration = Duration::from_secs(30);
/// A card whose figure moves less is as it was, bytes.
const STEP: u64 = 32 << 20;

/// What the thread can be told.
#[derive(Debug)]
pub(super) enum Order {
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

pub(super) struct Task {
    shelf: Shelf,
    orders: Receiver<Order>,
    snapshot: watch::Sender<LibrarySnapshot>,
    watching: Watching,
    /// When folders that changed are searched, at the latest and at the earliest.
    due: Option<(Instant, Instant)>,
}

impl Task {
    pub(super) fn new(
        shelf: Shelf,
        orders: Receiver<Order>,
        snapshot: watch::Sender<LibrarySnapshot>,
        watching: Watching,
    ) -> Self {
        Self { shelf, orders, snapshot, watching, due: None }
    }

    /// Runs until the last handle is gone.
    pub(super) fn run(mut self) {
        self.search();
        loop {
            let wait = self
                .due
                .map_or(TICK, |(latest, earliest)| latest.min(earliest).saturating_duration_since(Instant::now()));
            match self.orders.recv_timeout(wait) {
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {
                    if self.due.is_some() || self.shelf.has_other_places() {
                        self.search();
                    } else {
                        self.publish();
                    }
                }
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Refresh(done) => {
                self.search();
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            Order::Configure(wishes) => {
                let elsewhere = self.shelf.wishes.searches_elsewhere(&wishes);
                self.shelf.wishes = *wishes;
                if elsewhere { self.search() } else { self.publish() }
            }
            Order::Card(card) => {
                if !is_as_before(self.shelf.card.as_ref(), card.as_ref()) {
                    self.shelf.card = card;
                    self.publish();
                }
            }
            Order::Rename { id, name, done } => {
                let renamed = self.change(&id, |own, path| change::rename(own, path, &name));
                let _ = done.send(renamed.map(|path| self::id(&path)));
            }
            Order::Delete { id, done } => {
                let _ = done.send(self.change(&id, change::delete));
            }
            Order::Changed => {
                let now = Instant::now();
                let latest = self.due.map_or(now + AT_MOST, |(latest, _)| latest);
                self.due = Some((latest, now + QUIET));
            }
            // Waited for in `run`.
            Order::End => {}
        }
    }

    /// Changes a model's files, and looks at the folders again before it is told.
    fn change<T>(&mut self, id: &str, change: impl FnOnce(&Path, &Path) -> Result<T, Problem>) -> Result<T, Problem> {
        let gone = || Problem::new(ProblemCode::ModelMissing, "This model is not in the library any more.");
        let path = self.shelf.path_of(id).ok_or_else(gone)?;
        let own = self.shelf.own_folder().unwrap_or_else(|| PathBuf::from("models"));
        let result = change(&own, &path);
        self.search();
        result
    }

    fn search(&mut self) {
        self.due = None;
        self.snapshot.send_if_modified(|shown| !std::mem::replace(&mut shown.is_searching, true));
        self.shelf.search();
        if self.watching.follow(&self.shelf.visited) {
            // What came before the watch began would be missed; headers that were read are not read again.
            self.shelf.search();
        }
        self.publish();
    }

    fn publish(&self) {
        let now = self.shelf.describe(false);
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
