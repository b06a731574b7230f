//! Processes that are paused or held, the worker's and the supervisor's own. The supervisor runs in a process of its
//! own, so that this one, its ancestor, may trace and pause what it likes.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _, stdin};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use tempfile::NamedTempFile;
use workly_engine::protocol::{Command, OWN_ID, Reply};
use workly_engine::worker::{CallEvent, Patience, Worker};

const IMPATIENT: Patience = Patience {
    hello: Duration::from_mins(1),
    silent: Duration::from_millis(300),
    dead: Duration::from_millis(900),
    stuck: Duration::from_mins(1),
    farewell: Duration::from_millis(300),
};
/// For a worker that shows itself every 100 ms.
const PATIENT: Patience = Patience { silent: Duration::from_secs(2), dead: Duration::from_secs(4), ..IMPATIENT };
/// For anything to come; nothing is asserted about how soon it does.
const DEADLINE: Duration = Duration::from_mins(2);

/// A supervisor of a worker, for other tests. It tells its worker's process id, and goes on when it is told to.
#[tokio::test]
#[ignore = "a part that other tests start in a process of its own"]
async fn supervisor() {
    let Some(part) = support::part() else { return };
    let mut out = support::out();
    let mut tell = |what: String| writeln!(out, "{what}").unwrap();
    let (hello, beat) = (support::frames(&[support::hello()]), heartbeat());
    let finish = NamedTempFile::new().unwrap();
    let pong = support::frames(&[(1, Reply::Pong)]);
    let (source, patience) = if part == "pause" {
        let source = "cat \"$1\"; head -c 1 >/dev/null; while ! [ -s \"$3\" ]; do cat \"$2\"; sleep 0.1; done; \
                      cat \"$4\"; exec sleep 600";
        (source, PATIENT)
    } else {
        ("cat \"$1\"; exec sleep 600", IMPATIENT)
    };
    let worker = Worker::start(&support::script(source, &[&hello, &beat, &finish, &pong]), patience).await.unwrap();
    tell(worker.process_id().to_string());
    let mut command = String::new();
    stdin().read_line(&mut command).unwrap();
    let mut call = worker.call(Command::Ping);
    match part.as_str() {
        "stop" => drop(worker.stop().await),
        "kill" => worker.kill(),
        "pause" => {
            tell("called".into());
            tokio::task::spawn_blocking(|| stdin().read_line(&mut String::new())).await.unwrap().unwrap();
            fs::write(finish.path(), "now").unwrap();
        }
        _ => {}
    }
    let last = loop {
        match call.next().await {
            CallEvent::Silent | CallEvent::Resumed => {}
            last => break last,
        }
    };
    match last {
        CallEvent::Ended(end) => {
            tell(format!("{:?}, gone: {}", end.kind, end.gone));
            assert_eq!(worker.ended(), Some(end));
        }
        other => tell(format!("{other:?}")),
    }
    if part != "pause" {
        let gone = worker.gone();
        drop(worker);
        gone.await;
        tell("let go".into());
    }
}

fn heartbeat() -> NamedTempFile {
    support::frames(&[(OWN_ID, Reply::Heartbeat { progress: 1 })])
}

/// A supervisor in a process of its own, and its worker.
struct Supervisor {
    process: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
    worker: Pid,
}

impl Supervisor {
    fn start(part: &str) -> Self {
        let program = support::own_process("supervisor", part);
        let mut process = std::process::Command::new(program.program)
            .args(program.arguments)
            .envs(program.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).try_for_each(|l| sender.send(l)));
        let input = process.stdin.take().unwrap();
        let worker = lines.recv_timeout(DEADLINE).expect("the supervisor starts a worker").parse().unwrap();
        Self { process, input, lines, worker: Pid::from_raw(worker) }
    }

    fn go_on(&mut self) {
        writeln!(self.input, "go on").unwrap();
    }

    fn hear(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("the supervisor tells what happened")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        // It has a process group of its own, and may be stopped.
        kill(self.worker, Signal::SIGKILL).ok();
    }
}

/// The state of a process: `T` stopped, `t` held by a tracer, `Z` dead and not waited for, `S` asleep.
fn state(process: Pid) -> char {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('-')
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_worker_that_cannot_be_killed_holds_nobody_up() {
    for (part, told) in
        [("silent", "Unresponsive, gone: false"), ("stop", "Clean, gone: false"), ("kill", "Clean, gone: false")]
    {
        let mut supervisor = Supervisor::start(part);
        let worker = supervisor.worker;
        // Held at its exit, as a driver that does not answer holds it: it keeps its memory and its pipes.
        ptrace::seize(worker, ptrace::Options::PTRACE_O_TRACEEXIT).expect("this process may trace its descendants");
        supervisor.go_on();
        assert_eq!(supervisor.hear(), told, "{part}: told although the worker is not let go of");
        wait_until("the worker is held", || state(worker) == 't');

        let stopped = waitpid(worker, None).unwrap();
        assert!(matches!(stopped, WaitStatus::PtraceEvent(..)), "{stopped:?}");
        assert_eq!(supervisor.lines.try_recv(), Err(mpsc::TryRecvError::Empty), "it is not gone yet");
        ptrace::cont(worker, None).unwrap();
        // Dead now; but whoever traces a process is the first to be told.
        wait_until("the worker is dead", || state(worker) == 'Z');
        assert_eq!(supervisor.lines.try_recv(), Err(mpsc::TryRecvError::Empty), "it is not waited for yet");
        assert_eq!(waitpid(worker, None).unwrap(), WaitStatus::Signaled(worker, Signal::SIGKILL, false));
        assert_eq!(supervisor.hear(), "let go", "{part}");
    }
}

#[test]
fn a_supervisor_that_was_paused_blames_nobody() {
    let mut supervisor = Supervisor::start("pause");
    let worker = supervisor.worker;
    supervisor.go_on();
    assert_eq!(supervisor.hear(), "called");
    // The worker first, so that nothing it said waits in the pipe.
    kill(worker, Signal::SIGSTOP).unwrap();
    wait_until("the worker is stopped", || state(worker) == 'T');
    wait_until("the supervisor has heard all", || state(supervisor.pid()) == 'S');
    kill(supervisor.pid(), Signal::SIGSTOP).unwrap();
    let paused = Instant::now();
    wait_until("the pause is over", || paused.elapsed() > PATIENT.dead + Duration::from_secs(1));
    kill(supervisor.pid(), Signal::SIGCONT).unwrap();
    wait_until("the supervisor is back", || state(supervisor.pid()) == 'S');
    kill(worker, Signal::SIGCONT).unwrap();
    supervisor.go_on();
    assert_eq!(supervisor.hear(), "Reply(Pong)");
}
