//! A card that fills up at once, and workers that are lost on the way: what is done then, and what is told of it.

use serde_json::json;
use tokio::sync::broadcast::Receiver;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::Why;
use workly_wire::model::{ModelSnapshot, ModelState};
use workly_wire::monitor::DecisionEntry;

use crate::stage::{Card, Heard, Stage, hear_out, hear_to, in_time};
use crate::stopping::{kill, writing};

/// A stage where Workly chooses, and the model is on the card with all its layers.
async fn on_card() -> (Stage, Card) {
    let (stage, card) = Stage::on_card(json!({}), |settings| {
        (settings.profile, settings.gpu_layers) = (ProfileChoice::Auto, Some(10));
    });
    stage.manager.load().await.unwrap();
    assert_eq!(stage.snapshot().profile, Some(Profile::Performance));
    (stage, card)
}

fn is_ready_on_cpu(snapshot: &ModelSnapshot) -> bool {
    (snapshot.profile, snapshot.state) == (Some(Profile::CpuFallback), ModelState::Ready)
}

/// The next move to this profile, as it is told.
async fn move_to(moves: &mut Receiver<DecisionEntry>, profile: Profile) -> DecisionEntry {
    loop {
        let entry = in_time("a move", moves.recv()).await.unwrap();
        if entry.to == profile {
            return entry;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_two_answers_what_was_said_is_kept_although_nobody_waits_to_take_it_over() {
    let (stage, card) = on_card().await;
    hear_out(stage.ask(5), Heard::default()).await;
    card.fills_up();
    let there = stage.until("on the CPU", is_ready_on_cpu).await;
    assert_eq!(there.strategy, Some(SwitchStrategy::Emergency));
    // Three tokens of the prompt and five of the answer.
    assert_eq!((stage.count("restore 8"), stage.count("restore")), (1, 1), "{:?}", stage.log());
    stage.manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_while_the_card_is_left_at_once_is_followed_after_that() {
    let (mut stage, card) = on_card().await;
    let mut moves = stage.manager.decisions();
    let (stream, heard) = writing(&stage).await;
    // The whole quarter of a second passes.
    stage.behave(json!({ "gpu_hand_over_s": 5 }));
    card.fills_up();
    stage.until("in a hurry", |snapshot| snapshot.strategy == Some(SwitchStrategy::Emergency)).await;
    stage.manager.switch(Profile::Performance, "to be tested");
    card.is_left();
    let down = move_to(&mut moves, Profile::CpuFallback).await;
    assert_eq!(down.strategy, Some(SwitchStrategy::Emergency));
    // The policy would come back by itself, later and for another reason.
    let up = move_to(&mut moves, Profile::Performance).await;
    assert!(matches!(up.why, Some(Why::Text { .. })), "{up:?}");
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    stage.manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_that_a_full_card_hurries_is_told_as_an_emergency() {
    let (mut stage, card) = Stage::on_card(json!({ "cpu_load_waits": true }), |_| {});
    let (stream, heard) = writing(&stage).await;
    let mut moves = stage.manager.decisions();
    stage.manager.switch(Profile::CpuFallback, "to be tested");
    let begun = stage.until("begun", |snapshot| snapshot.state == ModelState::Switching).await;
    assert_eq!(begun.strategy, Some(SwitchStrategy::Standby));
    card.fills_up();
    stage.until("in a hurry", |snapshot| snapshot.strategy == Some(SwitchStrategy::Emergency)).await;
    stage.behave(json!({ "cpu_load_waits": false }));
    assert_eq!(move_to(&mut moves, Profile::CpuFallback).await.strategy, Some(SwitchStrategy::Emergency));
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    stage.manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_lost_while_it_hands_over_is_told_as_a_replay() {
    let stage = Stage::set(json!({ "gpu_hand_over_s": 60 }));
    let (mut stream, mut heard) = writing(&stage).await;
    let mut moves = stage.manager.decisions();
    stage.manager.switch(Profile::CpuFallback, "to be tested");
    stage.until_logged("hand over", 1).await;
    assert_eq!(stage.snapshot().strategy, Some(SwitchStrategy::Standby));
    kill(stage.snapshot().worker_pid);
    assert_eq!(move_to(&mut moves, Profile::CpuFallback).await.strategy, Some(SwitchStrategy::Replay));
    while heard.switches.is_empty() {
        let at = heard.indices.len() as u32;
        hear_to(&mut stream, &mut heard, at).await;
    }
    stream.stop();
    let heard = hear_out(stream, heard).await;
    heard.assert_stopped();
    assert_eq!(heard.switches.iter().map(|told| told.strategy).collect::<Vec<_>>(), [SwitchStrategy::Replay]);
    assert_eq!(stage.snapshot().strategy, Some(SwitchStrategy::Replay));
    stage.manager.shut_down().await;
}
