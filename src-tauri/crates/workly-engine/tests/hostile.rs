//! Workers that say what they should not, and more than anybody wants to hear, in real processes.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::NamedTempFile;
use workly_core::answer::StopReason;
use workly_core::chat::{Message, Role};
use workly_core::problem::ProblemCode;
use workly_core::sampling::Sampling;
use workly_engine::end::EndKind;
use workly_engine::frame;
use workly_engine::protocol::{Command, Envelope, GenerateRequest, Generated, OWN_ID, Reply};
use workly_engine::worker::{Call, CallEvent, Patience, Worker};

/// With patience shorter than the time that a flooding worker is held up for.
const IMPATIENT: Patience = Patience {
    hello: Duration::from_mins(1),
    silent: Duration::from_secs(1),
    dead: Duration::from_secs(2),
    stuck: Duration::from_mins(1),
    farewell: Duration::from_millis(300),
};
const DEADLINE: Duration = Duration::from_mins(2);
/// Tokens of a flood, and the bytes of each.
const FLOOD_TOKENS: u32 = 16_000;
const FLOOD_TOKEN_BYTES: usize = 4_000;

fn generate(question: &str) -> Command {
    Command::Generate(GenerateRequest {
        messages: vec![Message::new(Role::User, question)],
        sampling: Sampling::default(),
        max_tokens: None,
        stop_strings: Vec::new(),
        ignore_end: false,
        state: None,
    })
}

fn token(index: u32, text: &str) -> Reply {
    Reply::Token { index, id: 7, text: text.into() }
}

fn done(tokens: u32) -> Reply {
    Reply::Done(Generated { tokens, seconds: 1.0, prompt_tokens: 1, cached_prompt_tokens: 0, stop: StopReason::End })
}

/// A worker that says these once it is given something to do, and then waits.
async fn saying(replies: &[(u64, Reply)]) -> (Worker, [NamedTempFile; 2]) {
    let (hello, replies) = (support::frames(&[support::hello()]), support::frames(replies));
    let source = "cat \"$1\"; head -c 1 >/dev/null; cat \"$2\"; exec cat >/dev/null";
    let worker = Worker::start(&support::script(source, &[&hello, &replies]), Patience::default()).await.unwrap();
    (worker, [hello, replies])
}

#[tokio::test]
async fn what_no_worker_may_say_ends_it_and_nobody_hears_it() {
    let hostile: [(&str, Vec<(u64, Reply)>); 8] = [
        ("a token far ahead, and then all in order", vec![(1, token(u32::MAX, "x")), (1, token(0, "x")), (1, done(1))]),
        ("a token again", vec![(1, token(0, "x")), (1, token(0, "x"))]),
        ("more read than there is", vec![(1, Reply::Prompt { done: 9, total: 8, dropped_turns: 0 })]),
        ("an answer to something else", vec![(1, Reply::Pong)]),
        ("an answer to nobody", vec![(2, Reply::Pong)]),
        ("hello once more", vec![support::hello()]),
        ("work under its own name", vec![(OWN_ID, done(0))]),
        ("more after the end", vec![(1, done(0)), (1, token(0, "x"))]),
    ];
    for (what, replies) in hostile {
        let (worker, _files) = saying(&replies).await;
        let mut call = worker.call(generate("?"));
        let mut heard = Vec::new();
        while let CallEvent::Reply(reply) = call.next().await {
            heard.push(reply);
        }
        let (first, follows) = (replies.first().map(|(_, reply)| reply), heard.get(1));
        assert!(follows.is_none() && heard.first().is_none_or(|heard| Some(heard) == first), "{what}: {heard:?}");
        let end = worker.wait().await;
        assert_eq!((end.kind, end.problem().code), (EndKind::Protocol, ProblemCode::Protocol), "{what}: {end:?}");
    }
}

#[tokio::test]
async fn a_worker_that_does_not_know_what_is_said_aside_goes_on() {
    let problem = workly_core::problem::Problem::new(ProblemCode::Protocol, "This worker does not know that command.");
    let (worker, _files) = saying(&[(OWN_ID, Reply::Failed(problem)), (1, done(0))]).await;
    assert_eq!(worker.call(generate("?")).last().await.unwrap(), done(0));
    assert_eq!(worker.ended(), None);
}

#[tokio::test]
async fn half_a_frame_of_a_worker_that_dies_is_not_held_against_it() {
    let (hello, token) = (support::frames(&[support::hello()]), support::frames(&[(1, token(0, &"x".repeat(1_000)))]));
    let source = "cat \"$1\"; head -c 1 >/dev/null; head -c 100 \"$2\"; kill -KILL $$";
    let worker = Worker::start(&support::script(source, &[&hello, &token]), Patience::default()).await.unwrap();
    let end = worker.call(generate("?")).last().await.unwrap_err();
    assert_eq!(end.kind, EndKind::Killed, "{end:?}");
}

#[tokio::test]
async fn a_worker_that_says_nonsense_and_leaves_is_told_by_what_it_said() {
    let hello = support::frames(&[support::hello()]);
    let source = "cat \"$1\"; head -c 1 >/dev/null; printf '\\002\\000\\000\\000{}'; exit 3";
    let worker = Worker::start(&support::script(source, &[&hello]), Patience::default()).await.unwrap();
    let end = worker.call(generate("?")).last().await.unwrap_err();
    assert_eq!(end.kind, EndKind::Protocol, "{end:?}");
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_its_worker_without_filling_memory() {
    let hello = support::frames(&[support::hello()]);
    let before = resident_bytes();
    let source = "cat \"$1\"; head -c 1 >/dev/null; printf '\\377\\377\\377\\377'; exec cat /dev/zero";
    let worker = Worker::start(&support::script(source, &[&hello]), Patience::default()).await.unwrap();
    let end = worker.call(Command::Ping).last().await.unwrap_err();
    assert_eq!(end.kind, EndKind::Protocol);
    assert!(resident_bytes() < before + (8 << 20));
}

#[tokio::test]
async fn a_message_that_is_too_long_is_told_to_whoever_wrote_it_and_the_worker_goes_on() {
    let (worker, _files) = saying(&[(2, Reply::Pong)]).await;
    let long = "word ".repeat(frame::MAX_FRAME_BYTES / 5);
    let Reply::Failed(problem) = worker.call(generate(&long)).last().await.unwrap() else {
        panic!("it cannot be said")
    };
    assert_eq!(problem.code, ProblemCode::PromptTooLong);
    assert!(problem.message.contains("takes 17 MB; 16 MB is the most"), "{}", problem.message);
    assert_eq!(worker.call(Command::Ping).last().await.unwrap(), Reply::Pong);
    assert_eq!(worker.ended(), None);
}

#[tokio::test]
async fn a_worker_that_leaves_by_itself_while_idle_is_not_taken_for_one_that_was_asked() {
    let hello = support::frames(&[support::hello()]);
    let worker = Worker::start(&support::script("cat \"$1\"", &[&hello]), Patience::default()).await.unwrap();
    let end = worker.wait().await;
    assert_eq!((end.kind, end.exit.code, end.gone), (EndKind::Aborted, Some(0), true));
    assert!(end.message.contains("without being asked"), "{}", end.message);
}

#[tokio::test]
async fn workers_are_told_apart_by_their_serials() {
    let ((one, _files), (other, _others)) = tokio::join!(saying(&[]), saying(&[]));
    assert_ne!(one.serial(), other.serial());
    assert_eq!(one.call(generate("?")).worker_serial(), one.serial());
    assert_eq!(other.call(generate("?")).worker_serial(), other.serial());
}

#[tokio::test]
async fn a_worker_has_the_environment_it_was_given_and_leaves_no_core() {
    let hello = support::frames(&[support::hello()]);
    let mut program = support::script("env >&2; cat \"$1\"; exec cat >/dev/null", &[&hello]);
    program.environment = vec![("ONLY".into(), "this".into())];
    assert!(std::env::vars_os().count() > 1, "there is something that could be passed on");
    let worker = Worker::start(&program, Patience::default()).await.unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", worker.process_id())).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_ascii_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"]);
    let end = worker.stop().await;
    // The shell has a few of its own.
    let own = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    let given: Vec<&str> = end.stderr.lines().filter(|line| !own.iter().any(|own| line.starts_with(own))).collect();
    assert_eq!(given, ["ONLY=this"]);
}

/// A worker that writes as many tokens as it can.
async fn flooding() -> (Worker, [NamedTempFile; 2]) {
    let hello = support::frames(&[support::hello()]);
    let text = "x".repeat(FLOOD_TOKEN_BYTES);
    let mut replies: Vec<_> = (0..FLOOD_TOKENS).map(|index| (1, token(index, &text))).collect();
    replies.push((1, done(FLOOD_TOKENS)));
    let flood = support::frames(&replies);
    drop(replies);
    let source = "cat \"$1\"; head -c 1 >/dev/null; exec cat \"$2\"";
    let worker = Worker::start(&support::script(source, &[&hello, &flood]), IMPATIENT).await.unwrap();
    (worker, [hello, flood])
}

/// Bytes of memory that this process holds.
fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * rustix::param::page_size() as u64
}

/// Waits until a flooding worker has written nothing for longer than a silent one may live, and tells how much it wrote.
async fn held_up(worker: &Worker) -> u64 {
    let written = || {
        let io = fs::read_to_string(format!("/proc/{}/io", worker.process_id())).unwrap();
        io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse::<u64>().unwrap()
    };
    let began = Instant::now();
    let (mut last, mut since) = (written(), Instant::now());
    while last == 0 || since.elapsed() < IMPATIENT.dead * 2 {
        assert!(began.elapsed() < DEADLINE, "it writes on and on: {last} bytes");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = written();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// Takes all tokens of a flood from the first on; tells how many there were, and what came after them.
async fn take(call: &mut Call) -> (u32, CallEvent) {
    let mut taken = 0;
    loop {
        match call.next().await {
            CallEvent::Reply(Reply::Token { index, .. }) => {
                assert_eq!(index, taken);
                taken += 1;
            }
            CallEvent::Silent | CallEvent::Resumed => {}
            other => return (taken, other),
        }
    }
}

#[tokio::test]
async fn a_flood_that_nobody_takes_is_held_up_and_not_kept() {
    let (worker, _files) = flooding().await;
    let before = resident_bytes();
    let mut call = worker.call(generate("?"));
    let written = held_up(&worker).await;
    let all = u64::from(FLOOD_TOKENS) * FLOOD_TOKEN_BYTES as u64;
    assert!(written < all / 4, "{written} bytes of {all} were let through");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes are kept");
    assert_eq!(worker.ended(), None, "a worker that is not listened to is not silent");
    let (taken, last) = take(&mut call).await;
    assert_eq!((taken, last), (FLOOD_TOKENS, CallEvent::Reply(done(FLOOD_TOKENS))), "none is lost");
}

#[tokio::test]
async fn a_worker_that_is_not_listened_to_can_be_seen_to_die() {
    let (worker, _files) = flooding().await;
    let mut call = worker.call(generate("?"));
    held_up(&worker).await;
    kill(Pid::from_raw(worker.process_id().cast_signed()), Signal::SIGKILL).unwrap();
    assert_eq!(worker.wait().await.kind, EndKind::Killed);
    let (taken, last) = take(&mut call).await;
    assert!(taken > 0 && matches!(last, CallEvent::Ended(_)), "{taken} tokens, then {last:?}");
}

#[tokio::test]
async fn a_worker_that_says_nothing_but_that_it_lives_does_not_pile_up() {
    let hello = support::frames(&[support::hello()]);
    let mut beats = Vec::new();
    for progress in 0..200_000 {
        let envelope = Envelope { id: OWN_ID, reply: Reply::Heartbeat { progress } };
        beats.extend(frame::encode(&envelope).unwrap());
    }
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), &beats).unwrap();
    drop(beats);
    let pong = support::frames(&[(1, Reply::Pong)]);
    let before = resident_bytes();
    let source = "cat \"$1\"; head -c 1 >/dev/null; cat \"$2\" \"$3\"; exec cat >/dev/null";
    let worker = Worker::start(&support::script(source, &[&hello, &file, &pong]), Patience::default()).await.unwrap();
    assert_eq!(worker.call(Command::Ping).last().await.unwrap(), Reply::Pong);
    assert!(resident_bytes() < before + (8 << 20));
}
