//! What commands produce from the built window: pictures and figures. Nothing here checks anything, so every function is
//! ignored by a plain test run; `cargo xtask screenshots`, `bench --ui` and `bench --idle` start them by name.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up produces nothing")]
#![expect(clippy::print_stdout, reason = "the figures are for the person who asked")]

mod figures;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each program of tests uses a part of it")]
mod harness;
mod history;
mod idle;
mod memory;
#[path = "../shell/panel.rs"]
#[expect(dead_code, reason = "of the panel only its presence is needed")]
mod panel;
mod screenshots;
mod start;
mod streaming;
