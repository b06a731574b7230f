//! Running the real program on the real model.
#![expect(dead_code, reason = "each test program uses its own part")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot be set up has failed")]

#[path = "../../../workly-engine/tests/support/progress.rs"]
pub(crate) mod progress;
pub(crate) mod worker;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

pub(crate) use progress::wait_for;
use serde_json::Value;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_workly-cli");

/// For a worker that is started without Workly, which would tell it: threads that compute wait for each other asleep.
/// Spinning, they come to a token in seconds where another program keeps a core busy.
pub(crate) const WAITS_ASLEEP: (&str, &str) = ("GOMP_SPINCOUNT", "300");

/// The model that comes with Workly; `cargo xtask setup` fetches it.
pub(crate) fn model() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../models/SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(path.is_file(), "the embedded model is missing: run `cargo xtask setup`");
    path
}

/// The model for tests of a second architecture; `cargo xtask setup` fetches it.
pub(crate) fn gemma() -> PathBuf {
    let path = model().with_file_name("gemma-3-270m-q4_k_m.gguf");
    assert!(path.is_file(), "the model for tests is missing: run `cargo xtask setup`");
    path
}

/// A data folder that nothing was learned in yet.
fn fresh_data() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("data-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Of an earlier process of that number.
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// `workly-cli chat` with these arguments and a data folder of its own.
///
/// Unless asked for more it computes with one thread, which stands a busy core best.
pub(crate) fn chat(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("chat").args(arguments).env("WORKLY_DATA_DIR", fresh_data());
    if !arguments.contains(&"--threads") {
        command.args(["--threads", "1"]);
    }
    command.env_remove("GGML_VK_VISIBLE_DEVICES").stdin(Stdio::null());
    command
}

/// Runs to the end and checks the exit code.
pub(crate) fn run(command: &mut Command, expected_code: i32) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(expected_code), "{stderr}");
    output
}

/// The JSON objects of an output, one per line.
pub(crate) fn objects(output: &Output) -> Vec<Value> {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The objects of one type.
pub(crate) fn of_type<'a>(objects: &'a [Value], name: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["type"] == name).collect()
}

/// The text that the tokens of an answer make.
pub(crate) fn text(objects: &[Value]) -> String {
    of_type(objects, "token").iter().map(|token| token["text"].as_str().unwrap()).collect()
}

/// A chat that is still running; ended when dropped.
pub(crate) struct Chat {
    child: Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

impl Chat {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdin(&mut self) -> &mut std::process::ChildStdin {
        self.child.stdin.as_mut().unwrap()
    }

    /// Forgets what was printed so far.
    pub(crate) fn forget_output(&self) {
        while self.stdout.try_recv().is_ok() {}
    }

    /// The next object of a type on standard output.
    pub(crate) fn object(&self, name: &str) -> Value {
        loop {
            let object = self.next_object();
            if object["type"] == name {
                return object;
            }
        }
    }

    /// The next object on standard output, whatever it is.
    pub(crate) fn next_object(&self) -> Value {
        let line = progress::receive("the chat to go on", &self.stdout).expect("the chat goes on");
        serde_json::from_str(&line).unwrap()
    }

    /// The next object on standard output, if one comes within this time.
    pub(crate) fn object_within(&self, time: Duration) -> Option<Value> {
        match self.stdout.recv_timeout(time) {
            Ok(line) => Some(serde_json::from_str(&line).unwrap()),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the chat ended"),
        }
    }

    /// The next line of standard error with this text.
    pub(crate) fn remark(&self, wanted: &str) -> String {
        loop {
            let line = progress::receive(wanted, &self.stderr).unwrap_or_else(|| panic!("it ended without '{wanted}'"));
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// The worker of the chat that writes the answer: with a standby beside it, the one on the GPU.
    pub(crate) fn worker(&self) -> u32 {
        wait_for("a worker", || {
            gpu_workers_of(self.process_id()).next().or_else(|| workers_of(self.process_id()).next())
        })
    }

    /// Waits for the end; the exit code, `None` when a signal ended it.
    pub(crate) fn code(mut self) -> Option<i32> {
        wait_for("the chat to end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The workers that a process has started.
pub(crate) fn workers_of(process_id: u32) -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(move |entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent: u32 = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
        (parent == process_id && is_alive(id)).then_some(id)
    })
}

/// Those of them that may be on the GPU.
pub(crate) fn gpu_workers_of(process_id: u32) -> impl Iterator<Item = u32> {
    workers_of(process_id).filter(|id| {
        let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|argument| argument == b"all")
    })
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_alive(process_id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process_id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

/// What a process has mapped into its memory.
pub(crate) fn maps(process_id: u32) -> String {
    std::fs::read_to_string(format!("/proc/{process_id}/maps")).unwrap()
}

/// Sends a signal.
pub(crate) fn signal(process_id: u32, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(i32::try_from(process_id).unwrap()).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}
