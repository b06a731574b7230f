//! The standby: a CPU worker kept ready, so that leaving the GPU takes no load time.

use std::future::pending;
use std::time::Duration;

use tokio::time::Instant;
use workly_core::settings;
use workly_engine::end::WorkerEnd;

use super::engine::Engine as _;
use super::startup::Running;
use crate::cpu::{SHORT, available_memory, resident_memory};
use crate::manager::answers::state_file::StateFile;
use crate::manager::switching::switch::{Arrival, Coming};

/// Memory that must stay available beside a standby, bytes.
const RESERVE: u64 = 2 << 30;
/// Time until it is tried again after it failed or found no room.
const RETRY: Duration = Duration::from_secs(30);
/// Shortest time between two looks at what was saved of the answer under way.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// What a worker takes beside the weights until one was measured, bytes.
const BESIDE_WEIGHTS: u64 = 512 << 20;

/// The spare worker.
pub(crate) struct Standby {
    state: State,
    not_before: Instant,
    /// What a CPU worker of this model was measured to take, bytes.
    measured: Option<u64>,
    followed: Option<Instant>,
}

enum State {
    Absent,
    Coming(Coming),
    Ready(Box<Running>),
}

/// What happened to it.
pub(crate) enum StandbyNews {
    Arrived(Box<Arrival>),
    Ended(WorkerEnd),
}

impl Default for Standby {
    fn default() -> Self {
        Self { state: State::Absent, not_before: Instant::now(), measured: None, followed: None }
    }
}

impl Standby {
    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    pub(crate) const fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    /// Memory that a CPU worker of a model with so many bytes of weights takes.
    pub(crate) fn worker_memory(&self, weights: u64) -> u64 {
        self.measured.unwrap_or(weights.saturating_add(BESIDE_WEIGHTS))
    }

    /// Whether one is to be brought up now.
    pub(crate) fn is_due(&mut self, setting: settings::Standby, weights: u64) -> bool {
        if !self.is_absent() || setting == settings::Standby::Off || Instant::now() < self.not_before {
            return false;
        }
        let needed = self.worker_memory(weights).saturating_add(RESERVE);
        let has_room = setting == settings::Standby::On || available_memory() >= needed;
        if !has_room {
            self.not_before = Instant::now() + RETRY;
        }
        has_room
    }

    /// One is on its way.
    pub(crate) fn coming(&mut self, coming: Coming) {
        self.state = State::Coming(coming);
    }

    /// A CPU worker that is not needed otherwise stays as the standby.
    pub(crate) fn keep(&mut self, running: Running) {
        self.measured = resident_memory(running.worker.process_id()).or(self.measured);
        self.state = State::Ready(Box::new(running));
    }

    /// None stays, and none is brought up for a while.
    pub(crate) fn failed(&mut self) {
        self.state = State::Absent;
        self.not_before = Instant::now() + RETRY;
    }

    /// Takes over what was saved of the answer under way, so that hardly anything is left to take over when it is needed.
    pub(crate) fn follow(&mut self, file: &StateFile) {
        let is_due = self.followed.is_none_or(|at| at.elapsed() >= FOLLOW_EVERY);
        if let State::Ready(running) = &self.state
            && is_due
        {
            // What it says to that matters to nobody: what it lacks is taken over in the end.
            drop(running.worker.restore(file.path()));
            self.followed = Some(Instant::now());
        }
    }

    /// Gives its memory back where the machine runs short of it.
    pub(crate) fn give_way(&mut self, setting: settings::Standby) {
        if self.is_ready() && setting == settings::Standby::Auto && available_memory() < SHORT {
            tracing::info!("the standby gives its memory back");
            self.failed();
        }
    }

    /// Ends it, whatever it is doing.
    pub(crate) fn dismiss(&mut self) -> Option<Running> {
        match std::mem::replace(&mut self.state, State::Absent) {
            State::Ready(running) => Some(*running),
            State::Absent | State::Coming(_) => None,
        }
    }

    /// Takes it over: the worker if it is ready, or its way up.
    pub(crate) fn take(&mut self) -> Option<Result<Running, Coming>> {
        match std::mem::replace(&mut self.state, State::Absent) {
            State::Ready(running) => Some(Ok(*running)),
            State::Coming(coming) => Some(Err(coming)),
            State::Absent => None,
        }
    }

    /// Waits for the next thing to happen to it.
    pub(crate) async fn news(&mut self) -> StandbyNews {
        match &mut self.state {
            State::Absent => pending().await,
            State::Coming(coming) => StandbyNews::Arrived(Box::new(coming.await)),
            State::Ready(running) => StandbyNews::Ended(running.worker.wait().await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_machine_without_room_is_asked_again_after_a_while_and_not_at_every_look() {
        let mut standby = Standby::default();
        // More than any machine has.
        assert!(!standby.is_due(settings::Standby::Auto, u64::MAX));
        // Whatever it might have by now: it is not looked at.
        assert!(!standby.is_due(settings::Standby::On, 0));
        tokio::time::advance(RETRY).await;
        assert!(standby.is_due(settings::Standby::On, 0));
        standby.failed();
        assert!(!standby.is_due(settings::Standby::On, 0));
    }
}
