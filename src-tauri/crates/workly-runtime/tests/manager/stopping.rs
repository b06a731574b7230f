//! Stop, at every stage of a switch: it is obeyed, and costs no reload.

use serde_json::json;
use workly_core::profile::Profile;
use workly_runtime::manager::{AnswerStream, Patience};
use workly_wire::model::ModelState;

use crate::stage::{Heard, Stage, hear_out, hear_to};

/// A stage with an answer of the GPU's that is some tokens long.
pub(crate) async fn writing(stage: &Stage) -> (AnswerStream, Heard) {
    stage.manager.load().await.unwrap();
    let (mut stream, mut heard) = (stage.ask(10_000), Heard::default());
    hear_to(&mut stream, &mut heard, 5).await;
    (stream, heard)
}

/// After a stop the model answers again, without a worker that was loaded for it. One that only tells of the card's memory
/// may come meanwhile.
async fn answers_again(stage: &Stage, loads: usize) {
    let heard = hear_out(stage.ask(4), Heard::default()).await;
    assert_eq!((heard.indices.len(), heard.ends), (4, 1), "{heard:?}");
    assert_eq!(stage.count("load "), loads, "a worker too many: {:?}", stage.log());
    stage.manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_next_worker_gets_ready() {
    let stage = Stage::set(json!({ "cpu_load_s": 1.5 }));
    let (stream, heard) = writing(&stage).await;
    stage.manager.switch(Profile::CpuFallback, "to be tested");
    stage.until_logged("load cpu", 1).await;
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    assert_eq!(stage.snapshot().profile, Some(Profile::Performance), "the switch is still under way");
    stage.until("there", |snapshot| snapshot.profile == Some(Profile::CpuFallback)).await;
    // What was said goes along.
    stage.until_logged("restore", 1).await;
    assert_eq!(stage.count("restore 0"), 0, "{:?}", stage.log());
    answers_again(&stage, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_kv_cache_is_handed_over() {
    let stage = Stage::set(json!({ "gpu_hand_over_s": 1.5 }));
    let (stream, heard) = writing(&stage).await;
    stage.manager.switch(Profile::CpuFallback, "to be tested");
    // It is asked, and takes its time.
    stage.until_logged("hand over", 1).await;
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    stage.until("there", |snapshot| snapshot.profile == Some(Profile::CpuFallback)).await;
    stage.is_ready().await;
    assert_eq!(stage.count("resume"), 0, "nobody goes on with what was stopped: {:?}", stage.log());
    // What was saved of it is the next one's.
    assert_eq!(stage.count("generate 0"), 1, "{:?}", stage.log());
    answers_again(&stage, 2).await;
    assert_eq!((stage.count("generate 0"), stage.count("generate")), (1, 2), "{:?}", stage.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_next_worker_is_there_and_the_present_one_does_not_hear() {
    let mut stage = Stage::set(json!({ "gpu_ignores_cancel": true, "cpu_load_s": 0.3 }));
    let (stream, heard) = writing(&stage).await;
    stage.manager.switch(Profile::CpuFallback, "to be tested");
    stage.until_logged("load cpu", 1).await;
    stream.stop();
    // The next worker arrives in the middle of the patience with the present one.
    hear_out(stream, heard).await.assert_stopped();
    stage.until("there", |snapshot| snapshot.profile == Some(Profile::CpuFallback)).await;
    stage.behave(json!({ "gpu_ignores_cancel": false }));
    answers_again(&stage, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_two_workers() {
    let stage = Stage::set(json!({ "cpu_load_s": 1.0 }));
    let (stream, heard) = writing(&stage).await;
    // The worker dies, the next one is on its way: nobody writes it.
    kill(stage.snapshot().worker_pid);
    stage.until("without a worker", |snapshot| snapshot.state == ModelState::Loading).await;
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    stage.is_ready().await;
    let loads = stage.count("load ");
    answers_again(&stage, loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_worker_that_hung_was_replaced_the_next_one_is_given_its_time() {
    let patience = Patience { dead: std::time::Duration::from_secs(4), ..Patience::default() };
    let mut stage = Stage::set_with(json!({}), |_| {}, patience);
    let (mut stream, mut heard) = writing(&stage).await;
    stage.behave(json!({ "gpu_hangs": true, "cpu_token_s": 0.3 }));
    // Told that it is silent, ended, and gone on with on the CPU.
    let at = heard.indices.len() as u32;
    stage.until_logged("resume", 1).await;
    stage.behave(json!({ "gpu_hangs": false }));
    hear_to(&mut stream, &mut heard, at + 1).await;
    let pid = stage.snapshot().worker_pid;
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    stage.is_ready().await;
    assert_eq!(stage.snapshot().worker_pid, pid, "a healthy worker was ended: {:?}", stage.log());
    let loads = stage.count("load ");
    answers_again(&stage, loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_its_own_answer_and_no_other() {
    let stage = Stage::set(json!({}));
    let (stream, heard) = writing(&stage).await;
    let other = stage.ask(6);
    let (third, fourth) = (stage.ask(6), stage.ask(6));
    third.stop();
    drop(fourth);
    hear_out(third, Heard::default()).await.assert_stopped();
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    assert_eq!(hear_out(other, Heard::default()).await.indices.len(), 6);
    answers_again(&stage, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_while_no_worker_is_there_is_followed_once_one_is() {
    let mut stage = Stage::set(json!({ "gpu_hand_over_s": 5, "cpu_load_s": 0.5 }));
    let (stream, heard) = writing(&stage).await;
    // The switch that brings the next worker cannot be called off.
    kill(stage.snapshot().worker_pid);
    stage.until("without a worker", |snapshot| snapshot.state == ModelState::Loading).await;
    stage.manager.switch(Profile::CpuFallback, "to be tested");
    stage.behave(json!({ "gpu_hand_over_s": 0 }));
    stage
        .until("there", |snapshot| {
            snapshot.profile == Some(Profile::CpuFallback) && snapshot.state == ModelState::Generating
        })
        .await;
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    stage.manager.shut_down().await;
}

/// Ends a worker from outside.
pub(crate) fn kill(process: Option<u32>) {
    let id = i32::try_from(process.unwrap()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}
