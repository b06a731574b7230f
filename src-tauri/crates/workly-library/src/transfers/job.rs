//! One transfer under way: what it works with, and what it shows of itself. How it goes is in `flow`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task;
use workly_core::problem::Problem;
use workly_wire::models::{HashSource, TransferState};

use super::host::SharedHosts;
use super::options::Options;
use super::problems;
use super::record::{FileRecord, Folder, Record};

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) folder: Folder,
    /// Whom to ask; or why nobody can be.
    pub(super) hosts: Result<SharedHosts, Problem>,
    pub(super) options: Options,
    pub(super) record: Record,
    pub(super) live: Live,
    pub(super) stop: Stop,
}

/// Why a transfer does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    Stopped,
    Failed(Problem),
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

/// What a transfer shows of itself while it is under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Live(Arc<Mutex<Shown>>);

#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) state: TransferState,
    pub(super) received: u64,
    pub(super) total: Option<u64>,
    pub(super) hash: HashSource,
    pub(super) problem: Option<Problem>,
}

impl Default for Shown {
    fn default() -> Self {
        Self { state: TransferState::Running, received: 0, total: None, hash: HashSource::None, problem: None }
    }
}

impl Live {
    pub(super) fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a transfer to stop; so does its end.
#[derive(Debug, Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(super) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    pub(super) fn is_set(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    pub(super) async fn set(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

impl Job {
    pub(super) fn file(&mut self, index: usize) -> &mut FileRecord {
        &mut self.record.files[index]
    }

    pub(super) fn part(&self, index: usize) -> PathBuf {
        self.folder.part(&self.record.id, index)
    }

    /// Keeps what was learned of the source.
    pub(super) fn save(&self) -> Result<(), Problem> {
        self.show_totals();
        self.folder.save(&self.record)
    }

    fn show_totals(&self) {
        let mut shown = self.live.lock();
        (shown.total, shown.hash) = (self.record.total(), self.record.hash());
    }

    /// Shows that `bytes` of a file are here, and all of those before it.
    pub(super) fn show_received(&self, index: usize, bytes: u64) {
        let before: u64 = self.record.files[..index].iter().filter_map(|file| file.bytes).sum();
        self.show_totals();
        self.live.lock().received = before + bytes;
    }

    /// Shows what it does, and why where it waits.
    pub(super) fn show(&self, state: TransferState, problem: Option<Problem>) {
        let mut shown = self.live.lock();
        (shown.state, shown.problem) = (state, problem);
    }

    /// Whether `needed` more bytes find room.
    pub(super) async fn make_sure_of_room(&self, needed: u64) -> Result<(), Problem> {
        let keep = self.options.keep_free;
        match self.free_space().await {
            Some(free) if free < needed.saturating_add(keep) => {
                Err(problems::disk_full(self.folder.models(), needed.saturating_add(keep), free))
            }
            _ => Ok(()),
        }
    }

    /// Bytes that are free on the disk, where it says so.
    pub(super) async fn free_space(&self) -> Option<u64> {
        let (ask, models) = (self.options.free_space.clone(), self.folder.models().to_path_buf());
        task::spawn_blocking(move || ask.of(&models)).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_stops_when_it_is_told_or_its_owner_is_gone() {
        let (sender, stop) = Stop::new();
        assert!(!stop.is_set());
        sender.send_replace(true);
        assert!(stop.is_set());
        let (sender, stop) = Stop::new();
        drop(sender);
        assert!(stop.is_set());
    }
}
