//! A saved KV cache in memory that has no name, passed from one worker to another.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, fstat, memfd_create};
use support::worker::Worker;
use workly_core::chat::{Message, Role};
use workly_core::sampling::Sampling;
use workly_engine::protocol::{Command, GenerateRequest, Reply, ResumeRequest};

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
    }
}

#[test]
fn a_conversation_goes_from_worker_to_worker_through_memory_without_a_name() {
    let (memory, path) = memory();
    let mut workers = [Worker::with_model(1), Worker::with_model(1)];
    workers[0].tell(2, Command::Generate(question("Tell a story of a lighthouse.", 40)));
    workers[0].last(2);
    workers[0].tell(3, Command::Save { state: path.clone() });
    let Reply::Saved { state_bytes: Some(bytes) } = workers[0].last(3) else { panic!("it was not saved") };
    assert_eq!(u64::try_from(fstat(&memory).unwrap().st_size).unwrap(), bytes);
    workers[1].tell(2, Command::Restore { state: path });
    assert!(matches!(workers[1].last(2), Reply::Restored { tokens } if tokens > 40));
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
    workers[1].tell(2, Command::Generate(request.clone()));
    told(&mut workers[1], 2, &mut undisturbed, usize::MAX);

    // A longer state lies there already: what is saved next is shorter.
    workers[1].tell(4, Command::Save { state: path.clone() });
    workers[1].last(4);
    let longer = fstat(&memory).unwrap().st_size;
    let mut heard = Vec::new();
    workers[0].tell(2, Command::Generate(request.clone()));
    let (answer, bytes) = told(&mut workers[0], 2, &mut heard, 20).unwrap();
    let saved = fstat(&memory).unwrap().st_size;
    assert_eq!((bytes, saved < longer), (u64::try_from(saved).ok(), true));
    workers[1].tell(6, Command::Resume(ResumeRequest { request, answer, state: Some(path.clone()) }));
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
