//! What others are told while an answer is written.

use std::time::Instant;

use serde_json::json;

use crate::stage::{Heard, Stage, hear_out};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_told_to_whoever_asked_and_to_nobody_else() {
    let stage = Stage::set(json!({ "token_s": 0.002 }));
    stage.manager.load().await.unwrap();
    let mut snapshots = stage.manager.snapshot();
    let told = tokio::spawn(async move {
        let mut times = 0;
        while snapshots.changed().await.is_ok() {
            times += 1;
        }
        times
    });
    let began = Instant::now();
    assert_eq!(hear_out(stage.ask(600), Heard::default()).await.indices.len(), 600);
    stage.manager.shut_down().await;
    // That it began and ended, and its speed twice a second.
    let expected = 10 + 2 * began.elapsed().as_secs();
    let told = told.await.unwrap();
    assert!(told <= expected, "{told} snapshots where {expected} are plenty");
}
