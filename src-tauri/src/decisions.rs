//! What the model did: where it moved and why, and when it was answering.
//!
//! The moves come from the manager and are kept in the switch log; the times of answering are read off its snapshots and
//! kept in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast;
use workly_runtime::manager::ModelManager;
use workly_store::Conversations;
use workly_wire::chat::SwitchEntry;
use workly_wire::model::{ModelSnapshot, ModelState};
use workly_wire::monitor::DecisionEntry;

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
                kept.seen().take_in(&snapshots.borrow_and_update(), unix_ms());
            }
        });
        let (kept, mut moves) = (Arc::clone(&decisions), manager.decisions());
        tauri::async_runtime::spawn(async move {
            if let Ok(earlier) = store.switches(EARLIER).await {
                kept.seen().switches.extend(earlier.into_iter().rev().map(from_log));
            }
            loop {
                match moves.recv().await {
                    Ok(entry) => kept.add(entry, &store).await,
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        decisions
    }

    async fn add(&self, entry: DecisionEntry, store: &Conversations) {
        push(&mut self.seen().switches, entry.clone(), MOST);
        if let Some(logged) = to_log(&entry)
            && let Err(problem) = store.with(move |store| store.record_switch(&logged)).await
        {
            tracing::warn!(%problem, "the switch is not in the log");
        }
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
        // A switch leaves the answer going on.
        let answering = matches!(snapshot.state, ModelState::Generating | ModelState::Switching);
        match self.answers.last_mut() {
            Some((_, end @ None)) if !answering => *end = Some(now),
            Some((_, None)) => {}
            _ if answering => push(&mut self.answers, (now, None), MOST_ANSWERS),
            _ => {}
        }
    }
}

/// An entry of the log; none for the first place after a start, which is no switch.
fn to_log(entry: &DecisionEntry) -> Option<SwitchEntry> {
    let name = |value: serde_json::Value| value.as_str().map(str::to_owned);
    Some(SwitchEntry {
        at_ms: i64::try_from(entry.unix_ms).unwrap_or(i64::MAX),
        from: entry.from?,
        to: entry.to,
        reason: entry.sentence.clone().unwrap_or_default(),
        code: entry.reason.and_then(|reason| name(serde_json::to_value(reason).ok()?)).unwrap_or_default(),
        strategy: entry.strategy.and_then(|strategy| name(serde_json::to_value(strategy).ok()?)),
        gap_ms: None,
    })
}

fn from_log(entry: SwitchEntry) -> DecisionEntry {
    DecisionEntry {
        unix_ms: u64::try_from(entry.at_ms).unwrap_or_default(),
        from: Some(entry.from),
        to: entry.to,
        reason: serde_json::from_value(entry.code.into()).ok(),
        sentence: Some(entry.reason).filter(|sentence| !sentence.is_empty()),
        strategy: entry.strategy.and_then(|name| serde_json::from_value(name.into()).ok()),
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
    use workly_core::policy::Reason;
    use workly_core::profile::Profile;
    use workly_core::switch_plan::SwitchStrategy;

    use super::*;

    #[test]
    fn a_move_comes_back_from_the_log_as_it_went_in() {
        let moved = DecisionEntry {
            unix_ms: 1_795_000_000_000,
            from: Some(Profile::Performance),
            to: Profile::CpuFallback,
            reason: Some(Reason::Overload),
            sentence: Some("cpu_fallback: VRAM 94 % (game 4.0 GB)".into()),
            strategy: Some(SwitchStrategy::Emergency),
        };
        assert_eq!(from_log(to_log(&moved).unwrap()), moved);
        assert_eq!(to_log(&DecisionEntry { from: None, ..moved }), None, "a start is no switch");
    }

    #[test]
    fn the_times_of_answering_are_known() {
        let mut seen = Seen::default();
        let state = |state| ModelSnapshot { state, ..ModelSnapshot::default() };
        seen.take_in(&state(ModelState::Generating), 10);
        seen.take_in(&state(ModelState::Switching), 15);
        seen.take_in(&state(ModelState::Ready), 20);
        seen.take_in(&state(ModelState::Generating), 30);
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
