//! What was said is still there afterwards.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{Desktop, Surroundings};
use crate::talk::{ANSWER, ITEM, LONG, STREAMING};

#[tokio::test]
async fn a_restart_keeps_everything() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    let answer = desktop.ask("Say hello.").await;
    desktop.find("[data-testid=composer]").await.send_keys("half a mess").await.unwrap();
    // A moment after the last key the draft is on the disk.
    let kept = || async {
        let connection = desktop.surroundings().data().join("conversations.db-wal");
        fs::read(connection).is_ok_and(|log| log.windows(11).any(|bytes| bytes == b"half a mess"))
    };
    desktop.wait_for("the draft to be kept", kept).await;

    let desktop = desktop.killed_and_started_again().await;
    desktop.wait_for_shown("[data-testid=question-text]", "Say hello.").await;
    desktop.wait_for_shown(ITEM, "Say hello.").await;
    assert_eq!(desktop.last_text(ANSWER).await, answer);
    let draft = desktop.run_script("return document.querySelector('[data-testid=composer]').value").await;
    assert_eq!(draft, "half a mess");
    desktop.save_screenshot("chat-restarted").await;
}

#[tokio::test]
async fn a_kill_during_an_answer_loses_at_most_half_a_second_of_it() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    desktop.send(LONG).await;
    desktop.wait_for_text().await;
    let mut seen = Vec::new();
    while seen.len() < 40 && desktop.has(STREAMING).await {
        let text = desktop.run_script("return document.querySelector('[data-testid=answer-text]').innerText").await;
        seen.push((Instant::now(), text.as_str().unwrap().trim().to_owned()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The kill comes first thing there; what was on screen half a second before it has to be on the disk.
    let killed = Instant::now();
    let desktop = desktop.killed_and_started_again().await;
    desktop.find("[data-testid=notice-interrupted]").await;
    let kept = desktop.last_text(ANSWER).await;
    let (_, safe) = seen.iter().rfind(|(at, _)| killed.duration_since(*at) >= Duration::from_millis(500)).unwrap();
    // The end is healed Markdown on screen; what comes before its last word is not.
    let safe = safe.rsplit_once(char::is_whitespace).map_or("", |(whole, _)| whole);
    assert!(!safe.is_empty());
    assert!(words(&kept).starts_with(&words(safe)), "kept: {kept}\nseen: {safe}");
    desktop.save_screenshot("chat-interrupted").await;

    let desktop = desktop.ready().await;
    desktop.click("[data-testid=retry]").await;
    desktop.find(STREAMING).await;
    desktop.stop_after_first_words().await;
    assert!(desktop.has("[data-testid=branches]").await, "the interrupted answer stays beside the new one");
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_reloaded_window_goes_on_with_the_answer_being_written() {
    let desktop = Desktop::on_cpu(Surroundings::new()).await;
    desktop.send(LONG).await;
    desktop.wait_for_text().await;
    desktop.client().refresh().await.unwrap();
    desktop.find(STREAMING).await;
    desktop.wait_for_text().await;
    let before = desktop.last_text(ANSWER).await;
    desktop.wait_for("more text", || async { desktop.last_text(ANSWER).await.len() > before.len() }).await;
    assert!(desktop.last_text(ANSWER).await.starts_with(before.split_whitespace().next().unwrap()));
    desktop.stop_after_first_words().await;
    assert!(desktop.last_text("[data-testid=answer-footer]").await.contains("stopped"));
}

#[tokio::test]
async fn damaged_conversations_are_kept_aside_and_told() {
    let surroundings = Surroundings::new();
    let file = surroundings.data().join("conversations.db");
    let damage = "this is no database ".repeat(500);
    fs::write(&file, &damage).unwrap();
    let desktop = Desktop::on_cpu(surroundings).await;
    let notice = desktop.find("[data-testid=store-notice]").await.text().await.unwrap();
    let kept = fs::read_dir(desktop.surroundings().data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("damaged"))
        .unwrap();
    assert!(notice.contains(kept.file_name().unwrap().to_str().unwrap()), "{notice}");
    assert_eq!(fs::read_to_string(kept).unwrap(), damage);
    desktop.save_screenshot("chat-damaged").await;
    desktop.click("[data-testid=dismiss-store-notice]").await;
    assert!(!desktop.ask("Say hello.").await.is_empty());
    assert!(!desktop.has("[data-testid=store-notice]").await);
}
