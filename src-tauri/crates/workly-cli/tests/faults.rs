//! Workers that are killed, crash, freeze, or lose their parent while they write an answer.
#![cfg(target_os = "linux")]

mod support;

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use support::{Chat, chat, is_alive, signal, wait_for};

/// Longest wait for a message. How soon it comes is for `Patience` to say, whose own test holds it under two seconds.
const SOON: Duration = Duration::from_secs(30);

fn long_answer() -> Chat {
    Chat::start(&mut chat(&["--prompt", "Write a long story.", "--ignore-eos", "--seed", "1", "--json"]))
}

#[test]
fn a_worker_killed_or_crashing_during_an_answer_is_reported_by_its_kind() {
    for (deadly, code) in [(Signal::KILL, "worker_killed"), (Signal::SEGV, "worker_crashed")] {
        let running = long_answer();
        running.object("token");
        let worker = running.worker();
        signal(worker, deadly);
        running.remark("model process", SOON);
        let error = running.object("error");
        assert_eq!(error["code"], code, "{error}");
        assert!(!is_alive(worker));
        assert_eq!(running.code(), Some(1));
    }
}

#[test]
fn a_frozen_worker_is_told_then_ended() {
    let running = long_answer();
    running.object("token");
    let worker = running.worker();
    signal(worker, Signal::STOP);
    running.remark("not answering", SOON);
    assert_eq!(running.object("error")["code"], "worker_unresponsive");
    assert!(!is_alive(worker));
}

#[test]
fn a_worker_that_thaws_in_time_goes_on_with_the_answer() {
    let running = long_answer();
    running.object("token");
    let worker = running.worker();
    signal(worker, Signal::STOP);
    running.remark("not answering", SOON);
    signal(worker, Signal::CONT);
    running.remark("is back", SOON);
    running.forget_output();
    running.object("token");
}

#[test]
fn the_next_message_after_a_death_works() {
    let mut command = chat(&["--max-tokens", "400", "--ignore-eos", "--seed", "1", "--json"]);
    let mut running = Chat::start(command.stdin(Stdio::piped()));
    running.stdin().write_all(b"Write a long story.\n").unwrap();
    running.object("token");
    let dead = running.worker();
    signal(dead, Signal::KILL);
    assert_eq!(running.object("error")["code"], "worker_killed");
    running.stdin().write_all(b"And now?\n").unwrap();
    running.object("token");
    assert_ne!(running.worker(), dead);
    running.object("done");
    running.close_input();
    assert_eq!(running.code(), Some(1), "a script learns that a turn failed");
}

#[test]
fn no_worker_outlives_its_parent_frozen_or_not() {
    for freeze in [false, true] {
        let running = long_answer();
        running.object("token");
        let worker = running.worker();
        if freeze {
            signal(worker, Signal::STOP);
        }
        signal(running.process_id(), Signal::KILL);
        wait_for("the worker to go", || (!is_alive(worker)).then_some(()));
    }
}
