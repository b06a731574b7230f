//! Checkpoints in memory that has no name, passed from one worker to another.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, fstat, memfd_create};
use support::worker::Worker;
use workly_core::chat::{Message, Role};
use workly_core::sampling::Sampling;
use workly_core::text::AnswerText;
use workly_engine::protocol::{Command, GenerateRequest, Reply, ResumeRequest, UnfinishedAnswer};

/// Memory of this process as a file, and the path by which its children reach it.
fn memory() -> (OwnedFd, PathBuf) {
    let memory = memfd_create("state", MemfdFlags::CLOEXEC).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
    (memory, path.into())
}

fn question(text: &str, max_tokens: u32) -> GenerateRequest {
    GenerateRequest {
        messages: vec![Message::new(Role::User, text)],
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(max_tokens),
        stop_strings: Vec::new(),
        ignore_end: true,
        state: None,
    }
}

#[test]
fn a_conversation_goes_from_worker_to_worker_through_memory_without_a_name() {
    let (memory, path) = memory();
    let mut workers = [Worker::with_model(1), Worker::with_model(1)];
    let request = GenerateRequest { state: Some(path.clone()), ..question("Tell a story of a lighthouse.", 40) };
    workers[0].tell(2, Command::Generate(request));
    let mut saved = (0, 0);
    let prompt = loop {
        match workers[0].hear().reply {
            Reply::Checkpointed { tokens, bytes } => saved = (tokens, bytes),
            Reply::Done(figures) => break figures.prompt_tokens,
            _ => {}
        }
    };
    assert_eq!(saved.0, prompt + 40);
    assert_eq!(u64::try_from(fstat(&memory).unwrap().st_size).unwrap(), saved.1);
    workers[1].tell(2, Command::Restore { state: path });
    assert_eq!(workers[1].last(2), Reply::Restored { tokens: saved.0 });
}

#[test]
fn an_answer_whose_worker_is_killed_computes_nothing_twice_that_was_saved() {
    let (_memory, path) = memory();
    let (mut lost, mut other) = (Worker::with_model(1), Worker::with_model(1));
    let text = "Tell a story of a lighthouse, its keeper, a storm and a ship. ".repeat(12);
    let request = GenerateRequest { state: Some(path), ..question(&text, 60) };
    lost.tell(2, Command::Generate(request.clone()));
    let (mut history, mut told, mut saved) = (Vec::new(), Vec::new(), 0);
    while told.len() < 20 {
        match lost.hear().reply {
            Reply::PromptTokens { tokens } => history = tokens,
            Reply::Token { id, .. } => told.push(id),
            Reply::Checkpointed { tokens, .. } => saved = tokens,
            Reply::Done(_) | Reply::Failed(_) => panic!("it ended"),
            _ => {}
        }
    }
    drop(lost);
    let prompt_tokens = u32::try_from(history.len()).unwrap();
    assert!(prompt_tokens > 150 && saved >= prompt_tokens, "{saved} of {prompt_tokens} were saved");
    history.extend_from_slice(&told);
    let answer = UnfinishedAnswer {
        history,
        prompt_tokens,
        cached_prompt_tokens: 0,
        dropped_turns: 0,
        tokens: 20,
        seconds: 1.0,
        text: AnswerText::new(Vec::new()),
        withheld: Vec::new(),
    };
    other.tell(2, Command::Resume(ResumeRequest { request, answer }));
    let restored_tokens = loop {
        match other.hear().reply {
            Reply::Resumed { restored_tokens, .. } => break restored_tokens,
            Reply::Heartbeat { .. } => {}
            reply => panic!("{reply:?}"),
        }
    };
    assert!(restored_tokens >= saved, "{restored_tokens} of {saved}");
    assert!(matches!(other.last(2), Reply::Done(figures) if figures.tokens == 60));
}

#[test]
fn a_conversation_that_takes_another_turn_replaces_what_was_saved() {
    let (memory, path) = memory();
    let mut worker = Worker::with_model(1);
    let ask = |worker: &mut Worker, id, text: &str, tokens| {
        worker.tell(id, Command::Generate(GenerateRequest { state: Some(path.clone()), ..question(text, tokens) }));
        let Reply::Done(figures) = worker.last(id) else { panic!("it ended otherwise") };
        figures
    };
    ask(&mut worker, 2, "Tell a story of a lighthouse.", 40);
    let long = fstat(&memory).unwrap().st_size;
    ask(&mut worker, 3, "Count the colours of a rainbow.", 4);
    assert!(fstat(&memory).unwrap().st_size < long);
    // What lies there now is of the second one, and true.
    let mut other = Worker::with_model(1);
    let second = ask(&mut other, 2, "Count the colours of a rainbow.", 4);
    assert_eq!(second.cached_prompt_tokens, second.prompt_tokens - 1);
    let first = ask(&mut other, 3, "Tell a story of a lighthouse.", 4);
    assert!(first.cached_prompt_tokens < first.prompt_tokens - 1);
}

#[test]
fn an_answer_goes_on_token_for_token_and_a_second_state_takes_the_place_of_the_first() {
    let (memory, path) = memory();
    let mut workers = [Worker::with_model(1), Worker::with_model(1)];
    let request = question("Tell a story of a lighthouse.", 60);
    let told = |worker: &mut Worker, id: u64, told: &mut Vec<i32>, hand_over_at: usize| {
        loop {
            match worker.hear().reply {
                Reply::Token { id: token, .. } => {
                    told.push(token);
                    if told.len() == hand_over_at {
                        worker.tell(id + 1, Command::HandOver { request: id, state: path.clone() });
                    }
                }
                Reply::Done(_) => return None,
                Reply::HandedOver { answer, state_bytes, .. } => return Some((answer, state_bytes)),
                Reply::Failed(problem) => panic!("{problem:?}"),
                _ => {}
            }
        }
    };
    let mut undisturbed = Vec::new();
    workers[1].tell(2, Command::Generate(GenerateRequest { state: Some(path.clone()), ..request.clone() }));
    told(&mut workers[1], 2, &mut undisturbed, usize::MAX);

    // A longer state lies there already: what is saved next is shorter.
    let longer = fstat(&memory).unwrap().st_size;
    let mut heard = Vec::new();
    workers[0].tell(2, Command::Generate(request.clone()));
    let (answer, bytes) = told(&mut workers[0], 2, &mut heard, 20).unwrap();
    let saved = fstat(&memory).unwrap().st_size;
    assert_eq!((bytes, saved < longer), (u64::try_from(saved).ok(), true));
    let request = GenerateRequest { state: Some(path.clone()), ..request };
    workers[1].tell(6, Command::Resume(ResumeRequest { request, answer }));
    let mut restored = 0;
    loop {
        match workers[1].hear().reply {
            Reply::Resumed { restored_tokens, .. } => restored = restored_tokens,
            Reply::Token { id, .. } => heard.push(id),
            Reply::Done(_) => break,
            Reply::Failed(problem) => panic!("{problem:?}"),
            _ => {}
        }
    }
    assert!(restored > 20, "{restored} tokens were restored");
    assert_eq!(heard, undisturbed);
}
