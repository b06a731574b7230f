//! The task that owns a worker's process: feeds it, hears it, keeps time, and tells how it ended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, watch as watch_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::end::{Activity, Exit, Intent, WorkerEnd};
use crate::frame::{self, FrameError, HEADER_BYTES};
use crate::protocol::{Command, Envelope, OWN_ID, PROTOCOL_VERSION, Reply, Request};
use crate::spawner;
use crate::stderr_tail::StderrTail;
use crate::watch::{Patience, Verdict, Watch};
use crate::worker::{CallEvent, WorkerProgram};

/// How often a busy worker is judged.
pub(crate) const JUDGE_EVERY: Duration = Duration::from_millis(100);
/// How long pipes may stay open after the process is gone (a grandchild may hold them).
const PIPES_CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// What the rest of Workly tells the supervision.
#[derive(Debug)]
pub(crate) enum Order {
    Call { id: u64, command: Box<Command>, events: mpsc::UnboundedSender<CallEvent> },
    Cancel { request: u64 },
    HandOver { request: u64, state: PathBuf },
    Stop,
    Kill,
}

struct OpenCall {
    activity: Activity,
    events: mpsc::UnboundedSender<CallEvent>,
}

/// A worker that has said hello.
pub(crate) struct Supervision {
    process: Process,
    process_id: u32,
    patience: Patience,
    watch: Watch,
    calls: BTreeMap<u64, OpenCall>,
    last_activity: Activity,
    orders: mpsc::UnboundedReceiver<Order>,
    tell_end: watch_channel::Sender<Option<WorkerEnd>>,
}

/// A process with its pipes taken over by tasks of their own.
struct Process {
    child: Box<dyn ChildWrapper>,
    /// `None` once the worker was asked to stop: closing its standard input is how it is asked.
    input: Option<mpsc::UnboundedSender<Vec<u8>>>,
    frames: mpsc::UnboundedReceiver<Result<Envelope, FrameError>>,
    stderr: StderrTail,
    stderr_reader: JoinHandle<()>,
}

pub(crate) async fn start(
    program: &WorkerProgram,
    patience: Patience,
    orders: mpsc::UnboundedReceiver<Order>,
    tell_end: watch_channel::Sender<Option<WorkerEnd>>,
) -> Result<Supervision, WorkerEnd> {
    let mut process = Process::spawn(program).await?;
    let process_id = process.child.id().unwrap_or_default();
    let fault = match timeout(patience.hello, process.frames.recv()).await {
        Err(_) => Some(Intent::Silent),
        Ok(None) => None,
        Ok(Some(Ok(Envelope { reply: Reply::Hello { protocol: PROTOCOL_VERSION, .. }, .. }))) => {
            return Ok(Supervision {
                process,
                process_id,
                patience,
                watch: Watch::new(patience, Instant::now()),
                calls: BTreeMap::new(),
                last_activity: Activity::Idle,
                orders,
                tell_end,
            });
        }
        Ok(Some(Ok(Envelope { reply: Reply::Hello { protocol, version }, .. }))) => Some(Intent::Protocol(format!(
            "it speaks version {protocol} of the protocol, from Workly {version}; {PROTOCOL_VERSION} is needed"
        ))),
        Ok(Some(Ok(_))) => Some(Intent::Protocol("it did not say hello first".to_owned())),
        Ok(Some(Err(error))) => Some(Intent::Protocol(error.to_string())),
    };
    Err(process.finish(fault, Activity::Idle, patience.farewell).await)
}

/// The end of a worker whose supervision was dropped with the runtime.
pub(crate) fn forgotten() -> WorkerEnd {
    WorkerEnd::classify(Exit::default(), &Intent::Asked, Activity::Idle, String::new())
}

impl Supervision {
    pub(crate) const fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Runs until the process is gone.
    pub(crate) async fn run(mut self) {
        let intent = self.serve().await;
        let activity = self.last_activity;
        let Self { process, mut calls, tell_end, .. } = self;
        // Frames written just before the end still belong to their calls.
        let end = process
            .finish_with(intent, activity, self.patience.farewell, |envelope| {
                deliver(&mut calls, envelope);
            })
            .await;
        tracing::info!(pid = self.process_id, kind = ?end.kind, exit = ?end.exit, "worker ended");
        for call in calls.into_values() {
            let _ = call.events.send(CallEvent::Ended(end.clone()));
        }
        tell_end.send_replace(Some(end));
    }

    /// Serves until the process ended by itself (`None`) or must be ended.
    async fn serve(&mut self) -> Option<Intent> {
        let mut judge = tokio::time::interval(JUDGE_EVERY);
        judge.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Call { id, command, events }) => {
                        if let Err(error) = self.begin(id, *command, events) {
                            return Some(Intent::Protocol(error.to_string()));
                        }
                    }
                    Some(Order::Cancel { request }) => self.aside(request, Command::Cancel { request }),
                    Some(Order::HandOver { request, state }) => {
                        self.aside(request, Command::HandOver { request, state });
                    }
                    Some(Order::Stop) => return Some(Intent::Asked),
                    // Dropping the handle and killing are one: nobody waits for a farewell.
                    Some(Order::Kill) | None => {
                        self.process.child.start_kill().ok();
                        return Some(Intent::Asked);
                    }
                },
                frame = self.process.frames.recv() => match frame {
                    Some(Ok(envelope)) => self.hear(envelope),
                    Some(Err(error)) => return Some(Intent::Protocol(error.to_string())),
                    None => return None,
                },
                _ = judge.tick(), if !self.calls.is_empty() => match self.watch.judge(Instant::now()) {
                    Verdict::Fine => {}
                    Verdict::FellSilent => self.tell_calls(&CallEvent::Silent),
                    Verdict::Resumed => self.tell_calls(&CallEvent::Resumed),
                    Verdict::Dead => return Some(Intent::Silent),
                    Verdict::Stuck => return Some(Intent::NoProgress),
                },
            }
        }
    }

    /// Says something about an open call, which answers for itself.
    fn aside(&self, request: u64, command: Command) {
        if self.calls.contains_key(&request) {
            // Too short to be over the limit of a frame.
            self.process.say(&Request { id: OWN_ID, command }).ok();
        }
    }

    fn begin(&mut self, id: u64, command: Command, events: mpsc::UnboundedSender<CallEvent>) -> Result<(), FrameError> {
        let activity = match command {
            Command::Load(_) | Command::Footprint(_) => Activity::Loading,
            Command::Generate(_) | Command::Resume(_) => Activity::Generating,
            _ => Activity::Idle,
        };
        self.process.say(&Request { id, command })?;
        self.calls.insert(id, OpenCall { activity, events });
        self.note_calls();
        Ok(())
    }

    fn hear(&mut self, envelope: Envelope) {
        match envelope.reply {
            Reply::Heartbeat { progress } => self.watch.heard_heartbeat(progress, Instant::now()),
            _ => self.watch.heard_work(Instant::now()),
        }
        deliver(&mut self.calls, envelope);
        self.note_calls();
    }

    fn note_calls(&mut self) {
        self.watch.set_busy(!self.calls.is_empty(), Instant::now());
        self.last_activity = self.calls.values().next().map_or(Activity::Idle, |call| call.activity);
    }

    fn tell_calls(&self, event: &CallEvent) {
        for call in self.calls.values() {
            let _ = call.events.send(event.clone());
        }
    }
}

/// Hands a reply to its call; replies to calls that are over are dropped.
fn deliver(calls: &mut BTreeMap<u64, OpenCall>, Envelope { id, reply }: Envelope) {
    let is_final = reply.is_final();
    if let Some(call) = calls.get(&id) {
        let _ = call.events.send(CallEvent::Reply(reply));
        if is_final {
            calls.remove(&id);
        }
    }
}

impl Process {
    async fn spawn(program: &WorkerProgram) -> Result<Self, WorkerEnd> {
        let mut command = CommandWrap::with_new(&program.program, |command| {
            command
                .args(&program.arguments)
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
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take())
        else {
            return Err(not_started("its pipes are missing".to_owned()));
        };
        let (input, to_write) = mpsc::unbounded_channel();
        tokio::spawn(write_all(stdin, to_write));
        let (heard, frames) = mpsc::unbounded_channel();
        tokio::spawn(read_all(stdout, heard));
        let tail = StderrTail::default();
        let stderr_reader = tokio::spawn(tail.clone().drain(stderr));
        Ok(Self { child, input: Some(input), frames, stderr: tail, stderr_reader })
    }

    /// Queues a frame; a worker that does not read never blocks us.
    fn say(&self, request: &Request) -> Result<(), FrameError> {
        let bytes = frame::encode(request)?;
        if let Some(input) = &self.input {
            let _ = input.send(bytes);
        }
        Ok(())
    }

    async fn finish(self, intent: Option<Intent>, activity: Activity, farewell: Duration) -> WorkerEnd {
        self.finish_with(intent, activity, farewell, |_| {}).await
    }

    /// Ends the process if it must be ended, hears it out, and tells how it ended.
    async fn finish_with(
        mut self,
        mut intent: Option<Intent>,
        activity: Activity,
        farewell: Duration,
        mut deliver: impl FnMut(Envelope),
    ) -> WorkerEnd {
        self.input = None;
        if !matches!(intent, None | Some(Intent::Asked)) {
            self.child.start_kill().ok();
        }
        let ended = timeout(farewell, self.child.wait()).await;
        let status = if let Ok(status) = ended {
            status
        } else {
            intent.get_or_insert_with(|| Intent::Protocol("it closed its output but went on".to_owned()));
            self.child.start_kill().ok();
            self.child.wait().await
        };
        let pipes = async {
            while let Some(Ok(envelope)) = self.frames.recv().await {
                deliver(envelope);
            }
            (&mut self.stderr_reader).await.ok();
        };
        timeout(PIPES_CLOSE_WITHIN, pipes).await.ok();
        let exit = status.map(Exit::from).unwrap_or_default();
        WorkerEnd::classify(exit, &intent.unwrap_or_default(), activity, self.stderr.text())
    }
}

async fn write_all(mut stdin: ChildStdin, mut to_write: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(bytes) = to_write.recv().await {
        if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn read_all(mut stdout: impl AsyncRead + Unpin, heard: mpsc::UnboundedSender<Result<Envelope, FrameError>>) {
    loop {
        let Some(frame) = read_frame(&mut stdout).await.transpose() else {
            return;
        };
        let is_fault = frame.is_err();
        if heard.send(frame).is_err() || is_fault {
            // Keep the pipe flowing: a worker blocked on it could not even be heard to die.
            tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await.ok();
            return;
        }
    }
}

async fn read_frame(stdout: &mut (impl AsyncRead + Unpin)) -> Result<Option<Envelope>, FrameError> {
    let mut header = [0; HEADER_BYTES];
    if stdout.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    let rest = stdout.read_exact(&mut header[1..]).await;
    let mut body = vec![0; rest.map_err(FrameError::from).and_then(|_| frame::announced_length(header))?];
    stdout.read_exact(&mut body).await?;
    Ok(Some(serde_json::from_slice(&body)?))
}
