//! A worker's process: its start, its pipes, and who waits for its end.

use std::process::Stdio;
use std::sync::LazyLock;

use futures_util::stream::{BoxStream, StreamExt as _};
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, oneshot, watch as watch_channel};
use tokio::task::JoinHandle;

use crate::end::{Activity, Exit, Intent, WorkerEnd};
use crate::frame::{self, FrameError};
use crate::program::WorkerProgram;
use crate::protocol::{Envelope, Request};
use crate::spawner;
use crate::stderr_tail::StderrTail;

/// How many processes there are that the system has not let go of, those among them that nobody holds any more.
static THERE: LazyLock<watch_channel::Sender<usize>> = LazyLock::new(|| watch_channel::Sender::new(0));

/// What a worker says, one frame after the other. Whoever does not ask for the next one lets the worker wait.
pub(crate) type Frames = BoxStream<'static, Result<Envelope, FrameError>>;

/// A process with its pipes. Dropping it ends the process.
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) frames: Frames,
    pub(crate) stderr: StderrTail,
    pub(crate) stderr_reader: JoinHandle<()>,
    /// How it ended, once the system has let go of it.
    pub(crate) exited: watch_channel::Receiver<Option<Exit>>,
    /// `None` once the worker was asked to stop: closing its standard input is how it is asked.
    input: Option<mpsc::UnboundedSender<Vec<u8>>>,
    /// The process is killed when this is dropped.
    leash: Option<oneshot::Sender<()>>,
}

impl Process {
    pub(crate) async fn spawn(program: &WorkerProgram) -> Result<Self, WorkerEnd> {
        let mut command = CommandWrap::with_new(&program.program, |command| {
            command
                .args(&program.arguments)
                .env_clear()
                .envs(program.environment.iter().cloned())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            // Ctrl-C in a terminal goes to the whole foreground group; the worker is told to stop by us alone.
            #[cfg(unix)]
            command.process_group(0);
        });
        command.wrap(KillOnDrop);
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);

        let not_started = |fault: String| {
            WorkerEnd::classify(Exit::default(), &Intent::NotStarted(fault), Activity::Idle, String::new())
        };
        let mut child = spawner::spawn(command)
            .await
            .map_err(|error| not_started(format!("{}: {error}", program.program.display())))?;
        let id = child.id().unwrap_or_default();
        leave_no_core(id);
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take())
        else {
            return Err(not_started("its pipes are missing".to_owned()));
        };
        let (input, to_write) = mpsc::unbounded_channel();
        tokio::spawn(write_all(stdin, to_write));
        let tail = StderrTail::default();
        let stderr_reader = tokio::spawn(tail.clone().drain(stderr));
        let (leash, let_go) = oneshot::channel();
        let (tell_exit, exited) = watch_channel::channel(None);
        THERE.send_modify(|there| *there += 1);
        tokio::spawn(reap(child, let_go, tell_exit));
        let frames = frame::stream(stdout).boxed();
        Ok(Self { id, frames, stderr: tail, stderr_reader, exited, input: Some(input), leash: Some(leash) })
    }

    /// Queues a frame; a worker that does not read never blocks us.
    ///
    /// # Errors
    ///
    /// When the request is too long for a frame. Nothing was said then.
    pub(crate) fn say(&self, request: &Request) -> Result<(), FrameError> {
        let bytes = frame::encode(request)?;
        if let Some(input) = &self.input {
            let _ = input.send(bytes);
        }
        Ok(())
    }

    /// Asks the worker to stop.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Ends the process. It may take its time to go: a driver can hold it.
    pub(crate) fn kill(&mut self) {
        self.leash = None;
    }

    pub(crate) const fn is_killed(&self) -> bool {
        self.leash.is_none()
    }
}

/// Waits for the exit of a process. Cancel safe.
pub(crate) async fn wait_for_exit(mut exited: watch_channel::Receiver<Option<Exit>>) -> Exit {
    // Only a runtime that is shutting down drops the task that tells.
    exited.wait_for(Option::is_some).await.ok().and_then(|exit| *exit).unwrap_or_default()
}

/// Waits for the process, for as long as the system holds it, and kills it once it is let go.
async fn reap(
    mut child: Box<dyn ChildWrapper>,
    let_go: oneshot::Receiver<()>,
    tell_exit: watch_channel::Sender<Option<Exit>>,
) {
    let ended = tokio::select! {
        status = child.wait() => Some(status),
        _ = let_go => None,
    };
    let status = if let Some(status) = ended {
        status
    } else {
        child.start_kill().ok();
        child.wait().await
    };
    tell_exit.send_replace(Some(status.map(Exit::from).unwrap_or_default()));
    THERE.send_modify(|there| *there -= 1);
}

/// Waits until every process that was started is gone, however long that takes.
pub(crate) async fn none_there() {
    // The sender is never dropped.
    let _ = THERE.subscribe().wait_for(|there| *there == 0).await;
}

/// A core of a worker would hold gigabytes of weights, and the conversation.
fn leave_no_core(process_id: u32) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        let worker = i32::try_from(process_id).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = worker.map(|worker| prlimit(Some(worker), Resource::Core, none)) {
            tracing::warn!(%error, "a crash of this worker may leave a core");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = process_id;
}

async fn write_all(mut stdin: ChildStdin, mut to_write: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(bytes) = to_write.recv().await {
        if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}
