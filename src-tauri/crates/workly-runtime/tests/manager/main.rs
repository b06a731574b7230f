//! The manager with workers that do as they are told: every stage of a switch is reached for certain, and held for as long
//! as the test likes.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that hears something else has failed")]

mod disk;
mod emergencies;
mod refusing;
mod stage;
mod stopping;
mod telling;
