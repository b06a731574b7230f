//! What is long by count, under one manager in one process: workers that die, models that load, an hour of switches, a
//! walk without an aim. No token may be lost or told twice, nothing may hang or be left over, and what the process holds
//! may not grow.
//!
//! The tests are short forms. `cargo xtask soak` runs all of it, and prints the table.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up has failed, and a long one says how far it is"
)]

mod answer;
mod cast;
mod deaths;
mod loads;
mod plan;
mod report;
mod resources;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod switches;
mod walk;

use std::time::Duration;

use cast::Cast;
use report::Report;

/// A number of the environment, as `cargo xtask soak` sets it.
fn asked_for(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Where chance begins: another place each time, told when something fails.
fn seed() -> u64 {
    asked_for("WORKLY_SOAK_SEED", u64::from(workly_runtime::manager::random_seed()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_die_at_random_moments_lose_nothing_and_leave_nothing() {
    let mut report = Report::new(seed());
    deaths::run(&mut report, 15).await;
    report.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loading_again_and_again_holds_on_to_nothing() {
    let mut report = Report::new(seed());
    loads::run(&mut report, 8).await;
    report.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_move_again_and_again_are_whole() {
    let mut report = Report::new(seed());
    switches::run(&mut report, 4, Duration::ZERO).await;
    report.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_in_whatever_order_answers_have_one_end_and_workers_an_owner() {
    let mut report = Report::new(seed());
    walk::run(&mut report, Cast::Real, asked_for("WORKLY_SOAK_STEPS", 25)).await;
    report.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_with_workers_that_only_play() {
    let mut report = Report::new(seed());
    walk::run(&mut report, Cast::Played, asked_for("WORKLY_SOAK_STEPS", 60)).await;
    report.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes hours: `cargo xtask soak`"]
async fn the_long_soak() {
    let mut report = Report::new(seed());
    let count = |name, default| u32::try_from(asked_for(name, default)).unwrap();
    eprintln!("soak: seed {}", report.seed());
    deaths::run(&mut report, count("WORKLY_SOAK_DEATHS", 1_000)).await;
    loads::run(&mut report, count("WORKLY_SOAK_LOADS", 500)).await;
    switches::run(&mut report, count("WORKLY_SOAK_MINUTES", 60), Duration::from_mins(1)).await;
    for cast in [Cast::Real, Cast::Played] {
        walk::run(&mut report, cast, asked_for("WORKLY_SOAK_STEPS", 1_000)).await;
    }
    eprintln!("\n{report}");
    report.assert_clean();
}
