//! An answer that changes workers in the middle: nothing is lost, nothing is said twice.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that hears something else has failed")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use support::worker::Worker;
use support::{chat, objects, of_type, run};
use workly_core::chat::{Message, Role};
use workly_core::sampling::Sampling;
use workly_engine::protocol::{Command, GenerateRequest, Generated, Reply, ResumeRequest, UnfinishedAnswer};

/// An answer as it was heard: token ids and text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    tokens: Vec<(u32, i32)>,
    text: String,
}

enum Ending {
    Done(Generated),
    HandedOver { answer: UnfinishedAnswer, saved: bool },
}

/// Listens until the request ends; after `until` tokens in all, asks for the answer to be handed over.
fn listen(worker: &mut Worker, id: u64, heard: &mut Heard, until: usize, state: &Path) -> Ending {
    let mut asked = false;
    loop {
        match worker.hear().reply {
            Reply::Token { index, id: token, text } => {
                heard.tokens.push((index, token));
                heard.text.push_str(&text);
                if heard.tokens.len() >= until && !asked {
                    asked = true;
                    worker.tell(0, Command::HandOver { request: id, state: state.to_path_buf() });
                }
            }
            Reply::Done(generated) => return Ending::Done(generated),
            Reply::HandedOver { answer, state_bytes, .. } => {
                return Ending::HandedOver { answer, saved: state_bytes.is_some() };
            }
            Reply::Failed(problem) => panic!("{problem:?}"),
            _ => {}
        }
    }
}

fn question(text: &str, temperature: f32, tokens: u32) -> GenerateRequest {
    GenerateRequest {
        messages: vec![Message::new(Role::User, text)],
        sampling: Sampling { temperature, seed: 7, ..Sampling::default() },
        max_tokens: Some(tokens),
        stop_strings: vec!["never said".to_owned()],
        ignore_end: true,
        state: None,
    }
}

/// The answer of one worker that nobody disturbs.
fn undisturbed(worker: &mut Worker, request: &GenerateRequest) -> Heard {
    let mut heard = Heard::default();
    worker.tell(2, Command::Generate(request.clone()));
    match listen(worker, 2, &mut heard, usize::MAX, Path::new("")) {
        Ending::Done(generated) => assert_eq!(Some(generated.tokens), request.max_tokens),
        Ending::HandedOver { .. } => panic!("nobody asked for a handover"),
    }
    heard
}

/// The same answer, handed from one worker to the other at irregular tokens. Tells how often.
fn passed_around(workers: &mut [Worker; 2], request: &GenerateRequest, with_state: bool) -> (Heard, u32) {
    let folder = tempfile::tempdir().unwrap();
    let mut heard = Heard::default();
    let mut handovers: u32 = 0;
    let mut at_work = 0;
    let mut id = 100;
    workers[at_work].tell(id, Command::Generate(request.clone()));
    loop {
        // Two to five tokens with each worker, in an order that repeats only after a while; one more is written when the
        // handover is heard.
        let until = heard.tokens.len() + 1 + (handovers as usize * 7 % 11) % 4;
        let state = folder.path().join(handovers.to_string());
        match listen(&mut workers[at_work], id, &mut heard, until, &state) {
            Ending::Done(generated) => {
                assert_eq!(Some(generated.tokens), request.max_tokens);
                return (heard, handovers);
            }
            Ending::HandedOver { answer, saved } => {
                assert!(saved, "the state of a CPU worker can always be saved");
                handovers += 1;
                id += 1;
                at_work = 1 - at_work;
                let state = with_state.then_some(state);
                let resume = ResumeRequest { request: GenerateRequest { state, ..request.clone() }, answer };
                workers[at_work].tell(id, Command::Resume(resume));
            }
        }
    }
}

#[test]
fn two_hundred_handovers_between_equal_workers_change_not_a_byte() {
    let mut workers = [Worker::with_model(1), Worker::with_model(1)];
    let mut handovers = 0;
    for text in ["Tell a story of a lighthouse.", "Répète et continue : 🦀 漢字 Größe 🎉 naïve café"] {
        for temperature in [0.0, 0.8] {
            let request = question(text, temperature, 200);
            let expected = undisturbed(&mut workers[0], &request);
            let (heard, times) = passed_around(&mut workers, &request, true);
            assert_eq!(heard, expected, "{text} at temperature {temperature}");
            handovers += times;
        }
    }
    assert!(handovers >= 200, "{handovers}");
}

#[test]
fn workers_of_two_threads_go_on_with_each_others_state_to_the_byte() {
    let mut workers = [Worker::with_model(2), Worker::with_model(2)];
    let request = question("Tell a story of a lighthouse.", 0.8, 24);
    let expected = undisturbed(&mut workers[0], &request);
    let (heard, handovers) = passed_around(&mut workers, &request, true);
    assert_eq!(heard, expected);
    assert!(handovers >= 4, "{handovers}");
}

#[test]
fn without_a_saved_state_the_tokens_are_computed_anew_and_none_is_lost_or_repeated() {
    let mut workers = [Worker::with_model(2), Worker::with_model(1)];
    let (heard, handovers) = passed_around(&mut workers, &question("Tell a story of a lighthouse.", 0.8, 50), false);
    assert!(handovers >= 8, "{handovers}");
    assert_eq!(heard.tokens.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
}

/// Keeps none, one or two cores busy, in turn, until it is dropped.
struct ChangingLoad(Arc<AtomicBool>, Vec<JoinHandle<()>>);

impl ChangingLoad {
    fn start() -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let hogs = [300, 700].map(|period_ms| {
            let ends = Arc::clone(&ends);
            thread::spawn(move || {
                let began = Instant::now();
                while !ends.load(Ordering::Relaxed) {
                    let is_busy = began.elapsed().as_millis() / period_ms % 2 == 1;
                    if is_busy { std::hint::spin_loop() } else { thread::sleep(Duration::from_millis(5)) }
                }
            })
        });
        Self(ends, hogs.into())
    }
}

impl Drop for ChangingLoad {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.drain(..).for_each(|hog| hog.join().unwrap());
    }
}

#[test]
fn threads_that_follow_a_changing_load_lose_and_repeat_no_token_in_fifty_handovers() {
    let mut workers = [Worker::following(2), Worker::following(2)];
    let _load = ChangingLoad::start();
    let (heard, handovers) = passed_around(&mut workers, &question("Tell a story of a lighthouse.", 0.8, 220), true);
    assert!(handovers >= 50, "{handovers}");
    assert_eq!(heard.tokens.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (0..220).collect::<Vec<_>>());
}

#[test]
fn a_state_that_is_none_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "no state at all").unwrap();
    let mut workers = [Worker::with_model(1), Worker::with_model(1)];
    let request = question("Count to ten.", 0.0, 60);
    let mut heard = Heard::default();
    workers[0].tell(2, Command::Generate(request.clone()));
    let Ending::HandedOver { answer, .. } = listen(&mut workers[0], 2, &mut heard, 10, &folder.path().join("state"))
    else {
        panic!("it was asked to hand over")
    };
    workers[1].tell(
        3,
        Command::Resume(ResumeRequest { request: GenerateRequest { state: Some(broken), ..request }, answer }),
    );
    assert!(matches!(listen(&mut workers[1], 3, &mut heard, usize::MAX, Path::new("")), Ending::Done(_)));
    assert_eq!(heard.tokens.len(), 60);
}

#[test]
fn a_chat_moves_off_the_gpu_and_back_in_the_middle_of_its_answer() {
    let mut command = chat(&["--profile", "performance", "--gpu-layers", "1", "--prompt", "Tell a long story."]);
    command.args(["--max-tokens", "160", "--ignore-eos", "--seed", "1", "--json"]);
    command.args(["--switch-at", "8:cpu_fallback,60:performance"]).env("GGML_VK_VISIBLE_DEVICES", "0");
    let objects = objects(&run(&mut command, 0));

    let tokens = of_type(&objects, "token");
    let indices: Vec<_> = tokens.iter().map(|token| token["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (0..160).collect::<Vec<_>>(), "no token is lost or said twice");

    let switches = of_type(&objects, "switch");
    let places: Vec<_> = switches.iter().map(|switch| (&switch["from"], &switch["to"], &switch["strategy"])).collect();
    assert_eq!(
        places,
        [
            (&json!("performance"), &json!("cpu_fallback"), &json!("standby")),
            (&json!("cpu_fallback"), &json!("performance"), &json!("side_by_side")),
        ]
    );
    assert!(switches[0]["vram_released_ms"].as_f64().unwrap() > 0.0);
    assert!(switches[1]["vram_released_ms"].is_null());
    for switch in switches {
        let at = usize::try_from(switch["at_token"].as_u64().unwrap()).unwrap();
        assert_eq!((&tokens[at - 1]["profile"], &tokens[at]["profile"]), (&switch["from"], &switch["to"]));
        assert!(switch["gap_ms"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_switch_to_a_gpu_that_is_not_there_leaves_the_answer_where_it_is() {
    let mut command = chat(&["--profile", "cpu_fallback", "--prompt", "Tell a long story.", "--max-tokens", "200"]);
    command.args(["--ignore-eos", "--json", "--switch-at", "5:performance"]);
    let objects = objects(&run(&mut command, 0));
    assert_eq!(of_type(&objects, "token").len(), 200);
    assert!(of_type(&objects, "token").iter().all(|token| token["profile"] == "cpu_fallback"));
    assert!(of_type(&objects, "switch").is_empty());
}

#[test]
fn a_switch_between_answers_takes_the_conversation_along() {
    let mut command = chat(&["--profile", "performance", "--gpu-layers", "1", "--max-tokens", "12", "--seed", "1"]);
    command.args(["--json", "--switch-at", "12:cpu_fallback", "--prompt", "Hello.", "--prompt", "And who are you?"]);
    let objects = objects(&run(command.env("GGML_VK_VISIBLE_DEVICES", "0"), 0));
    let ends = of_type(&objects, "done");
    assert_eq!(ends.len(), 2);
    assert!(of_type(&objects, "error").is_empty());
    // What was said before the switch is not computed again: only the end of the first answer and the new question are.
    let of_first = ends[0]["prompt_tokens"].as_u64().unwrap();
    assert!(ends[1]["cached_prompt_tokens"].as_u64().unwrap() >= of_first, "{ends:?}");
}

#[test]
fn where_a_switch_falls_must_be_written_as_token_and_profile() {
    for wrong in ["20", "0:performance", "x:performance", "20:turbo"] {
        run(&mut chat(&["--prompt", "Hi", "--switch-at", wrong]), 2);
    }
}

#[test]
fn a_switch_decided_just_before_the_end_takes_effect_for_the_next_answer() {
    // The decision falls while the last tokens are written; wherever the end finds it, the next turn runs on the target.
    let mut command = chat(&["--profile", "performance", "--gpu-layers", "1", "--seed", "1", "--json"]);
    command.args(["--max-tokens", "40", "--ignore-eos", "--switch-at", "30:cpu_fallback"]);
    command.args(["--prompt", "Hello.", "--prompt", "And who are you?", "--prompt", "Go on."]);
    let objects = objects(&run(command.env("GGML_VK_VISIBLE_DEVICES", "0"), 0));
    let last = of_type(&objects, "token").pop().unwrap();
    assert_eq!(last["profile"], "cpu_fallback");
    assert_eq!(of_type(&objects, "token").len(), 120);
}

#[test]
fn a_later_switch_takes_the_place_of_one_under_way() {
    let mut command = chat(&["--profile", "performance", "--gpu-layers", "1", "--seed", "1", "--json"]);
    command.args(["--max-tokens", "120", "--ignore-eos", "--prompt", "Tell a long story."]);
    command.args(["--switch-at", "5:cpu_fallback,6:performance,7:cpu_fallback,8:performance,30:cpu_fallback"]);
    let objects = objects(&run(command.env("GGML_VK_VISIBLE_DEVICES", "0"), 0));
    let indices: Vec<_> = of_type(&objects, "token").iter().map(|token| token["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (0..120).collect::<Vec<_>>());
    assert_eq!(of_type(&objects, "token").pop().unwrap()["profile"], "cpu_fallback");
}
