//! What the model did: where it moved and why, and when it was answering.
//!
//! The moves come from the manager and are kept in the switch log; the times of answering are read off its snapshots and
//! kept in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;
use workly_runtime::manager::ModelManager;
use workly_store::Conversations;
use workly_wire::model::ModelSnapshot;
use workly_wire::monitor::DecisionEntry;

use crate::clock::unix_ms;

/// Decisions that are kept at hand.
const MOST: usize = 1000;
/// Decisions of earlier runs that are shown.
const EARLIER: u32 = 200;
/// Times of answering that are kept: the thresholds are tried on an hour.
const MOST_ANSWERS: usize = 2000;

/// The decisions, those of earlier runs included.
#[derive(Debug)]
pub(crate) struct Decisions {
    seen: Mutex<Seen>,
    added: broadcast::Sender<DecisionEntry>,
}

#[derive(Debug, Default)]
struct Seen {
    switches: Vec<DecisionEntry>,
    /// Begin and end, milliseconds since 1970; an answer being written has no end yet.
    answers: Vec<(u64, Option<u64>)>,
}

impl Decisions {
    /// Follows the manager for as long as it lives, and keeps its moves in the store.
    pub(crate) fn follow(manager: &ModelManager, store: Conversations) -> Arc<Self> {
        let decisions = Arc::new(Self { seen: Mutex::default(), added: broadcast::channel(16).0 });
        let (kept, mut snapshots) = (Arc::clone(&decisions), manager.snapshot());
        tauri::async_runtime::spawn(async move {
            while snapshots.changed().await.is_ok() {
                kept.seen().take_in(&snapshots.borrow_and_update(), unix_ms(SystemTime::now()));
            }
        });
        let (kept, mut moves) = (Arc::clone(&decisions), manager.decisions());
        tauri::async_runtime::spawn(async move {
            if let Ok(earlier) = store.switches(EARLIER).await {
                kept.seen().switches.extend(earlier.into_iter().rev());
            }
            loop {
                match moves.recv().await {
                    Ok(entry) => kept.add(entry, &store),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        decisions
    }

    fn add(&self, entry: DecisionEntry, store: &Conversations) {
        push(&mut self.seen().switches, entry.clone(), MOST);
        store.record_switch(entry.clone());
        // Nobody listening is no fault.
        let _ = self.added.send(entry);
    }

    /// All that are kept, oldest first.
    pub(crate) fn all(&self) -> Vec<DecisionEntry> {
        self.seen().switches.clone()
    }

    /// Each one from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<DecisionEntry> {
        self.added.subscribe()
    }

    /// Whether an answer was being written at a moment, milliseconds since 1970.
    pub(crate) fn was_answering(&self, at: u64) -> bool {
        self.seen().answers.iter().any(|(from, until)| *from <= at && until.is_none_or(|until| at <= until))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn take_in(&mut self, snapshot: &ModelSnapshot, now: u64) {
        match self.answers.last_mut() {
            Some((_, end @ None)) if !snapshot.answering => *end = Some(now),
            Some((_, None)) => {}
            _ if snapshot.answering => push(&mut self.answers, (now, None), MOST_ANSWERS),
            _ => {}
        }
    }
}

fn push<T>(list: &mut Vec<T>, item: T, most: usize) {
    if list.len() >= most {
        list.drain(..most / 10);
    }
    list.push(item);
}

#[cfg(test)]
mod tests {
    use workly_wire::model::ModelState;

    use super::*;

    #[test]
    fn the_times_of_answering_are_known_and_a_switch_without_an_answer_is_none() {
        let mut seen = Seen::default();
        let snapshot = |state, answering| ModelSnapshot { state, answering, ..ModelSnapshot::default() };
        seen.take_in(&snapshot(ModelState::Switching, false), 5);
        seen.take_in(&snapshot(ModelState::Generating, true), 10);
        seen.take_in(&snapshot(ModelState::Switching, true), 15);
        seen.take_in(&snapshot(ModelState::Ready, false), 20);
        seen.take_in(&snapshot(ModelState::Generating, true), 30);
        assert_eq!(seen.answers, [(10, Some(20)), (30, None)]);
    }

    #[test]
    fn a_long_life_does_not_fill_the_memory() {
        let mut list = Vec::new();
        for number in 0..5000 {
            push(&mut list, number, 100);
        }
        assert!(list.len() <= 100 && list.last() == Some(&4999));
    }
}
