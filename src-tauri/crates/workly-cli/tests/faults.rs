//! Workers that are killed, crash, freeze, or lose their parent: the answer goes on, and the user is told.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that hears something else has failed")]

mod support;

use std::collections::BTreeSet;
use std::fs::DirEntry;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::{Chat, chat, is_alive, objects, of_type, run, signal, wait_for, workers_of};

/// A chat of one long answer.
fn long_answer(tokens: &str, arguments: &[&str]) -> Command {
    let mut command = chat(&["--prompt", "Write a long story.", "--ignore-eos", "--seed", "1", "--json"]);
    command.args(["--max-tokens", tokens]).args(arguments);
    command
}

/// The same with one layer on the GPU that Mesa computes in software.
fn on_gpu(tokens: &str, arguments: &[&str]) -> Command {
    let mut command = long_answer(tokens, &["--profile", "performance", "--gpu-layers", "1"]);
    command.args(arguments).env("GGML_VK_VISIBLE_DEVICES", "0");
    command
}

/// The whole answer is there, and no token twice.
fn assert_complete(heard: &[Value], tokens: u64) {
    let indices: Vec<_> = of_type(heard, "token").iter().map(|token| token["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (0..tokens).collect::<Vec<_>>());
    assert_eq!(of_type(heard, "done").len(), 1);
    assert!(of_type(heard, "error").is_empty());
}

/// Everything until the end of the turn.
fn rest(running: &Chat) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        let object = running.next_object();
        let is_last = object["type"] == "done" || object["type"] == "error";
        heard.push(object);
        if is_last {
            return heard;
        }
    }
}

#[test]
fn a_worker_killed_or_crashing_during_an_answer_is_told_and_the_answer_goes_on() {
    for (deadly, told) in [(Signal::KILL, "ended from outside"), (Signal::SEGV, "crashed")] {
        let running = Chat::start(&mut long_answer("200", &["--profile", "cpu_fallback"]));
        let mut heard = vec![running.object("token")];
        let worker = running.worker();
        signal(worker, deadly);
        running.remark(told);
        heard.extend(rest(&running));
        assert_complete(&heard, 200);
        let switch = of_type(&heard, "switch")[0];
        assert_eq!((&switch["from"], &switch["to"]), (&json!("cpu_fallback"), &json!("cpu_fallback")));
        assert_eq!(switch["strategy"], "replay");
        assert!(switch["reason"].as_str().unwrap().contains(told), "{switch}");
        assert!(!is_alive(worker));
        assert_eq!(running.code(), Some(0));
    }
}

#[test]
fn a_frozen_worker_is_told_then_ended_and_the_answer_goes_on() {
    let running = Chat::start(&mut long_answer("100", &["--profile", "cpu_fallback"]));
    let mut heard = vec![running.object("token")];
    let worker = running.worker();
    signal(worker, Signal::STOP);
    running.remark("not answering");
    running.remark("stopped answering");
    heard.extend(rest(&running));
    assert_complete(&heard, 100);
    assert!(!is_alive(worker));
}

#[test]
fn a_worker_that_thaws_in_time_goes_on_with_the_answer() {
    let running = Chat::start(&mut long_answer("400", &["--profile", "cpu_fallback"]));
    running.object("token");
    let worker = running.worker();
    signal(worker, Signal::STOP);
    running.remark("not answering");
    signal(worker, Signal::CONT);
    running.remark("is back");
    running.forget_output();
    running.object("token");
}

#[test]
fn no_worker_outlives_its_parent_frozen_or_not() {
    for freeze in [false, true] {
        let running = Chat::start(&mut long_answer("400", &["--profile", "cpu_fallback"]));
        running.object("token");
        let worker = running.worker();
        if freeze {
            signal(worker, Signal::STOP);
        }
        signal(running.process_id(), Signal::KILL);
        wait_for("the worker to go", || (!is_alive(worker)).then_some(()));
    }
}

#[test]
fn on_the_gpu_every_fault_at_every_point_leaves_a_whole_answer() {
    for kind in ["abort", "memory", "exit", "error"] {
        for point in ["load", "prompt", "token:7"] {
            let fault = format!("{kind}@{point}");
            let output = run(on_gpu("24", &[]).env("WORKLY_FAULT", &fault), 0);
            let heard = objects(&output);
            assert_complete(&heard, 24);
            let last = of_type(&heard, "token").pop().unwrap();
            assert_eq!(last["profile"], "cpu_fallback", "{fault}");
            // Where tokens were written before, the switch falls among them; else there was nothing to be told of.
            let switches = of_type(&heard, "switch");
            assert_eq!(switches.len(), usize::from(point != "load"), "{fault}: {switches:?}");
            if let Some(switch) = switches.first() {
                assert_eq!(
                    (&switch["from"], &switch["strategy"]),
                    (&json!("performance"), &json!("replay")),
                    "{fault}"
                );
            }
            if point == "token:7" {
                assert_eq!(switches[0]["at_token"], 7, "{fault}: a token was lost or said twice");
            }
        }
    }
}

#[test]
fn on_the_cpu_every_fault_at_every_point_leaves_a_whole_answer() {
    for kind in ["abort", "memory", "exit", "error"] {
        for point in ["load", "prompt", "token:7"] {
            let fault = format!("{kind}@{point}");
            let output = run(long_answer("24", &["--profile", "cpu_fallback"]).env("WORKLY_FAULT", &fault), 0);
            assert_complete(&objects(&output), 24);
        }
    }
}

#[test]
fn a_worker_that_hangs_on_the_gpu_leaves_the_answer_to_the_standby() {
    for point in ["prompt", "token:7"] {
        let output = run(on_gpu("24", &[]).env("WORKLY_FAULT", format!("hang@{point}")), 0);
        let heard = objects(&output);
        assert_complete(&heard, 24);
        let reason = of_type(&heard, "switch")[0]["reason"].as_str().unwrap();
        assert!(reason.contains("stopped answering"), "{reason}");
    }
}

#[test]
fn a_standby_that_dies_as_it_takes_over_is_replaced() {
    // The second worker to be started is the standby.
    let mut command = on_gpu("40", &["--switch-at", "10:cpu_fallback"]);
    let heard = objects(&run(command.env("WORKLY_FAULT", "none,abort@prompt"), 0));
    assert_complete(&heard, 40);
    assert_eq!(of_type(&heard, "token").pop().unwrap()["profile"], "cpu_fallback");
}

#[test]
fn a_crash_loop_ends_as_the_budget_says() {
    let running = Chat::start(long_answer("40", &["--profile", "cpu_fallback"]).env("WORKLY_FAULT", "abort@token:5*"));
    let heard = rest(&running);
    // Each worker that took over got as far as the one before.
    assert_eq!(of_type(&heard, "token").len(), 5);
    let error = heard.last().unwrap();
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("worker_crashed")));
    assert!(error["message"].as_str().unwrap().contains("stopped trying"), "{error}");
    assert_eq!(running.code(), Some(1));
}

#[test]
fn a_model_that_crashed_too_often_on_the_gpu_stays_on_the_cpu_and_says_so() {
    let data = tempfile::tempdir().unwrap();
    run(on_gpu("2", &[]).env("WORKLY_DATA_DIR", data.path()), 0);
    let file = data.path().join("footprints.json");
    let mut known: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    known["entries"][0][1]["cpu_only"] = json!(true);
    std::fs::write(&file, known.to_string()).unwrap();
    let output = run(on_gpu("2", &[]).env("WORKLY_DATA_DIR", data.path()), 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("crashed on the GPU too often"));
    assert!(of_type(&objects(&output), "token").iter().all(|token| token["profile"] == "cpu_fallback"));
}

#[test]
fn a_load_that_never_ended_comes_back_on_a_lower_profile() {
    let data = tempfile::tempdir().unwrap();
    let running = Chat::start(on_gpu("2", &[]).env("WORKLY_DATA_DIR", data.path()).env("WORKLY_FAULT", "hang@load"));
    let loading = data.path().join("loading");
    // What is being written beside it has another ending.
    let is_marker = |entry: &DirEntry| entry.path().extension().is_some_and(|ending| ending == "json");
    let marked = || std::fs::read_dir(&loading).ok()?.flatten().find(is_marker);
    wait_for("the marker", marked);
    // Killed, and gone from the list of processes.
    drop(running);
    let output = run(on_gpu("2", &[]).env("WORKLY_DATA_DIR", data.path()), 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("never ended"), "{output:?}");
    assert!(of_type(&objects(&output), "token").iter().all(|token| token["profile"] != "performance"));
    assert_eq!(std::fs::read_dir(&loading).unwrap().count(), 0);
}

/// Answers whose workers are killed at random moments, until so many were. Tells of none that was left behind.
fn kill_at_random_moments(kills: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut killed = 0;
    let mut seen = BTreeSet::new();
    for number in 0.. {
        if killed >= kills {
            break;
        }
        let mut command =
            if number % 3 == 0 { on_gpu("120", &[]) } else { long_answer("120", &["--profile", "cpu_fallback"]) };
        let running = Chat::start(&mut command);
        let (mut heard, mut killed_here) = (Vec::new(), 0);
        loop {
            let object = running.next_object();
            let (is_token, is_last) =
                (object["type"] == "token", object["type"] == "done" || object["type"] == "error");
            heard.push(object);
            if is_last {
                break;
            }
            // About one token in eight is the last of its worker; some are killed a moment later.
            let goes_on = heard.last().is_some_and(|object| object["index"].as_u64() < Some(110));
            if is_token && goes_on && killed_here < 12 && random.u8(..8) == 0 {
                std::thread::sleep(Duration::from_millis(random.u64(..40)));
                let worker = running.worker();
                seen.extend(workers_of(running.process_id()));
                signal(worker, Signal::KILL);
                killed_here += 1;
                // The next one is killed once its worker writes: a kill is told when the answer goes on.
                loop {
                    let object = running.next_object();
                    let is_over = object["type"] == "switch" || object["type"] == "done" || object["type"] == "error";
                    heard.push(object);
                    if is_over {
                        break;
                    }
                }
                if heard.last().is_some_and(|object| object["type"] != "switch") {
                    break;
                }
            }
        }
        assert_complete(&heard, 120);
        let told = of_type(&heard, "switch");
        // The last kill may have come when the answer was all written.
        assert!(told.len() == killed_here || told.len() + 1 == killed_here, "{} of {killed_here}", told.len());
        assert!(told.iter().all(|switch| switch["reason"].as_str().unwrap().contains("ended from outside")));
        killed += killed_here;
        assert_eq!(running.code(), Some(0));
    }
    assert!(seen.iter().all(|worker| !is_alive(*worker)), "a worker was left behind");
}

/// A thousand more are `cargo xtask soak`'s.
#[test]
fn kills_at_random_moments_lose_nothing() {
    kill_at_random_moments(30, 1);
}
