//! What the model did since the program started: where it moved and why, and when it was answering.
//!
//! Read off the manager's snapshots and kept in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast;
use workly_core::profile::Profile;
use workly_core::wire::{ModelSnapshot, ModelState};
use workly_core::wire_monitor::DecisionEntry;
use workly_runtime::manager::ModelManager;

/// Decisions that are kept.
const MOST: usize = 1000;
/// Times of answering that are kept: the thresholds are tried on an hour.
const MOST_ANSWERS: usize = 2000;

/// The decisions since the start.
#[derive(Debug)]
pub(crate) struct Decisions {
    seen: Mutex<Seen>,
    added: broadcast::Sender<DecisionEntry>,
}

#[derive(Debug, Default)]
struct Seen {
    last: Option<Profile>,
    why: Option<String>,
    switches: Vec<DecisionEntry>,
    /// Begin and end, milliseconds since 1970; an answer being written has no end yet.
    answers: Vec<(u64, Option<u64>)>,
}

impl Decisions {
    /// Follows the manager for as long as it lives.
    pub(crate) fn follow(manager: &ModelManager) -> Arc<Self> {
        let decisions = Arc::new(Self { seen: Mutex::default(), added: broadcast::channel(16).0 });
        let (kept, mut snapshots) = (Arc::clone(&decisions), manager.snapshot());
        tauri::async_runtime::spawn(async move {
            while snapshots.changed().await.is_ok() {
                let entry = kept.seen().take_in(&snapshots.borrow_and_update(), unix_ms());
                if let Some(entry) = entry {
                    // Nobody listening is no fault.
                    let _ = kept.added.send(entry);
                }
            }
        });
        decisions
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
    fn take_in(&mut self, snapshot: &ModelSnapshot, now: u64) -> Option<DecisionEntry> {
        let answering = matches!(snapshot.state, ModelState::Generating);
        match self.answers.last_mut() {
            Some((_, end @ None)) if !answering => *end = Some(now),
            Some((_, None)) => {}
            _ if answering => push(&mut self.answers, (now, None), MOST_ANSWERS),
            _ => {}
        }
        let to = snapshot.profile?;
        // The same profile with another number of layers is a decision too, and says so.
        let replanned = snapshot.why.is_some() && snapshot.why != self.why;
        if self.last == Some(to) && !replanned {
            return None;
        }
        let entry = DecisionEntry {
            unix_ms: now,
            from: self.last,
            to,
            reason: None,
            sentence: snapshot.why.clone(),
            strategy: self.last.and(snapshot.strategy),
        };
        (self.last, self.why) = (Some(to), snapshot.why.clone());
        push(&mut self.switches, entry.clone(), MOST);
        Some(entry)
    }
}

fn push<T>(list: &mut Vec<T>, item: T, most: usize) {
    if list.len() >= most {
        list.drain(..most / 10);
    }
    list.push(item);
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(profile: Option<Profile>, why: Option<&str>, state: ModelState) -> ModelSnapshot {
        ModelSnapshot { profile, why: why.map(Into::into), state, ..ModelSnapshot::default() }
    }

    #[test]
    fn a_change_of_profile_is_noted_once_with_its_reason() {
        let mut seen = Seen::default();
        let ready = |profile, why| snapshot(Some(profile), why, ModelState::Ready);
        assert_eq!(seen.take_in(&snapshot(None, None, ModelState::Loading), 1), None);
        assert_eq!(seen.take_in(&ready(Profile::Performance, None), 2).unwrap().from, None);
        assert_eq!(seen.take_in(&ready(Profile::Performance, None), 3), None);
        let entry = seen.take_in(&ready(Profile::CpuFallback, Some("cpu_fallback: VRAM 94 %")), 4).unwrap();
        assert_eq!((entry.from, entry.to), (Some(Profile::Performance), Profile::CpuFallback));
        assert_eq!(entry.sentence.as_deref(), Some("cpu_fallback: VRAM 94 %"));
        assert_eq!(seen.take_in(&ready(Profile::CpuFallback, Some("cpu_fallback: VRAM 94 %")), 5), None);
        assert!(seen.take_in(&ready(Profile::CpuFallback, Some("more layers")), 6).is_some());
        assert_eq!(seen.switches.len(), 3);
    }

    #[test]
    fn the_times_of_answering_are_known() {
        let mut seen = Seen::default();
        seen.take_in(&snapshot(None, None, ModelState::Generating), 10);
        seen.take_in(&snapshot(None, None, ModelState::Generating), 15);
        seen.take_in(&snapshot(None, None, ModelState::Ready), 20);
        seen.take_in(&snapshot(None, None, ModelState::Generating), 30);
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
