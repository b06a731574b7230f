//! What commands produce from the built window: pictures and figures. Nothing here checks anything, so every function is
//! ignored by a plain test run; `cargo xtask screenshots` and `cargo xtask bench --ui` start them by name.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up produces nothing")]
#![expect(clippy::print_stdout, reason = "the figures are for the person who asked")]

mod figures;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each program of tests uses a part of it")]
mod harness;
mod history;
mod memory;
mod screenshots;
mod start;
mod streaming;
