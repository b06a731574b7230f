//! The worker that holds the model and writes the answers.

use workly_core::profile::Profile;

use super::engine::Engine;
use super::startup::Running;
use crate::manager::answers::Writer;
use crate::manager::answers::life::WorkerId;

/// A worker in its place.
#[derive(Debug)]
pub(crate) struct ActiveWorker {
    pub(crate) running: Running,
    /// Its number.
    pub(crate) id: WorkerId,
    /// Since when it has run, milliseconds since 1970.
    pub(crate) since: u64,
    /// Whether it has written a token.
    pub(crate) has_written: bool,
}

impl ActiveWorker {
    /// As answers are given to it.
    pub(crate) fn writer(&self) -> Writer<'_> {
        Writer { id: self.id, profile: self.running.profile, engine: self.engine() }
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        &self.running.worker
    }

    pub(crate) const fn profile(&self) -> Profile {
        self.running.profile
    }
}
