//! A worker process, spoken to in frames.
#![expect(clippy::panic, reason = "a test that hears something else has failed")]

use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};

use workly_core::model::{ContextSize, KvType};
use workly_engine::frame;
use workly_engine::protocol::{Command, Envelope, LoadRequest, PROTOCOL_VERSION, Reply, Request};

use super::{PROGRAM, WAITS_ASLEEP, model, wait_for};

/// A worker; ended when dropped, because its input closes.
pub(crate) struct Worker {
    process: Child,
    pub(crate) input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Worker {
    pub(crate) fn start() -> Self {
        Self::start_with(Process::new(PROGRAM).args(["worker", "--backends", "cpu"]))
    }

    /// A worker that sees Mesa's device in software.
    pub(crate) fn on_software_gpu() -> Self {
        Self::start_with(
            Process::new(PROGRAM).args(["worker", "--backends", "all"]).env("GGML_VK_VISIBLE_DEVICES", "0"),
        )
    }

    fn start_with(program: &mut Process) -> Self {
        let mut process = program
            .args(["--parent", &std::process::id().to_string()])
            .env(WAITS_ASLEEP.0, WAITS_ASLEEP.1)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take().unwrap());
        let mut worker = Self { process, input, output };
        assert!(matches!(worker.hear().reply, Reply::Hello { protocol: PROTOCOL_VERSION, .. }), "hello comes first");
        worker
    }

    /// A worker with the real model and a context of 1024 tokens.
    pub(crate) fn with_model(threads: u32) -> Self {
        Self::with_context(threads, 1_024)
    }

    /// A worker with the real model and a context of so many tokens.
    pub(crate) fn with_context(threads: u32, tokens: u32) -> Self {
        Self::loaded(load_with(&model(), threads, tokens))
    }

    /// A worker with the real model whose threads follow the free cores.
    pub(crate) fn following(threads: u32) -> Self {
        Self::loaded(LoadRequest { follow_cores: true, ..load_with(&model(), threads, 1_024) })
    }

    fn loaded(request: LoadRequest) -> Self {
        let mut worker = Self::start();
        worker.tell(1, Command::Load(request));
        match worker.last(1) {
            Reply::Loaded(_) => worker,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn tell(&mut self, id: u64, command: Command) {
        frame::write(self.input.as_mut().unwrap(), &Request { id, command }).unwrap();
    }

    pub(crate) fn hear(&mut self) -> Envelope {
        frame::read(&mut self.output).unwrap().expect("the worker goes on")
    }

    /// The final reply to a request; everything before it, heartbeats included, goes by.
    pub(crate) fn last(&mut self, id: u64) -> Reply {
        loop {
            let envelope = self.hear();
            if envelope.id == id && envelope.reply.is_final() {
                return envelope.reply;
            }
        }
    }

    /// Waits until the worker has heard everything that it was told.
    pub(crate) fn has_heard(&mut self, id: u64) -> Vec<Envelope> {
        self.tell(id, Command::Devices);
        let mut before = Vec::new();
        loop {
            match self.hear() {
                Envelope { id: heard, reply: Reply::Devices { .. } } if heard == id => return before,
                other => before.push(other),
            }
        }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the end; the exit code.
    pub(crate) fn code(mut self) -> Option<i32> {
        wait_for("the worker to end", || self.process.try_wait().unwrap()).code()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn load(path: &Path, threads: u32) -> Command {
    Command::Load(load_with(path, threads, 1_024))
}

fn load_with(path: &Path, threads: u32, context_tokens: u32) -> LoadRequest {
    LoadRequest {
        path: path.to_path_buf(),
        gpu_layers: 0,
        device: None,
        context: ContextSize::UpTo(context_tokens),
        follow_cores: false,
        threads,
        kv_type: KvType::F16,
    }
}
