//! The page of models in the built window: a real host of downloads, a real dialog for files, a real model to talk to.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod downloads;
mod dragging;
#[path = "../../src-tauri/crates/workly-library/tests/support/file_server.rs"]
#[expect(dead_code, reason = "each program of tests uses a part of it")]
mod file_server;
mod folders;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each program of tests uses a part of it")]
mod harness;
mod library;
mod page;
#[path = "../chat/talk.rs"]
#[expect(dead_code, reason = "each program of tests uses a part of it")]
mod talk;
