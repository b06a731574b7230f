//! The built window, driven as a person would: a real browser engine, a real model.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "each program of tests uses a part of it")]
mod harness;

use harness::program::eventually;
use harness::{Desktop, is_alive, signal};
use rustix::process::Signal;

const ANSWER: &str = "[data-testid=answer-text]";
const STREAMING: &str = "[data-testid=message-assistant][data-state=streaming]";
const DONE: &str = "[data-testid=message-assistant][data-state=done]";
const SWITCHED: &str = "[data-testid=notice-switched]";
const LONG: &str = "Write a long story about a lighthouse keeper, with many chapters.";

#[tokio::test]
async fn a_message_is_answered_while_one_watches() {
    let desktop = Desktop::start().await;
    desktop.send("Explain what a GPU does.").await;
    desktop.wait_for("the answer to end", || desktop.has(DONE)).await;
    assert!(desktop.last_text(ANSWER).await.len() > 40);
    desktop.save_screenshot("chat").await;
}

#[tokio::test]
async fn the_text_grows_and_a_long_answer_is_stopped() {
    let desktop = Desktop::start().await;
    desktop.send(LONG).await;
    desktop.wait_for_text().await;
    let mut lengths = vec![desktop.last_text(ANSWER).await.len()];
    while lengths.len() < 4 {
        assert!(desktop.has(STREAMING).await, "the answer ended too soon: {lengths:?}");
        let length = desktop.last_text(ANSWER).await.len();
        assert!(length >= lengths[lengths.len() - 1], "the text shrank: {lengths:?} {length}");
        if length > lengths[lengths.len() - 1] {
            lengths.push(length);
        }
    }
    desktop.save_screenshot("streaming").await;
    desktop.find("[data-testid=stop]").await.click().await.unwrap();
    desktop.wait_for("the answer to stop", || desktop.has(DONE)).await;
    assert!(desktop.last_text("[data-testid=answer-footer]").await.to_lowercase().contains("stopped"));
    assert!(desktop.last_text(ANSWER).await.len() >= lengths[3], "what was written stays");

    desktop.send("Say hello.").await;
    desktop.wait_for("the next answer", || async { desktop.last_text(ANSWER).await.len() > 1 }).await;
}

#[tokio::test]
async fn an_answer_outlives_its_worker_and_says_so_in_one_quiet_line() {
    let desktop = Desktop::start().await;
    for (deadly, name) in [(Signal::KILL, "worker_killed"), (Signal::SEGV, "worker_crashed")] {
        desktop.send(LONG).await;
        desktop.wait_for_text().await;
        let worker = desktop.worker();
        signal(worker, deadly);
        desktop.wait_for("the line", || desktop.has(SWITCHED)).await;
        assert!(!is_alive(worker));
        assert!(!desktop.has("[data-testid=problem]").await, "nothing is lost, so nothing is an error");
        let length = desktop.last_text(ANSWER).await.len();
        desktop.wait_for("more of the answer", || async { desktop.last_text(ANSWER).await.len() > length }).await;
        desktop.save_screenshot(name).await;
        desktop.find("[data-testid=stop]").await.click().await.unwrap();
        desktop.wait_for("the answer to stop", || async { !desktop.has(STREAMING).await }).await;
        desktop.find("[data-testid=new-chat]").await.click().await.unwrap();
    }
}

#[tokio::test]
async fn a_frozen_worker_is_told_and_can_be_stopped() {
    let desktop = Desktop::start().await;
    desktop.send(LONG).await;
    desktop.wait_for_text().await;
    let worker = desktop.worker();
    signal(worker, Signal::STOP);
    desktop.wait_for("the notice", || desktop.has("[data-testid=notice-silent]")).await;
    desktop.save_screenshot("silent").await;
    desktop.find("[data-testid=stop]").await.click().await.unwrap();
    desktop.wait_for("the answer to stop", || desktop.has(DONE)).await;
    desktop.wait_for("the frozen worker to go", || async { !is_alive(worker) }).await;
    desktop.send("Say hello.").await;
    desktop.wait_for("the next answer", || async { desktop.last_text(ANSWER).await.len() > 1 }).await;
}

#[tokio::test]
async fn closing_the_window_ends_the_worker() {
    let desktop = Desktop::start().await;
    desktop.send(LONG).await;
    desktop.wait_for_text().await;
    let (program, worker) = (desktop.program(), desktop.worker());
    desktop.close_window().await;
    desktop.wait_for("both to go", || async { !is_alive(program) && !is_alive(worker) }).await;
}

#[tokio::test]
async fn killing_the_program_leaves_no_worker() {
    let desktop = Desktop::start().await;
    desktop.send(LONG).await;
    desktop.wait_for_text().await;
    let worker = desktop.worker();
    signal(desktop.program(), Signal::KILL);
    eventually("the worker to go", || async { (!is_alive(worker)).then_some(()) }).await;
}
