//! Supervision of real processes: shell scripts that misbehave in the ways workers can.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod support;

#[path = "support/progress.rs"]
mod progress;

use std::time::Duration;

use progress::Deadline;
use support::hello;
use tempfile::NamedTempFile;
use workly_core::problem::{Problem, ProblemCode};
use workly_engine::end::{EndKind, WorkerEnd};
use workly_engine::frame;
use workly_engine::protocol::{Command, Envelope, OWN_ID, Reply};
use workly_engine::worker::{CallEvent, Patience, Worker, WorkerProgram};

/// Short where a test waits for it to be over; long where a busy machine may take its time to do what is asked.
const IMPATIENT: Patience = Patience {
    hello: Duration::from_mins(1),
    silent: Duration::from_millis(300),
    dead: Duration::from_secs(2),
    stuck: Duration::from_mins(1),
    farewell: Duration::from_millis(300),
};

/// A shell script whose `$1` is a file with frames to say.
fn script(source: &str, frames: &[(u64, Reply)]) -> (WorkerProgram, NamedTempFile) {
    let file = support::frames(frames);
    (support::script(source, &[&file]), file)
}

async fn failure_to_start(source: &str, frames: &[(u64, Reply)], patience: Patience) -> WorkerEnd {
    let (program, _file) = script(source, frames);
    Worker::start(&program, patience).await.expect_err("it must not count as started")
}

fn is_alive(process_id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process_id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

#[tokio::test]
async fn a_process_that_says_nothing_is_reported_not_awaited_forever() {
    let end = failure_to_start("sleep 60", &[], Patience { hello: Duration::from_millis(400), ..IMPATIENT }).await;
    assert_eq!(end.kind, EndKind::Unresponsive);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let program = WorkerProgram { program: "/nowhere/worker".into(), arguments: vec![], environment: vec![] };
    let end = Worker::start(&program, IMPATIENT).await.unwrap_err();
    assert_eq!(end.kind, EndKind::NotStarted);
    assert!(end.message.contains("/nowhere/worker"), "{}", end.message);
}

#[tokio::test]
async fn a_process_that_talks_something_else_is_a_protocol_fault() {
    let end = failure_to_start("echo Welcome to the shell of your dreams; sleep 60", &[], IMPATIENT).await;
    assert_eq!(end.kind, EndKind::Protocol);
}

#[tokio::test]
async fn a_worker_of_another_version_is_refused() {
    let other = (OWN_ID, Reply::Hello { protocol: 999, version: "9.9.9".into() });
    let end = failure_to_start("cat \"$1\"; sleep 60", &[other], IMPATIENT).await;
    assert_eq!(end.kind, EndKind::Protocol);
    assert!(end.message.contains("9.9.9"), "{}", end.message);
}

#[tokio::test]
async fn a_process_that_dies_at_once_leaves_its_last_words() {
    let end = failure_to_start("echo no such library >&2; exit 127", &[], IMPATIENT).await;
    assert_eq!(end.kind, EndKind::Aborted);
    assert_eq!(end.problem().details.as_deref(), Some("no such library"));
}

#[tokio::test]
async fn a_silent_worker_is_told_then_ended() {
    let (program, _file) = script("cat \"$1\"; exec sleep 60", &[hello()]);
    let worker = Worker::start(&program, IMPATIENT).await.unwrap();
    let mut call = worker.call(Command::Ping);
    assert_eq!(call.next().await, CallEvent::Silent);
    let CallEvent::Ended(end) = call.next().await else { panic!("a silent worker must end") };
    assert_eq!(end.kind, EndKind::Unresponsive);
    worker.gone().await;
    assert!(!is_alive(worker.process_id()));
}

#[tokio::test]
async fn a_worker_that_dies_in_a_call_ends_the_call_with_its_kind() {
    for (death, expected, code) in [
        ("kill -KILL $$", EndKind::Killed, ProblemCode::WorkerKilled),
        ("kill -SEGV $$", EndKind::Aborted, ProblemCode::WorkerCrashed),
        ("echo CUDA error: out of memory >&2; kill -ABRT $$", EndKind::OutOfMemory, ProblemCode::OutOfMemory),
    ] {
        let (program, _file) = script(&format!("cat \"$1\"; head -c 1 >/dev/null; {death}"), &[hello()]);
        let worker = Worker::start(&program, Patience::default()).await.unwrap();
        let end = worker.call(Command::Ping).last().await.unwrap_err();
        assert_eq!((end.kind, end.problem().code), (expected, code), "{death}");
        assert_eq!(worker.ended(), Some(end));
        let later = worker.call(Command::Ping).last().await.unwrap_err();
        assert_eq!(later.kind, expected, "a call after the end is told the same end");
    }
}

#[tokio::test]
async fn replies_written_just_before_death_are_still_delivered() {
    let failed = Reply::Failed(Problem::new(ProblemCode::LoadFailed, "last reply"));
    let (id, greeting) = hello();
    let hello_bytes = frame::encode(&Envelope { id, reply: greeting.clone() }).unwrap().len();
    // The reply comes once the call is there, and the process ends with it.
    let source =
        format!("head -c {hello_bytes} \"$1\"; head -c 1 >/dev/null; tail -c +{} \"$1\"; exit 3", hello_bytes + 1);
    let (program, _file) = script(&source, &[(id, greeting), (1, failed.clone())]);
    let worker = Worker::start(&program, Patience::default()).await.unwrap();
    assert_eq!(worker.call(Command::Ping).last().await.unwrap(), failed);
    assert_eq!(worker.wait().await.exit.code, Some(3));
}

#[tokio::test]
async fn a_worker_that_closes_its_output_but_lives_is_ended() {
    let (program, _file) = script("cat \"$1\"; exec sleep 60 >/dev/null", &[hello()]);
    let worker = Worker::start(&program, IMPATIENT).await.unwrap();
    assert_eq!(worker.wait().await.kind, EndKind::Protocol);
    worker.gone().await;
    assert!(!is_alive(worker.process_id()));
}

#[tokio::test]
async fn stopping_closes_standard_input_and_a_deaf_worker_is_ended_all_the_same() {
    let (program, _file) = script("cat \"$1\"; cat >/dev/null", &[hello()]);
    let patient = Patience { farewell: Duration::from_mins(1), ..IMPATIENT };
    let worker = Worker::start(&program, patient).await.unwrap();
    let end = worker.stop().await;
    assert_eq!((end.kind, end.exit.code), (EndKind::Clean, Some(0)));

    let (program, _file) = script("cat \"$1\"; exec sleep 60", &[hello()]);
    let worker = Worker::start(&program, IMPATIENT).await.unwrap();
    let end = worker.stop().await;
    assert_eq!((end.kind, end.exit.signal), (EndKind::Clean, Some(9)));
}

#[tokio::test]
async fn dropping_the_handle_ends_the_process() {
    let (program, _file) = script("cat \"$1\"; exec sleep 60", &[hello()]);
    let worker = Worker::start(&program, IMPATIENT).await.unwrap();
    let process_id = worker.process_id();
    assert!(is_alive(process_id));
    drop(worker);
    let mut deadline = Deadline::of_children();
    while is_alive(process_id) {
        assert!(!deadline.is_over(), "the process outlived its handle");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_worker_that_floods_standard_error_neither_blocks_nor_fills_memory() {
    let flood = "i=0; while [ $i -lt 4000 ]; do echo \"line $i ------------------------------------------\" >&2; \
                 i=$((i+1)); done; cat \"$1\"; head -c 1 >/dev/null; exit 3";
    let (program, _file) = script(flood, &[hello()]);
    let worker = Worker::start(&program, Patience::default()).await.unwrap();
    let end = worker.call(Command::Ping).last().await.unwrap_err();
    assert!(end.stderr.len() <= 64 << 10);
    assert!(end.stderr.trim_end().contains("line 3999"));
}
