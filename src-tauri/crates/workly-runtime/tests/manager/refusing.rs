//! Workers that refuse, and a card whose memory comes back late.

use std::time::Instant;

use serde_json::json;
use workly_core::device::DeviceWish;
use workly_core::model::KvType;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::Standby;
use workly_runtime::manager::{ModelSettings, Patience};
use workly_wire::model::{ModelSnapshot, ModelState};

use crate::stage::{Heard, Stage, hear_out, hear_to};
use crate::stopping::kill;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cpu_worker_that_refuses_is_tried_again_with_pauses_and_the_answer_goes_on_when_it_serves() {
    let mut stage = Stage::set_with(
        json!({}),
        |settings| settings.profile = ProfileChoice::Fixed(Profile::CpuFallback),
        Patience::default(),
    );
    stage.manager.load().await.unwrap();
    let (mut stream, mut heard) = (stage.ask(10_000), Heard::default());
    hear_to(&mut stream, &mut heard, 5).await;
    stage.behave(json!({ "cpu_refuses": "out_of_memory" }));
    kill(stage.snapshot().worker_pid);
    // Twice refused, three seconds of pauses: without them there would be hundreds of starts.
    stage.until_logged("load cpu", 3).await;
    assert!(stage.count("load cpu") <= 4, "{:?}", stage.log());
    stage.behave(json!({ "cpu_refuses": null }));
    let at = heard.indices.len() as u32;
    hear_to(&mut stream, &mut heard, at + 5).await;
    heard.assert_in_order();
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    stage.manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cpu_worker_that_refuses_for_good_ends_the_answer_in_words_with_all_its_text() {
    let mut stage = Stage::set_with(
        json!({}),
        |settings| settings.profile = ProfileChoice::Fixed(Profile::CpuFallback),
        Patience::default(),
    );
    stage.manager.load().await.unwrap();
    let (mut stream, mut heard) = (stage.ask(10_000), Heard::default());
    hear_to(&mut stream, &mut heard, 5).await;
    stage.behave(json!({ "cpu_refuses": "out_of_memory" }));
    kill(stage.snapshot().worker_pid);
    let heard = hear_out(stream, heard).await;
    heard.assert_in_order();
    assert_eq!(heard.ends, 1);
    assert!(heard.problem.unwrap().message.contains("stopped trying"));
    assert!(stage.count("load cpu") <= 7, "{:?}", stage.log());
    // And asked again it answers, once it can.
    stage.behave(json!({ "cpu_refuses": null }));
    assert_eq!(hear_out(stage.ask(3), Heard::default()).await.indices.len(), 3);
    stage.manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_refused_is_not_asked_for_again_with_every_token() {
    let stage = Stage::set_with(
        json!({ "cpu_refuses": "out_of_memory", "token_s": 0.01 }),
        |settings| settings.standby = Standby::On,
        Patience::default(),
    );
    let began = Instant::now();
    stage.manager.load().await.unwrap();
    stage.until_logged("load cpu", 1).await;
    assert_eq!(hear_out(stage.ask(300), Heard::default()).await.indices.len(), 300);
    let tries = stage.count("load cpu");
    assert!(tries as u64 <= 1 + began.elapsed().as_secs() / 30, "{tries} tries: {:?}", stage.log());
    stage.manager.shut_down().await;
}

/// Lets the worker die before it writes anything; what is seen then: another one, or that no more are tried.
async fn dies_at_once(stage: &Stage) -> ModelState {
    let dead = stage.snapshot().worker_pid;
    kill(dead);
    let comes = |seen: &ModelSnapshot| seen.state == ModelState::Ready && seen.worker_pid != dead;
    stage.until("what follows", |seen| seen.state == ModelState::Failed || comes(seen)).await.state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_one_model_that_die_at_once_say_nothing_of_another_model() {
    let on_cpu = |settings: &mut ModelSettings| settings.profile = ProfileChoice::Fixed(Profile::CpuFallback);
    // The last that is forgiven, and the one that is not.
    for (deaths, then) in [(5, ModelState::Ready), (6, ModelState::Failed)] {
        let stage = Stage::set_with(json!({}), on_cpu, Patience::default());
        stage.manager.load().await.unwrap();
        for death in 1..=deaths {
            let expected = if death < deaths { ModelState::Ready } else { then };
            assert_eq!(dies_at_once(&stage).await, expected, "after {death} of {deaths}");
        }
        let mut other = ModelSettings { standby: Standby::Off, ..ModelSettings::new(stage.path("other.gguf")) };
        on_cpu(&mut other);
        stage.manager.configure(other);
        stage.manager.load().await.unwrap();
        assert_eq!(stage.snapshot().model.unwrap().name, "other.gguf");
        assert_eq!(dies_at_once(&stage).await, ModelState::Ready, "after {deaths} of the other one");
        stage.manager.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_model_waits_for_the_memory_of_the_one_before_it() {
    let stage = Stage::set_with(
        json!({ "late_s": 1.0 }),
        |settings| settings.profile = ProfileChoice::Auto,
        Patience::default(),
    );
    stage.manager.load().await.unwrap();
    let layers = |stage: &Stage| stage.snapshot().model.map(|model| model.gpu_layers);
    assert_eq!(layers(&stage), Some(10));
    let chosen =
        ModelSettings { standby: Standby::Off, gpu: DeviceWish::Auto, ..ModelSettings::new(stage.path("other.gguf")) };
    stage.manager.configure(chosen);
    stage
        .until("the other model", |snapshot| {
            snapshot.model.as_ref().is_some_and(|model| model.name == "other.gguf")
                && snapshot.state == ModelState::Ready
        })
        .await;
    assert_eq!(layers(&stage), Some(10), "its own memory was taken for somebody else's: {:?}", stage.log());
    stage.manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_of_another_number_type_waits_for_the_answer_and_then_the_model_is_loaded_anew() {
    let stage = Stage::set(json!({}));
    stage.manager.load().await.unwrap();
    let (mut stream, mut heard) = (stage.ask(10_000), Heard::default());
    hear_to(&mut stream, &mut heard, 5).await;
    stage.manager.configure(ModelSettings {
        kv_type: KvType::Q8_0,
        profile: ProfileChoice::Fixed(Profile::Performance),
        standby: Standby::Off,
        ..ModelSettings::new(stage.path("m.gguf"))
    });
    hear_to(&mut stream, &mut heard, 10).await;
    assert_eq!(stage.count("load "), 1, "the answer is finished in the cache it has: {:?}", stage.log());
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    stage.until_logged("load gpu 10 m.gguf q8_0", 1).await;
    assert!(stage.count("footprint q8_0") > 0, "it was planned for the cache of before: {:?}", stage.log());
    stage.is_ready().await;
    stage.manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_counts_tokens_wrongly_is_ended_and_the_answer_goes_on() {
    let mut stage = Stage::set(json!({}));
    stage.manager.load().await.unwrap();
    let (mut stream, mut heard) = (stage.ask(10_000), Heard::default());
    hear_to(&mut stream, &mut heard, 5).await;
    stage.behave(json!({ "gpu_skips": 4_294_967_000_u32 }));
    stage.until_logged("resume", 1).await;
    stage.behave(json!({ "gpu_skips": 0 }));
    let at = heard.indices.len() as u32;
    hear_to(&mut stream, &mut heard, at + 5).await;
    heard.assert_in_order();
    stream.stop();
    hear_out(stream, heard).await.assert_stopped();
    stage.manager.shut_down().await;
}
