//! What the deadlines of the tests take for progress.
#![cfg(target_os = "linux")]

#[path = "support/progress.rs"]
mod progress;

use std::process::Command;
use std::time::Duration;

use progress::{Deadline, Whose, computed, wait_for};

/// A child whose own child counts so far, which takes a good part of a second of processor time.
fn counts(to: u32) -> Command {
    let mut command = Command::new("sh");
    let count = format!("i=0; while [ $i -lt {to} ]; do i=$((i+1)); done");
    command.args(["-c", &format!("sh -c '{count}'; true")]);
    command
}

#[test]
fn what_is_computed_below_a_test_is_progress_while_it_runs_and_after_its_end() {
    let before = computed(Whose::Children);
    let mut child = counts(3_000_000).spawn().unwrap();
    let tenth = before + Duration::from_millis(100);
    wait_for("a tenth of a second of work", || (computed(Whose::Children) >= tenth).then_some(()));
    let status = wait_for("the end of the count", || child.try_wait().unwrap());
    assert!(status.success());
    assert!(computed(Whose::Children) >= tenth, "what was computed stays computed");
}

#[test]
fn a_wait_that_has_just_begun_or_has_just_heard_something_is_not_over() {
    let mut deadline = Deadline::of_children();
    assert!(!deadline.is_over());
    deadline.heard();
    assert!(!deadline.is_over() && deadline.next_look() > Duration::ZERO);
}
