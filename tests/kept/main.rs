//! What is said is kept: the built window, driven through its worst moments. After each, all that it had shown half a
//! second before is there, the search index is sound, nobody else can read the folder, and nothing stays in memory that
//! programs share.
//!
//! The tests are short forms; `cargo xtask soak` runs them with the counts of its table.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![expect(clippy::print_stderr, reason = "a long test says how far it is, and what was slow")]

mod clock;
mod damage;
mod disk;
mod ends;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each program of tests uses a part of it")]
mod harness;
mod person;
#[path = "../../src-tauri/crates/workly-store/tests/store/preload.rs"]
mod preload;
mod remains;
#[path = "../../src-tauri/crates/workly-store/tests/store/sound.rs"]
mod sound;
mod two_programs;

/// How often, or how long: as `cargo xtask soak` asks, or the short form.
fn asked_for(name: &str, short: u64) -> u64 {
    std::env::var(name).map_or(short, |value| value.parse().unwrap())
}
