//! The task that owns a worker: feeds it, hears it, keeps time, and tells how it ended.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{mpsc, watch as watch_channel};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use workly_core::problem::{Problem, ProblemCode};

use crate::call::{CallEvent, Instruction};
use crate::conformance::Misreply;
use crate::end::{Activity, Exit, Intent, WorkerEnd};
use crate::frame::{FrameError, MAX_FRAME_BYTES};
use crate::open_calls::OpenCalls;
use crate::process::{Frames, Process, wait_for_exit};
use crate::process_work::ProcessWork;
use crate::program::WorkerProgram;
use crate::protocol::{Command, Envelope, OWN_ID, PROTOCOL_VERSION, Reply, Request};
use crate::watch::{JUDGE_EVERY, Judgement, Patience, Rounds, Watch};

/// How long a process that was killed is waited for. One that a driver holds may never go.
const DEATH_WITHIN: Duration = Duration::from_secs(1);
/// How long pipes may stay open after the process is gone (a grandchild may hold them).
const PIPES_CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// A worker that has said hello.
pub(crate) struct Supervision {
    process: Process,
    patience: Patience,
    watch: Watch,
    calls: OpenCalls,
    instructions: mpsc::UnboundedReceiver<Instruction>,
    tell_end: watch_channel::Sender<Option<WorkerEnd>>,
}

impl Supervision {
    /// Starts a process and waits for its hello.
    pub(crate) async fn start(
        program: &WorkerProgram,
        patience: Patience,
        instructions: mpsc::UnboundedReceiver<Instruction>,
        tell_end: watch_channel::Sender<Option<WorkerEnd>>,
    ) -> Result<Self, WorkerEnd> {
        let process = Process::spawn(program).await?;
        let watch = Watch::new(patience, Instant::now());
        let mut supervision = Self { process, patience, watch, calls: OpenCalls::default(), instructions, tell_end };
        match supervision.hello().await {
            Ok(()) => Ok(supervision),
            Err(intent) => Err(supervision.end(intent, Activity::Idle).await),
        }
    }

    pub(crate) const fn process_id(&self) -> u32 {
        self.process.id
    }

    pub(crate) fn exited(&self) -> watch_channel::Receiver<Option<Exit>> {
        self.process.exited.clone()
    }

    /// Runs until the worker counts as ended.
    pub(crate) async fn run(mut self) {
        let intent = self.serve().await;
        let activity = self.calls.activity();
        let end = self.end(intent, activity).await;
        tracing::info!(pid = self.process.id, kind = ?end.kind, exit = ?end.exit, gone = end.gone, "worker ended");
        // Calls that are still open learn it when their channels close.
        self.tell_end.send_replace(Some(end));
    }

    /// Waits for the worker's first words. What is wrong, where it does not say hello: `None` where it is over.
    async fn hello(&mut self) -> Result<(), Option<Intent>> {
        let mut judge = every_round();
        let began = Instant::now();
        let (mut rounds, mut until) = (Rounds::new(began), began + self.patience.hello);
        let first = loop {
            tokio::select! {
                frame = self.process.frames.next() => break frame,
                _ = judge.tick() => {
                    let now = Instant::now();
                    until += rounds.missed(now);
                    if now >= until {
                        return Err(Some(Intent::Silent));
                    }
                }
            }
        };
        let fault = match first {
            None | Some(Err(FrameError::Pipe(_))) => return Err(None),
            Some(Ok(Envelope { reply: Reply::Hello { protocol: PROTOCOL_VERSION, .. }, .. })) => return Ok(()),
            Some(Ok(Envelope { reply: Reply::Hello { protocol, version }, .. })) => format!(
                "it speaks version {protocol} of the protocol, from Workly {version}; {PROTOCOL_VERSION} is needed"
            ),
            Some(Ok(_)) => "it did not say hello first".to_owned(),
            Some(Err(error)) => error.to_string(),
        };
        Err(Some(Intent::Protocol(fault)))
    }

    /// Serves until the process ended by itself (`None`) or must be ended.
    async fn serve(&mut self) -> Option<Intent> {
        let mut judge = every_round();
        let exited = self.process.exited.clone();
        loop {
            let is_judged = !self.calls.is_empty() && self.calls.has_room();
            tokio::select! {
                instruction = self.instructions.recv() => match instruction {
                    Some(Instruction::Call { id, command, events }) => self.begin(id, *command, events),
                    Some(Instruction::Cancel { request }) => self.aside(request, Command::Cancel { request }),
                    Some(Instruction::HandOver { request, state }) => {
                        self.aside(request, Command::HandOver { request, state });
                    }
                    Some(Instruction::Stop) => return Some(Intent::Asked),
                    // Dropping the handle and killing are one: nobody waits for a farewell.
                    Some(Instruction::Kill) | None => {
                        self.process.kill();
                        return Some(Intent::Asked);
                    }
                },
                frame = next_frame(&mut self.calls, &mut self.process.frames) => {
                    if let Err(intent) = self.hear(frame) {
                        return intent;
                    }
                }
                // A worker that is not listened to can die as well.
                _ = wait_for_exit(exited.clone()) => return None,
                _ = judge.tick(), if is_judged => match self.judge(Instant::now()) {
                    Judgement::Fine => {}
                    Judgement::FellSilent => self.calls.tell_all(&CallEvent::Silent),
                    Judgement::Resumed => self.calls.tell_all(&CallEvent::Resumed),
                    Judgement::Dead => return Some(Intent::Silent),
                    Judgement::Stuck => return Some(Intent::NoProgress),
                },
            }
        }
    }

    fn judge(&mut self, now: Instant) -> Judgement {
        self.watch.begin_round(now);
        if self.calls.activity() == Activity::Loading {
            self.watch.saw_load(ProcessWork::of(self.process.id), now);
        } else {
            self.watch.saw_no_load();
        }
        self.watch.judge(now)
    }

    /// Says something about an open call, which answers for itself.
    fn aside(&self, request: u64, command: Command) {
        if self.calls.is_open(request) {
            // Too short to be over the limit of a frame.
            self.process.say(&Request { id: OWN_ID, command }).ok();
        }
    }

    /// Gives the worker a command.
    fn begin(&mut self, id: u64, command: Command, events: mpsc::Sender<CallEvent>) {
        let request = Request { id, command };
        match self.process.say(&request) {
            Ok(()) => {
                self.calls.open(id, &request.command, events);
                self.watch.set_busy(true, Instant::now());
            }
            // The first event of a call finds room.
            Err(error) => drop(events.try_send(CallEvent::Reply(Reply::Failed(not_said(&error))))),
        }
    }

    /// Hears what comes out of the worker. Otherwise why it must be ended: `None` where its output is over.
    fn hear(&mut self, frame: Option<Result<Envelope, FrameError>>) -> Result<(), Option<Intent>> {
        let fault = match frame {
            // A process that dies may leave half a frame.
            None | Some(Err(FrameError::Pipe(_))) => return Err(None),
            Some(Err(error)) => error.to_string(),
            Some(Ok(envelope)) => match self.pass_on(envelope) {
                Ok(()) => return Ok(()),
                Err(misreply) => misreply.to_string(),
            },
        };
        // Whatever else it says is not heard any more.
        self.process.frames = stream::empty().boxed();
        Err(Some(Intent::Protocol(fault)))
    }

    fn pass_on(&mut self, envelope: Envelope) -> Result<(), Misreply> {
        let now = Instant::now();
        match envelope {
            Envelope { id: OWN_ID, reply: Reply::Heartbeat { progress } } => self.watch.heard_heartbeat(progress, now),
            // To something said aside, which this worker does not know; the call it was about goes on.
            Envelope { id: OWN_ID, reply: Reply::Failed(problem) } => {
                tracing::warn!(?problem, "worker did not obey");
            }
            envelope => {
                self.calls.hear(envelope)?;
                self.watch.heard_work(now);
                self.watch.set_busy(!self.calls.is_empty(), now);
            }
        }
        Ok(())
    }

    /// Ends the process if it must be ended, hears it out, and tells how it ended: at the latest [`Patience::farewell`]
    /// and 1.5 s after `intent`, also where the process cannot be ended.
    async fn end(&mut self, mut intent: Option<Intent>, activity: Activity) -> WorkerEnd {
        self.process.close_input();
        if !matches!(intent, None | Some(Intent::Asked)) {
            self.process.kill();
        }
        let (mut exit, mut fault) = (None, None);
        if !self.process.is_killed() {
            exit = self.hear_until_exit(self.patience.farewell, &mut fault).await;
        }
        if exit.is_none() {
            intent.get_or_insert_with(|| Intent::Protocol("it closed its output but went on".to_owned()));
            self.process.kill();
            exit = self.hear_until_exit(DEATH_WITHIN, &mut fault).await;
        }
        // Frames written just before the end still belong to their calls.
        timeout(PIPES_CLOSE_WITHIN, self.hear_out(&mut fault)).await.ok();
        let (intent, stderr) = (intent.or(fault).unwrap_or_default(), self.process.stderr.text());
        let end = WorkerEnd::classify(exit.unwrap_or_default(), &intent, activity, stderr);
        if exit.is_some() { end } else { end.of_a_held_process() }
    }

    /// Goes on hearing the worker, for it may be waiting to be heard, until it is gone or the time is over.
    async fn hear_until_exit(&mut self, limit: Duration, fault: &mut Option<Intent>) -> Option<Exit> {
        let exited = self.process.exited.clone();
        let over = sleep(limit);
        tokio::pin!(over);
        let mut speaks = true;
        loop {
            tokio::select! {
                exit = wait_for_exit(exited.clone()) => return Some(exit),
                () = &mut over => return None,
                frame = next_frame(&mut self.calls, &mut self.process.frames), if speaks => {
                    if let Err(why) = self.hear(frame) {
                        speaks = false;
                        *fault = fault.take().or(why);
                    }
                }
            }
        }
    }

    /// Hears what is left in the pipes.
    async fn hear_out(&mut self, fault: &mut Option<Intent>) {
        loop {
            let frame = next_frame(&mut self.calls, &mut self.process.frames).await;
            if let Err(why) = self.hear(frame) {
                *fault = fault.take().or(why);
                break;
            }
        }
        (&mut self.process.stderr_reader).await.ok();
    }
}

/// The next frame, once there is room for it. Cancel safe.
async fn next_frame(calls: &mut OpenCalls, frames: &mut Frames) -> Option<Result<Envelope, FrameError>> {
    calls.room().await;
    frames.next().await
}

fn every_round() -> Interval {
    let mut rounds = interval(JUDGE_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    rounds
}

/// Why a command was not given to the worker, which goes on.
fn not_said(error: &FrameError) -> Problem {
    const MEBIBYTE: usize = 1 << 20;
    match error {
        FrameError::TooLong(bytes) => Problem::new(
            ProblemCode::PromptTooLong,
            format!(
                "The message, with what was said before, takes {} MB; {} MB is the most. Shorten the message, or start a \
                 new conversation.",
                bytes.div_ceil(MEBIBYTE),
                MAX_FRAME_BYTES / MEBIBYTE
            ),
        ),
        other => Problem::new(ProblemCode::Protocol, format!("The model process could not be told: {other}.")),
    }
}
