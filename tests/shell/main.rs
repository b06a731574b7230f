//! What surrounds the page: the tray, the life of the program, notifications, and the walls around a model's text.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod accessibility;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each program of tests uses a part of it")]
mod harness;
mod hostile;
mod life;
mod notices;
mod panel;
mod stillness;
mod tray;
mod web_process;
