//! Loads that take long, in real processes.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::io::{Read as _, stdin};
use std::time::{Duration, Instant};
use std::{fs, thread};

use workly_core::model::{ContextSize, KvType};
use workly_core::problem::{Problem, ProblemCode};
use workly_engine::end::{EndKind, WorkerEnd};
use workly_engine::frame;
use workly_engine::protocol::{Command, Envelope, LoadRequest, OWN_ID, Reply, Request};
use workly_engine::worker::{Patience, Worker};

/// Patience with progress is short, with silence it is long.
const PATIENCE: Patience = Patience {
    hello: Duration::from_mins(1),
    silent: Duration::from_mins(1),
    dead: Duration::from_mins(2),
    stuck: Duration::from_secs(2),
    farewell: Duration::from_secs(1),
};
/// How long a slow load takes.
const SLOW: Duration = Duration::from_secs(6);
/// What is read of a file, or touched of memory, at once.
const PIECE_BYTES: usize = 2 << 20;

/// A worker that reads a model slowly and shows no progress of its own: it only says that it lives.
#[test]
#[ignore = "a part that other tests start in a process of its own"]
fn slow_worker() {
    let Some(part) = support::part() else { return };
    let mut out = support::out();
    let mut say = |id, reply| frame::write(&mut out, &Envelope { id, reply }).unwrap();
    let (own_id, hello) = support::hello();
    say(own_id, hello);
    let request: Request = frame::read(&mut stdin().lock()).unwrap().unwrap();
    let began = Instant::now();
    let mut file = fs::File::open("/dev/zero").unwrap();
    let mut memory = Vec::new();
    while began.elapsed() < SLOW || part == "stands still" {
        match part.as_str() {
            "reads" => file.read_exact(&mut vec![0; PIECE_BYTES]).unwrap(),
            "takes memory" => memory.push(vec![1_u8; PIECE_BYTES]),
            _ => {}
        }
        say(OWN_ID, Reply::Heartbeat { progress: 1 });
        thread::sleep(Duration::from_millis(100));
    }
    say(request.id, Reply::Failed(Problem::new(ProblemCode::LoadFailed, "read to the end")));
}

async fn load(part: &str) -> Result<Reply, WorkerEnd> {
    let worker = Worker::start(&support::own_process("slow_worker", part), PATIENCE).await.unwrap();
    let request = LoadRequest {
        path: "model.gguf".into(),
        gpu_layers: 0,
        device: None,
        context: ContextSize::default(),
        threads: 1,
        follow_cores: false,
        kv_type: KvType::default(),
    };
    worker.call(Command::Load(request)).last().await
}

#[tokio::test]
async fn a_load_that_reads_on_is_left_alone_however_long_it_takes() {
    let read_to_the_end = Reply::Failed(Problem::new(ProblemCode::LoadFailed, "read to the end"));
    let (reads, takes_memory) = tokio::join!(load("reads"), load("takes memory"));
    assert_eq!(reads.as_ref(), Ok(&read_to_the_end));
    assert_eq!(takes_memory.as_ref(), Ok(&read_to_the_end));
}

#[tokio::test]
async fn a_load_that_reads_nothing_is_ended() {
    let end = load("stands still").await.unwrap_err();
    assert_eq!(end.kind, EndKind::Unresponsive);
    assert!(end.message.contains("got nowhere while it read the model"), "{}", end.message);
}
