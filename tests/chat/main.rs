//! Conversations in the built window: a real browser engine, a real model, a real disk.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod branches;
mod exporting;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each program of tests uses a part of it")]
mod harness;
mod history;
mod keeping;
mod keyboard;
mod list;
mod looks;
mod talk;
