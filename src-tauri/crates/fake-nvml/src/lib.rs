//! A stand-in for `libnvidia-ml.so.1` that plays a scenario: values over time, errors, calls that block, cards that
//! vanish. It speaks NVML's C interface, so a program under test goes through its real foreign-function path.
//!
//! As a library for C it reads its [`Scenario`] from `scenario.json` beside itself, else from the file that
//! `FAKE_NVML_SCENARIO` names, else it shows one idle card. As a Rust library it gives tests the scenario types and
//! [`Installed`], a private copy of itself with a scenario beside it: each copy is a library of its own, so tests of
//! one process do not disturb each other.
//!
//! Not a model of how NVML behaves under every misuse: it answers what the probes of Workly ask.

mod exports;
mod install;
mod play;
mod scenario;
mod wire;

pub use install::{Counts, Installed, library_path};
pub use scenario::{Block, Clock, Device, Failure, Process, ProcessKind, Row, Scenario};
