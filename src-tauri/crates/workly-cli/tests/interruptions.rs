//! A stop and a handover, said to a real worker at every stage of an answer.
#![cfg(target_os = "linux")]
#![expect(clippy::panic, reason = "a test that hears something else has failed")]

mod support;

use std::path::{Path, PathBuf};

use support::signal;
use support::worker::Worker;
use workly_core::answer::StopReason;
use workly_core::chat::{Message, Role};
use workly_core::sampling::Sampling;
use workly_engine::protocol::{Command, Envelope, GenerateRequest, Generated, Reply, ResumeRequest, UnfinishedAnswer};

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

fn long_question() -> GenerateRequest {
    question(&"tell me about rivers and mountains ".repeat(100), 10)
}

fn hand_over(request: u64, state: &Path) -> Command {
    Command::HandOver { request, state: state.to_path_buf() }
}

/// Listens until a request ends; what it said before, and its end.
fn listen(worker: &mut Worker, id: u64) -> (Vec<Reply>, Reply) {
    let mut before = Vec::new();
    loop {
        let Envelope { id: of, reply } = worker.hear();
        if of == id && reply.is_final() {
            return (before, reply);
        }
        if of == id {
            before.push(reply);
        }
    }
}

fn cancelled(reply: &Reply) -> &Generated {
    match reply {
        Reply::Done(done) if done.stop == StopReason::Cancelled => done,
        other => panic!("{other:?}"),
    }
}

fn tokens(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| matches!(reply, Reply::Token { .. })).count()
}

/// An answer handed over after some tokens, with its state.
fn begun(worker: &mut Worker, request: &GenerateRequest, folder: &Path) -> (UnfinishedAnswer, PathBuf) {
    let state = folder.join("begun");
    worker.tell(50, Command::Generate(request.clone()));
    while !matches!(worker.hear().reply, Reply::Token { .. }) {}
    worker.tell(51, hand_over(50, &state));
    match worker.last(50) {
        Reply::HandedOver { answer, state_bytes: Some(_), .. } => (answer, state),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cancel_is_heard_while_a_conversation_is_fitted() {
    let mut worker = Worker::with_model(1);
    // Some seconds of counting.
    worker.tell(2, Command::Generate(question(&"rivers and mountains ".repeat(600_000), 10)));
    let mut first = None;
    loop {
        match worker.hear() {
            // It counts, and makes progress.
            Envelope { reply: Reply::Heartbeat { progress }, .. }
                if first.is_none_or(|first| progress > first + 10) =>
            {
                if first.is_some() {
                    break;
                }
                first = Some(progress);
            }
            Envelope { id: 2, reply } => panic!("the message was counted before the cancel was told: {reply:?}"),
            _ => {}
        }
    }
    worker.tell(3, Command::Cancel { request: 2 });
    let (before, end) = listen(&mut worker, 2);
    assert_eq!((cancelled(&end).tokens, before.len()), (0, 0));
}

#[test]
fn a_cancel_that_comes_before_a_request_has_begun_ends_it_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::with_model(1);
    let (answer, state) = begun(&mut worker, &question("Tell a story.", 200), folder.path());
    let request = GenerateRequest { state: Some(state), ..question("Tell a story.", 200) };
    let resume = ResumeRequest { request, answer: answer.clone() };
    worker.tell(2, Command::Generate(question("Tell a story.", 1_000)));
    worker.tell(3, Command::Generate(question("And another one.", 1_000)));
    worker.tell(4, Command::Resume(resume));
    for waiting in [3, 4] {
        worker.tell(10 + waiting, Command::Cancel { request: waiting });
    }
    worker.tell(15, Command::Cancel { request: 2 });
    for (id, expected) in [(2, None), (3, Some(0)), (4, Some(answer.tokens))] {
        let (before, end) = listen(&mut worker, id);
        let done = cancelled(&end);
        if let Some(expected) = expected {
            assert_eq!((done.tokens, tokens(&before)), (expected, 0), "request {id}");
        }
    }
}

#[test]
fn a_handover_that_comes_before_a_request_has_begun_hands_over_its_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let mut workers = [Worker::with_model(1), Worker::with_model(1)];
    let request = question("Tell a story of a lighthouse.", 30);
    workers[1].tell(2, Command::Generate(request.clone()));
    let (undisturbed, _) = listen(&mut workers[1], 2);

    workers[0].tell(2, Command::Generate(question("Tell a long story.", 1_000)));
    workers[0].tell(3, Command::Generate(request.clone()));
    workers[0].tell(4, hand_over(3, &folder.path().join("state")));
    workers[0].tell(5, Command::Cancel { request: 2 });
    let (before, end) = listen(&mut workers[0], 3);
    let Reply::HandedOver { answer, .. } = end else { panic!("{end:?}") };
    assert_eq!((answer.tokens, tokens(&before)), (0, 0));
    let request = GenerateRequest { state: Some(folder.path().join("state")), ..request };
    workers[1].tell(6, Command::Resume(ResumeRequest { request, answer }));
    let (resumed, _) = listen(&mut workers[1], 6);
    let told = |replies: &[Reply]| -> Vec<Reply> {
        replies.iter().filter(|reply| matches!(reply, Reply::Token { .. })).cloned().collect()
    };
    assert_eq!(told(&resumed), told(&undisturbed));
}

#[test]
fn a_cancel_is_heard_while_the_history_of_an_answer_is_computed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::with_model(1);
    let request = long_question();
    let (answer, _) = begun(&mut worker, &request, folder.path());
    let mut anew = Worker::with_model(1);
    anew.tell(2, Command::Resume(ResumeRequest { request, answer: answer.clone() }));
    // It has begun, and has far to go.
    while !matches!(anew.hear().reply, Reply::Heartbeat { .. }) {}
    anew.tell(3, Command::Cancel { request: 2 });
    let (before, end) = listen(&mut anew, 2);
    assert_eq!((cancelled(&end).tokens, tokens(&before)), (answer.tokens, 0));
}

#[test]
fn a_cancel_is_heard_once_a_state_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut workers = [Worker::with_model(1), Worker::with_model(1)];
    let request = question("Tell a story.", 800);
    let (answer, state) = begun(&mut workers[0], &request, folder.path());
    let request = GenerateRequest { state: Some(state), ..request };
    workers[1].tell(2, Command::Resume(ResumeRequest { request, answer: answer.clone() }));
    workers[1].tell(3, Command::Cancel { request: 2 });
    let (_, end) = listen(&mut workers[1], 2);
    assert!(cancelled(&end).tokens < 800);
}

#[test]
fn a_stop_while_the_state_is_saved_ends_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::with_context(1, 4_096);
    let request = question(&"tell me about rivers and mountains ".repeat(150), 2_000);
    // The worker is held as soon as the file is there, which is in the middle of saving it; or too late, and then it is
    // tried again.
    for attempt in 0..100 {
        let (id, state) = (100 + attempt * 10, folder.path().join(attempt.to_string()));
        worker.tell(id, Command::Generate(request.clone()));
        while !matches!(worker.hear().reply, Reply::Token { .. }) {}
        worker.tell(id + 1, hand_over(id, &state));
        support::wait_for("the state", || state.exists().then_some(()));
        signal(worker.process_id(), rustix::process::Signal::STOP);
        worker.tell(id + 2, Command::Cancel { request: id });
        signal(worker.process_id(), rustix::process::Signal::CONT);
        match worker.last(id) {
            Reply::Done(done) => {
                assert_eq!(done.stop, StopReason::Cancelled);
                return;
            }
            Reply::HandedOver { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("a hundred stops came too late");
}

#[test]
fn after_a_handover_while_the_prompt_is_read_its_figures_and_its_progress_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut workers = [Worker::with_model(1), Worker::with_model(1)];
    let request = long_question();
    workers[0].tell(2, Command::Generate(request.clone()));
    let total = loop {
        match workers[0].hear().reply {
            Reply::Prompt { done, total, .. } if done > 0 => break total,
            _ => {}
        }
    };
    let state = folder.path().join("state");
    workers[0].tell(3, hand_over(2, &state));
    let Reply::HandedOver { answer, .. } = workers[0].last(2) else { panic!("it was asked to hand over") };
    assert_eq!(answer.tokens, 0);

    let request = GenerateRequest { state: Some(state), ..request };
    workers[1].tell(2, Command::Resume(ResumeRequest { request, answer }));
    let (before, end) = listen(&mut workers[1], 2);
    let read: Vec<_> = before
        .iter()
        .filter_map(|reply| match reply {
            Reply::Prompt { done, total, .. } => Some((*done, *total)),
            _ => None,
        })
        .collect();
    assert!(read.len() > 2 && read[0].0 > 0 && read.is_sorted(), "{read:?}");
    assert_eq!(read.last(), Some(&(total, total)));
    let Reply::Done(done) = end else { panic!("{end:?}") };
    assert_eq!(done.cached_prompt_tokens, 0, "the first worker had none of it");
}

#[test]
fn a_cancel_that_comes_too_late_means_nothing_to_what_follows() {
    let mut worker = Worker::with_model(1);
    for id in 2..6 {
        worker.tell(id, Command::Generate(question("Hi", 3)));
        assert!(matches!(worker.last(id), Reply::Done(Generated { stop: StopReason::Length, .. })));
        worker.tell(100 + id, Command::Cancel { request: id });
        worker.tell(200 + id, hand_over(id, Path::new("/nowhere/state")));
        assert!(worker.has_heard(300 + id).is_empty());
    }
}
