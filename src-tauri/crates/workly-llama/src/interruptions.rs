//! What was said about requests while they were at work, or still waiting.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a request is to end early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// It is no longer wanted.
    Cancel,
    /// Another worker goes on with it; the KV cache goes into this file.
    HandOver(PathBuf),
}

/// The requests that are waiting or at work, and which of them are to end early. Shared by the thread that reads and
/// the one that works.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interruptions(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    /// Requests that have not ended.
    open: HashSet<u64>,
    /// The highest id of a request so far.
    latest: u64,
    interruptions: HashMap<u64, Interruption>,
}

impl Interruptions {
    /// What was said about a request. A cancel counts more than a handover, whichever came first.
    pub(crate) fn of(&self, id: u64) -> Option<Interruption> {
        self.lock().interruptions.get(&id).cloned()
    }

    /// Whether anything was said about a request.
    pub(crate) fn any(&self, id: u64) -> bool {
        self.lock().interruptions.contains_key(&id)
    }

    pub(crate) fn is_cancelled(&self, id: u64) -> bool {
        self.lock().interruptions.get(&id) == Some(&Interruption::Cancel)
    }

    /// A request came in.
    pub(crate) fn opened(&self, id: u64) {
        let mut noted = self.lock();
        noted.open.insert(id);
        noted.latest = noted.latest.max(id);
        let Noted { open, latest, interruptions } = &mut *noted;
        interruptions.retain(|id, _| open.contains(id) || *id > *latest);
    }

    /// The request is over; what was said about it means nothing any more.
    pub(crate) fn ended(&self, id: u64) {
        let mut noted = self.lock();
        noted.open.remove(&id);
        noted.interruptions.remove(&id);
    }

    /// Something was said about a request. About one that has ended it means nothing; one that is still to come hears
    /// it when it begins.
    pub(crate) fn note(&self, id: u64, interruption: Interruption) {
        let mut noted = self.lock();
        if !noted.open.contains(&id) && id <= noted.latest {
            return;
        }
        match interruption {
            Interruption::Cancel => drop(noted.interruptions.insert(id, interruption)),
            Interruption::HandOver(_) => drop(noted.interruptions.entry(id).or_insert(interruption)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand_over() -> Interruption {
        Interruption::HandOver("state".into())
    }

    #[test]
    fn a_cancel_counts_more_than_a_handover_whichever_came_first() {
        for order in [[Interruption::Cancel, hand_over()], [hand_over(), Interruption::Cancel]] {
            let interruptions = Interruptions::default();
            interruptions.opened(1);
            for interruption in order {
                interruptions.note(1, interruption);
            }
            assert_eq!(interruptions.of(1), Some(Interruption::Cancel));
        }
    }

    #[test]
    fn the_first_of_two_handovers_counts() {
        let interruptions = Interruptions::default();
        interruptions.opened(1);
        interruptions.note(1, hand_over());
        interruptions.note(1, Interruption::HandOver("another".into()));
        assert_eq!(interruptions.of(1), Some(hand_over()));
    }

    #[test]
    fn a_request_that_is_still_to_come_hears_what_was_said() {
        let interruptions = Interruptions::default();
        interruptions.note(1, Interruption::Cancel);
        interruptions.opened(1);
        assert!(interruptions.is_cancelled(1));
    }

    #[test]
    fn what_is_said_too_late_or_of_nobody_is_not_kept() {
        let interruptions = Interruptions::default();
        for id in 1..=100 {
            // Of one that never comes: the ids go past it.
            interruptions.note(2 * id - 1, Interruption::Cancel);
            interruptions.opened(2 * id);
            interruptions.note(2 * id, hand_over());
            interruptions.ended(2 * id);
            interruptions.note(2 * id, Interruption::Cancel);
        }
        let noted = interruptions.lock();
        assert!(noted.interruptions.is_empty() && noted.open.is_empty(), "{noted:?}");
    }
}
