//! The worker process itself, spoken to in frames as the supervisor does.
#![cfg(target_os = "linux")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use serde_json::json;
use support::worker::{Worker, load};
use workly_core::answer::StopReason;
use workly_core::chat::{Message, Role};
use workly_core::problem::ProblemCode;
use workly_core::sampling::Sampling;
use workly_engine::frame;
use workly_engine::protocol::{Command, Envelope, GenerateRequest, Reply};
use workly_gguf::{TensorType, Writer};

fn generate(stop_strings: &[&str], max_tokens: u32) -> Command {
    Command::Generate(GenerateRequest {
        messages: vec![Message::new(Role::User, "Count from one to twenty.")],
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(max_tokens),
        stop_strings: stop_strings.iter().map(|stop| (*stop).to_owned()).collect(),
        ignore_end: true,
        state: None,
    })
}

#[test]
fn the_end_of_its_input_means_stop_even_in_the_middle_of_an_answer() {
    let mut worker = Worker::with_model(2);
    worker.tell(2, generate(&[], 1_000));
    while !matches!(worker.hear().reply, Reply::Token { .. }) {}
    worker.input = None;
    assert_eq!(worker.code(), Some(0));
}

#[test]
fn a_load_can_be_cancelled_and_the_next_one_works() {
    let mut worker = Worker::start();
    // Told before the load begins, so that the load is certain to hear it.
    worker.tell(9, Command::Cancel { request: 1 });
    worker.tell(1, load(&support::model(), 2));
    assert!(matches!(worker.last(1), Reply::Failed(problem) if problem.code == ProblemCode::Cancelled));
    worker.tell(2, load(&support::model(), 2));
    assert!(matches!(worker.last(2), Reply::Loaded(_)));
}

#[test]
fn pings_are_answered_and_cancels_heard_while_an_answer_is_written() {
    let mut worker = Worker::with_model(2);
    worker.tell(2, generate(&[], 100_000));
    while !matches!(worker.hear().reply, Reply::Token { .. }) {}
    worker.tell(3, Command::Ping);
    worker.tell(4, Command::Cancel { request: 2 });
    let (mut ponged, mut generated) = (false, None);
    while generated.is_none() {
        match worker.hear() {
            Envelope { id: 3, reply: Reply::Pong } => ponged = true,
            Envelope { id: 2, reply: Reply::Done(done) } => generated = Some(done),
            _ => {}
        }
    }
    assert!(ponged, "the pong comes before the answer ends");
    assert_eq!(generated.unwrap().stop, StopReason::Cancelled);
}

#[test]
fn a_cancel_is_heard_while_a_long_prompt_is_read() {
    let mut worker = Worker::with_model(2);
    let Command::Generate(mut request) = generate(&[], 10) else { unreachable!() };
    request.messages = vec![Message::new(Role::User, "tell me about rivers and mountains ".repeat(120))];
    worker.tell(2, Command::Generate(request));
    let mut read = (0, u32::MAX);
    loop {
        match worker.hear().reply {
            Reply::Prompt { done, total, .. } => {
                if read.0 == 0 && done > 0 {
                    worker.tell(3, Command::Cancel { request: 2 });
                }
                read = (done, total);
            }
            Reply::Done(generated) => {
                assert_eq!((generated.stop, generated.tokens), (StopReason::Cancelled, 0));
                assert!(0 < read.0 && read.0 < read.1, "the prompt was read to {read:?}");
                return;
            }
            _ => {}
        }
    }
}

#[test]
fn a_stop_string_ends_the_answer_and_never_shows() {
    let mut worker = Worker::with_model(1);
    worker.tell(2, generate(&[], 40));
    let mut whole = String::new();
    let mut text_of = |worker: &mut Worker, id| -> (String, StopReason) {
        whole.clear();
        loop {
            match worker.hear() {
                Envelope { reply: Reply::Token { text, .. }, .. } => whole.push_str(&text),
                Envelope { id: finished, reply: Reply::Done(done) } if finished == id => {
                    return (whole.clone(), done.stop);
                }
                _ => {}
            }
        }
    };
    let (undisturbed, _) = text_of(&mut worker, 2);
    let middle: String = undisturbed.chars().skip(20).take(12).collect();
    worker.tell(3, generate(&[&middle], 40));
    let (stopped, reason) = text_of(&mut worker, 3);
    assert_eq!(reason, StopReason::StopString);
    assert_eq!(stopped, undisturbed.split(&middle).next().unwrap());
}

#[test]
fn without_a_model_an_answer_is_refused_and_a_model_goes_before_the_next_is_loaded() {
    let mut worker = Worker::start();
    let refused = |worker: &mut Worker, id| {
        worker.tell(id, generate(&[], 1));
        matches!(worker.last(id), Reply::Failed(problem) if problem.code == ProblemCode::NoModel)
    };
    assert!(refused(&mut worker, 1));
    worker.tell(2, load(&support::model(), 2));
    assert!(matches!(worker.last(2), Reply::Loaded(_)));
    worker.tell(3, load(Path::new("/nowhere/m.gguf"), 2));
    assert!(matches!(worker.last(3), Reply::Failed(problem) if problem.code == ProblemCode::ModelMissing));
    assert!(refused(&mut worker, 4));
}

#[test]
fn a_file_that_llama_cpp_would_die_of_is_refused_and_the_worker_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.gguf");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let deep = folder.path().join("deep.gguf");
    let f32 = TensorType::all().find(|kind| kind.name() == "F32").unwrap();
    let writer = Writer::new("llama").number("llama.block_count", 513).tensor("token_embd.weight", &[8, 4], f32);
    writer.write(&deep).unwrap();

    let mut worker = Worker::start();
    for (id, path, code, words) in [
        (1, pipe, ProblemCode::NotGguf, "is a pipe or a device"),
        (2, deep, ProblemCode::ModelDamaged, "it says that it has 513 layers"),
    ] {
        worker.tell(id, load(&path, 2));
        let reply = worker.last(id);
        assert!(matches!(&reply, Reply::Failed(problem) if problem.code == code), "{reply:?}");
        assert!(matches!(&reply, Reply::Failed(problem) if problem.message.contains(words)), "{reply:?}");
    }
    worker.tell(3, load(&support::model(), 2));
    assert!(matches!(worker.last(3), Reply::Loaded(_)));
}

#[test]
fn a_worker_leaves_no_picture_of_its_memory_behind() {
    let worker = Worker::start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", worker.process_id())).unwrap();
    let core: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{limits}");
}

#[test]
fn a_command_of_a_later_version_is_refused_and_the_worker_goes_on() {
    let mut worker = Worker::start();
    frame::write(worker.input.as_mut().unwrap(), &json!({"id": 7, "command": {"type": "levitate"}})).unwrap();
    assert!(matches!(worker.last(7), Reply::Failed(problem) if problem.code == ProblemCode::Protocol));
    worker.tell(8, Command::Devices);
    assert!(matches!(worker.last(8), Reply::Devices { devices } if !devices.is_empty()));
}

#[test]
fn garbage_on_its_input_ends_the_worker() {
    let mut worker = Worker::start();
    worker.input.as_mut().unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(worker.code(), Some(0));
}

#[test]
fn a_worker_whose_parent_is_not_the_one_named_leaves_at_once() {
    let mut process = Process::new(support::PROGRAM)
        .args(["worker", "--backends", "cpu", "--parent", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = support::wait_for("the worker to leave", || process.try_wait().unwrap());
    assert!(status.success());
}
