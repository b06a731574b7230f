//! How to start a worker.

use std::ffi::OsString;
use std::path::PathBuf;

/// How to start a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerProgram {
    /// The program, usually `workly-cli`.
    pub program: PathBuf,
    /// Its arguments, `worker` first.
    pub arguments: Vec<OsString>,
    /// All of its environment: nothing of our own is passed on beside it.
    pub environment: Vec<(OsString, OsString)>,
}
