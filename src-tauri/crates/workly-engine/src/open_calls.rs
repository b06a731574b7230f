//! The commands a worker is at, and the way of its replies to whoever asked.
//!
//! Events that nobody takes do not pile up: past [`WAITING_EVENTS`](crate::call::WAITING_EVENTS) of a call the worker
//! is not listened to until they are taken. What holds it up is ours, so it is not blamed for the time.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::call::CallEvent;
use crate::conformance::{Expected, Misreply};
use crate::end::Activity;
use crate::protocol::{Command, Envelope};

#[derive(Debug, Default)]
pub(crate) struct OpenCalls {
    open: BTreeMap<u64, OpenCall>,
    /// Events for which there was no place. At most a few: nothing is heard while there are any.
    untaken: VecDeque<(Sender<CallEvent>, CallEvent)>,
}

#[derive(Debug)]
struct OpenCall {
    activity: Activity,
    expected: Expected,
    events: Sender<CallEvent>,
}

impl OpenCalls {
    /// Notes that a command was given to the worker.
    pub(crate) fn open(&mut self, id: u64, command: &Command, events: Sender<CallEvent>) {
        let activity = match command {
            Command::Load(_) | Command::Footprint(_) => Activity::Loading,
            Command::Generate(_) | Command::Resume(_) => Activity::Generating,
            _ => Activity::Idle,
        };
        self.open.insert(id, OpenCall { activity, expected: Expected::of(command), events });
    }

    pub(crate) fn is_open(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What the worker is doing for them.
    pub(crate) fn activity(&self) -> Activity {
        let mut activities = self.open.values().map(|call| call.activity);
        activities.find(|activity| *activity != Activity::Idle).unwrap_or_default()
    }

    /// Passes a reply on.
    ///
    /// # Errors
    ///
    /// When the worker may not say that. Nobody hears it then.
    pub(crate) fn hear(&mut self, Envelope { id, reply }: Envelope) -> Result<(), Misreply> {
        let call = self.open.get_mut(&id).ok_or(Misreply::NotOpen(id))?;
        call.expected.hear(&reply)?;
        let is_final = reply.is_final();
        let events = call.events.clone();
        self.tell(events, CallEvent::Reply(reply));
        if is_final {
            self.open.remove(&id);
        }
        Ok(())
    }

    /// Tells all of them.
    pub(crate) fn tell_all(&mut self, event: &CallEvent) {
        let events: Vec<_> = self.open.values().map(|call| call.events.clone()).collect();
        for events in events {
            self.tell(events, event.clone());
        }
    }

    fn tell(&mut self, events: Sender<CallEvent>, event: CallEvent) {
        let event = if self.untaken.is_empty() {
            match events.try_send(event) {
                // Nobody may be there to hear it any more.
                Ok(()) | Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(event)) => event,
            }
        } else {
            event
        };
        self.untaken.push_back((events, event));
    }

    /// Whether there is a place for what is heard next.
    pub(crate) fn has_room(&self) -> bool {
        self.untaken.is_empty()
    }

    /// Waits until there is. Cancel safe.
    pub(crate) async fn room(&mut self) {
        while let Some((events, _)) = self.untaken.front() {
            let place = events.clone().reserve_owned().await;
            if let (Ok(place), Some((_, event))) = (place, self.untaken.pop_front()) {
                place.send(event);
            }
        }
    }
}

#[cfg(test)]
mod tests;
