//! The model manager with real workers, spoken to as the window does.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that hears something else has failed")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use support::progress::in_time;
use support::worker::Worker;
use support::{PROGRAM, gemma, model, signal, workers_of};
use workly_core::chat::{Message, Role};
use workly_core::device::DeviceWish;
use workly_core::model::ContextSize;
use workly_core::policy::Reason;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::sampling::Sampling;
use workly_core::settings::{OverrideSetting, OverrideWish};
use workly_engine::protocol::{Command, GenerateRequest, Reply, ResumeRequest};
use workly_runtime::manager::{AnswerStream, ModelManager, ModelSettings, Patience};
use workly_runtime::monitor::{Monitor, MonitorSettings, Sources};
use workly_wire::answer::{AnswerEvent, AnswerRequest, AnswerStats};
use workly_wire::model::ModelState;

/// The program, started so that llama.cpp's Vulkan backend shows the device in software.
fn program(folder: &Path) -> PathBuf {
    let script = folder.join("workly-cli");
    std::fs::write(&script, format!("#!/bin/sh\nGGML_VK_VISIBLE_DEVICES=0 exec '{PROGRAM}' \"$@\"\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
}

/// A manager with one layer of the model on the device that Mesa computes in software.
fn on_gpu(data: &Path) -> ModelManager {
    let settings = ModelSettings {
        profile: ProfileChoice::Fixed(Profile::Performance),
        gpu_layers: Some(1),
        gpu: DeviceWish::Named("llvmpipe".into()),
        context: ContextSize::UpTo(1024),
        // A second one would wait for the first where another program keeps a core busy.
        threads: Some(1),
        ..ModelSettings::new(model())
    };
    let monitor = Arc::new(Monitor::start(Sources::default(), MonitorSettings::default()).unwrap());
    ModelManager::start(program(data), settings, Patience::default(), monitor, Some(data))
}

fn request(text: &str, tokens: u32) -> AnswerRequest {
    AnswerRequest {
        messages: vec![Message::new(Role::User, text)],
        sampling: Some(Sampling { temperature: 0.0, seed: 1, ..Sampling::default() }),
        max_tokens: Some(tokens),
        stop_strings: Vec::new(),
        ignore_end: true,
    }
}

/// Hears an answer to its end; `each` is told of every token.
async fn hear(mut stream: AnswerStream, mut each: impl FnMut(u32, i32, Profile)) -> AnswerStats {
    loop {
        match in_time("the answer to go on", stream.next()).await.unwrap() {
            AnswerEvent::Token { index, id, profile, .. } => each(index, id, profile),
            AnswerEvent::Done(stats) => return stats,
            AnswerEvent::Failed(problem) => panic!("{problem:?}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_during_a_switch_are_all_answered() {
    let data = tempfile::tempdir().unwrap();
    let manager = on_gpu(data.path());
    manager.load().await.unwrap();
    let switcher = manager.clone();
    let first = manager.answer(request("Tell a story.", 60));
    let mut others = Vec::new();
    let asked = manager.clone();
    let stats = hear(first, |index, _, _| {
        // Some before the switch, some while the next worker gets ready, some after.
        if index == 8 {
            switcher.switch(Profile::CpuFallback, "to be tested");
        }
        if (7..=12).contains(&index) {
            others.push(asked.answer(request(&format!("Say {index}."), 5)));
        }
        if index == 30 {
            switcher.switch(Profile::Performance, "to be tested");
            others.push(asked.answer(request("And back?", 5)));
        }
    })
    .await;
    assert_eq!(stats.tokens, 60);
    assert_eq!(others.len(), 7);
    for other in others {
        assert_eq!(hear(other, |_, _, _| {}).await.tokens, 5);
    }
    manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_workers_wrote_is_one_sequence_that_a_third_accepts() {
    let data = tempfile::tempdir().unwrap();
    let manager = on_gpu(data.path());
    manager.load().await.unwrap();
    let switcher = manager.clone();
    let (mut ids, mut places) = (Vec::new(), Vec::new());
    let text = "Tell a story of a lighthouse.";
    hear(manager.answer(request(text, 260)), |index, id, profile| {
        assert_eq!(index as usize, ids.len(), "a token was lost or said twice");
        ids.push(id);
        places.push(profile);
        if index == 10 {
            switcher.switch(Profile::CpuFallback, "to be tested");
        }
        if index == 40 {
            switcher.switch(Profile::Performance, "to be tested");
        }
    })
    .await;
    manager.shut_down().await;
    let mut moves = places.clone();
    moves.dedup();
    assert_eq!(moves, [Profile::Performance, Profile::CpuFallback, Profile::Performance]);

    // A worker that never saw any of it, with another number of threads: it takes prompt and answer as one prompt, and
    // at temperature 0 it would itself have written most of it.
    let mut third = Worker::with_model(2);
    let generate = |tokens| GenerateRequest {
        messages: vec![Message::new(Role::User, text)],
        sampling: Sampling { temperature: 0.0, seed: 1, ..Sampling::default() },
        max_tokens: Some(tokens),
        stop_strings: Vec::new(),
        ignore_end: true,
        state: None,
    };
    third.tell(2, Command::Generate(generate(1)));
    let mut prompt = Vec::new();
    loop {
        match third.hear().reply {
            Reply::PromptTokens { tokens } => prompt = tokens,
            Reply::Done(_) => break,
            _ => {}
        }
    }
    let (mut asked, mut agrees) = (0, 0);
    for (request_id, end) in (3..).zip((8..ids.len()).step_by(12)) {
        let answer = workly_engine::protocol::UnfinishedAnswer {
            history: prompt.iter().chain(&ids[..end]).copied().collect(),
            prompt_tokens: prompt.len() as u32,
            cached_prompt_tokens: 0,
            dropped_turns: 0,
            tokens: end as u32,
            seconds: 0.0,
            text: workly_core::text::AnswerText::new(Vec::new()),
            withheld: Vec::new(),
        };
        let resume = ResumeRequest { request: generate(end as u32 + 1), answer };
        third.tell(request_id, Command::Resume(resume));
        loop {
            match third.hear().reply {
                Reply::Token { index, id, .. } => {
                    assert_eq!(index as usize, end);
                    asked += 1;
                    agrees += usize::from(id == ids[end]);
                }
                Reply::Done(done) => {
                    assert_eq!(done.tokens as usize, end + 1);
                    break;
                }
                Reply::Failed(problem) => panic!("{problem:?}"),
                _ => {}
            }
        }
    }
    assert!(asked >= 20 && agrees * 10 >= asked * 8, "of {asked} tokens asked for again only {agrees} are the same");
}

/// What was said in a conversation, and what it was said to.
struct Conversation(Vec<Message>);

impl Conversation {
    /// Asks the next thing; the figures of the answer.
    async fn ask(&mut self, manager: &ModelManager, text: &str) -> AnswerStats {
        self.0.push(Message::new(Role::User, text));
        let mut stream = manager.answer(AnswerRequest { messages: self.0.clone(), ..request("", 24) });
        let mut answer = String::new();
        loop {
            match in_time("the answer to go on", stream.next()).await.unwrap() {
                AnswerEvent::Token { text, .. } => answer.push_str(&text),
                AnswerEvent::Done(stats) => {
                    self.0.push(Message::new(Role::Assistant, answer));
                    return stats;
                }
                AnswerEvent::Failed(problem) => panic!("{problem:?}"),
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coming_back_to_a_conversation_reads_nothing_anew_on_whichever_worker() {
    let data = tempfile::tempdir().unwrap();
    let settings = ModelSettings {
        profile: ProfileChoice::Fixed(Profile::CpuFallback),
        context: ContextSize::UpTo(1024),
        threads: Some(1),
        ..ModelSettings::new(model())
    };
    let monitor = Arc::new(Monitor::start(Sources::default(), MonitorSettings::default()).unwrap());
    let manager = ModelManager::start(PROGRAM.into(), settings, Patience::default(), monitor, Some(data.path()));
    let mut conversations = ["Tell a story of a lighthouse.", "Count the colours of a rainbow.", "Name some trees."]
        .map(|text| {
            let long = "Take your time, and think of somebody who has never seen one of them before. ".repeat(6);
            (Conversation(Vec::new()), format!("{text} {long}"))
        });
    let mut first_prompts = Vec::new();
    for (conversation, text) in &mut conversations {
        first_prompts.push(conversation.ask(&manager, text).await.prompt_tokens);
    }
    for ((conversation, _), first) in conversations.iter_mut().zip(&first_prompts) {
        let stats = conversation.ask(&manager, "Go on.").await;
        assert!(stats.cached_prompt_tokens >= *first, "{} of {first} were there", stats.cached_prompt_tokens);
    }
    // What a worker held dies with it, and what was saved does not.
    for worker in workers_of(std::process::id()) {
        signal(worker, Signal::KILL);
    }
    for ((conversation, _), first) in conversations.iter_mut().zip(&first_prompts) {
        let stats = conversation.ask(&manager, "And then?").await;
        assert!(stats.cached_prompt_tokens >= *first, "{} of {first} after a death", stats.cached_prompt_tokens);
    }
    manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_choice_acts_at_once_and_unloading_ends_every_worker() {
    let data = tempfile::tempdir().unwrap();
    let manager = on_gpu(data.path());
    manager.load().await.unwrap();
    let mut snapshots = manager.snapshot();
    let loaded = snapshots.borrow_and_update().clone();
    assert_eq!((loaded.state, loaded.profile), (ModelState::Ready, Some(Profile::Performance)));
    assert_eq!(loaded.plan.unwrap().performance.layers, 1);
    let worker = loaded.worker_pid.unwrap();
    in_time("the standby", snapshots.wait_for(|snapshot| snapshot.standby_ready)).await.unwrap();

    manager.configure(ModelSettings {
        profile: ProfileChoice::Fixed(Profile::CpuFallback),
        gpu: DeviceWish::Named("llvmpipe".into()),
        context: ContextSize::UpTo(1024),
        gpu_layers: Some(1),
        threads: Some(1),
        ..ModelSettings::new(model())
    });
    let on_cpu = snapshots.wait_for(|snapshot| snapshot.profile == Some(Profile::CpuFallback));
    in_time("the CPU", on_cpu).await.unwrap();
    support::wait_for("the GPU worker to go", || (!support::is_alive(worker)).then_some(()));
    let moved = snapshots.borrow().clone();
    assert_eq!(moved.why.unwrap().reason(), Some(Reason::Choice));

    manager.unload();
    in_time("the end of the model", snapshots.wait_for(|snapshot| snapshot.state == ModelState::Stopped))
        .await
        .unwrap();
    let ours = std::process::id();
    support::wait_for("all workers to go", || support::workers_of(ours).next().is_none().then_some(()));
    // The next message loads it again.
    assert_eq!(hear(manager.answer(request("Hello.", 3)), |_, _, _| {}).await.tokens, 3);
    manager.shut_down().await;
    assert!(support::workers_of(ours).next().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gpu_can_be_given_up_for_a_while() {
    let data = tempfile::tempdir().unwrap();
    let manager = on_gpu(data.path());
    manager.load().await.unwrap();
    let mut snapshots = manager.snapshot();
    let give_up = OverrideSetting { kind: OverrideWish::GiveUp, until: None };
    let wish = |override_| ModelSettings {
        profile: ProfileChoice::Fixed(Profile::Performance),
        gpu: DeviceWish::Named("llvmpipe".into()),
        context: ContextSize::UpTo(1024),
        gpu_layers: Some(1),
        threads: Some(1),
        override_,
        ..ModelSettings::new(model())
    };
    let mut moved = false;
    let stats = hear(manager.answer(request("Tell a story.", 40)), |index, _, profile| {
        if index == 5 {
            manager.configure(wish(Some(give_up)));
        }
        moved |= profile == Profile::CpuFallback;
    })
    .await;
    assert_eq!((stats.tokens, moved), (40, true));
    let now = snapshots.borrow_and_update().clone();
    assert_eq!((now.profile, now.override_kind), (Some(Profile::CpuFallback), Some(OverrideWish::GiveUp)));
    // Called off, the model goes back to where the user holds it.
    manager.configure(wish(None));
    let on_gpu = snapshots.wait_for(|snapshot| snapshot.profile == Some(Profile::Performance));
    in_time("the GPU", on_gpu).await.unwrap();
    manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_finished_by_its_own_model_wherever_that_moves_and_the_chosen_one_follows() {
    let data = tempfile::tempdir().unwrap();
    let manager = on_gpu(data.path());
    manager.load().await.unwrap();
    let snapshots = manager.snapshot();
    let name = || snapshots.borrow().model.clone().unwrap().name;
    let own = name();
    let chosen = ModelSettings {
        profile: ProfileChoice::Fixed(Profile::CpuFallback),
        gpu: DeviceWish::Named("llvmpipe".into()),
        context: ContextSize::UpTo(1024),
        gpu_layers: Some(1),
        threads: Some(1),
        ..ModelSettings::new(gemma())
    };
    let (mut places, mut load) = (Vec::new(), None);
    let stats = hear(manager.answer(request("Tell a story.", 160)), |index, _, profile| {
        places.push(profile);
        assert_eq!(name(), own, "another model wrote token {index}");
        match index {
            5 => {
                manager.configure(chosen.clone());
                let manager = manager.clone();
                load = Some(tokio::spawn(async move { manager.load().await }));
            }
            // A worker that is not there yet has to load the model.
            12 => manager.switch(Profile::Performance, "to be tested"),
            _ => assert!(!load.as_ref().is_some_and(tokio::task::JoinHandle::is_finished), "loaded at token {index}"),
        }
    })
    .await;
    places.dedup();
    assert_eq!(stats.tokens, 160);
    assert_eq!(places, [Profile::Performance, Profile::CpuFallback, Profile::Performance]);
    load.unwrap().await.unwrap().unwrap();
    assert_ne!(name(), own);
    assert_eq!(hear(manager.answer(request("Hello.", 3)), |_, _, _| {}).await.tokens, 3);
    manager.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_choice_of_model_that_is_taken_back_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let manager = on_gpu(data.path());
    manager.load().await.unwrap();
    let worker = manager.snapshot().borrow().worker_pid;
    let settings = |path| ModelSettings {
        profile: ProfileChoice::Fixed(Profile::Performance),
        gpu: DeviceWish::Named("llvmpipe".into()),
        context: ContextSize::UpTo(1024),
        gpu_layers: Some(1),
        threads: Some(1),
        ..ModelSettings::new(path)
    };
    let stats = hear(manager.answer(request("Tell a story.", 20)), |index, _, _| match index {
        5 => manager.configure(settings(gemma())),
        10 => manager.configure(settings(model())),
        _ => {}
    })
    .await;
    assert_eq!(stats.tokens, 20);
    manager.load().await.unwrap();
    assert_eq!(manager.snapshot().borrow().worker_pid, worker, "the model is still the one that was there");
    manager.shut_down().await;
}
