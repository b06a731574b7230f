//! The task that owns the worker.

use std::collections::VecDeque;
use std::future::pending;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::wire::{ModelSnapshot, ModelState};
use workly_engine::end::WorkerEnd;
use workly_engine::protocol::{Command, Reply};
use workly_engine::worker::{Call, CallEvent, Patience};

use super::answer::Answer;
use crate::bring_up::{ModelSettings, Running, bring_up};

/// How long a worker may take to hear a stop; a chunk of the prompt takes 150 ms.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How often the speed is published while an answer is written.
const SPEED_EVERY: Duration = Duration::from_millis(500);

/// What the task can be told.
#[derive(Debug)]
pub(crate) enum Order {
    Load { done: oneshot::Sender<Result<(), Problem>> },
    Answer(Answer),
    StopAnswers,
    ShutDown { done: oneshot::Sender<()> },
}

pub(crate) struct Task {
    worker_program: PathBuf,
    settings: ModelSettings,
    patience: Patience,
    orders: mpsc::UnboundedReceiver<Order>,
    snapshot: watch::Sender<ModelSnapshot>,
    activity: Activity,
    running: Option<Running>,
    /// Answers that wait their turn.
    queue: VecDeque<Answer>,
    /// Who waits for the model to be loaded.
    awaiting_load: Vec<oneshot::Sender<Result<(), Problem>>>,
}

enum Activity {
    Idle,
    BringingUp(Pin<Box<dyn Future<Output = Result<Running, Problem>> + Send>>),
    Answering(Box<Answering>),
}

struct Answering {
    answer: Answer,
    call: Call,
    is_silent: bool,
    /// Set once the answer was stopped: when the worker is ended for not hearing it.
    stop_by: Option<Instant>,
    speed_told: Instant,
}

enum Happened {
    Order(Option<Order>),
    BroughtUp(Result<Running, Problem>),
    Called(CallEvent),
    Abandoned,
    StopOverdue,
    WorkerEnded(WorkerEnd),
}

/// What callers are told when the task is gone.
pub(crate) fn gone() -> Problem {
    Problem::new(ProblemCode::Cancelled, "Workly is shutting down.")
}

impl Task {
    pub(crate) fn new(
        worker_program: PathBuf,
        settings: ModelSettings,
        patience: Patience,
        orders: mpsc::UnboundedReceiver<Order>,
        snapshot: watch::Sender<ModelSnapshot>,
    ) -> Self {
        Self {
            worker_program,
            settings,
            patience,
            orders,
            snapshot,
            activity: Activity::Idle,
            running: None,
            queue: VecDeque::new(),
            awaiting_load: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            match self.next().await {
                Happened::Order(None) => return,
                Happened::Order(Some(Order::ShutDown { done })) => {
                    self.activity = Activity::Idle;
                    if let Some(running) = self.running.take() {
                        running.worker.kill();
                        running.worker.wait().await;
                    }
                    let _ = done.send(());
                    return;
                }
                Happened::Order(Some(Order::Load { done })) => self.awaiting_load.push(done),
                Happened::Order(Some(Order::Answer(answer))) => self.queue.push_back(answer),
                Happened::Order(Some(Order::StopAnswers)) => self.stop_answers(),
                Happened::BroughtUp(result) => self.brought_up(result),
                Happened::Called(event) => self.called(event),
                Happened::Abandoned => self.stop_current(),
                Happened::StopOverdue => self.end_overdue(),
                Happened::WorkerEnded(end) => self.worker_ended(&end),
            }
            self.advance();
        }
    }

    /// Waits for the next thing to happen.
    async fn next(&mut self) -> Happened {
        let Self { orders, activity, running, .. } = self;
        let order = orders.recv();
        match activity {
            Activity::Idle => tokio::select! {
                order = order => Happened::Order(order),
                end = wait_for_end(running.as_ref()) => Happened::WorkerEnded(end),
            },
            Activity::BringingUp(bringing_up) => tokio::select! {
                order = order => Happened::Order(order),
                result = bringing_up => Happened::BroughtUp(result),
            },
            Activity::Answering(answering) => {
                let Answering { answer, call, stop_by, .. } = answering.as_mut();
                tokio::select! {
                    order = order => Happened::Order(order),
                    event = call.next() => Happened::Called(event),
                    () = answer.abandoned(), if stop_by.is_none() => Happened::Abandoned,
                    () = overdue(*stop_by) => Happened::StopOverdue,
                }
            }
        }
    }

    /// Begins what is to be done next, if nothing is being done.
    fn advance(&mut self) {
        if !matches!(self.activity, Activity::Idle) {
            return;
        }
        let Some(running) = &self.running else {
            if !self.queue.is_empty() || !self.awaiting_load.is_empty() {
                self.begin_bringing_up();
            }
            return;
        };
        for waiting in self.awaiting_load.drain(..) {
            let _ = waiting.send(Ok(()));
        }
        if let Some(answer) = self.queue.pop_front() {
            let call = running.worker.call(Command::Generate(answer.command()));
            self.publish(|snapshot| {
                snapshot.state = ModelState::Generating;
                snapshot.tokens_per_second = None;
            });
            self.activity = Activity::Answering(Box::new(Answering {
                answer,
                call,
                is_silent: false,
                stop_by: None,
                speed_told: Instant::now(),
            }));
        }
    }

    fn begin_bringing_up(&mut self) {
        self.snapshot.send_replace(ModelSnapshot { state: ModelState::Loading, ..ModelSnapshot::default() });
        self.activity = Activity::BringingUp(Box::pin(bring_up(
            self.worker_program.clone(),
            self.patience,
            self.settings.clone(),
            self.snapshot.clone(),
        )));
    }

    fn brought_up(&mut self, result: Result<Running, Problem>) {
        self.activity = Activity::Idle;
        match result {
            Ok(running) => {
                self.snapshot.send_replace(ModelSnapshot {
                    state: ModelState::Ready,
                    model: Some(running.model.clone()),
                    profile: Some(running.profile),
                    notice: running.notice.clone(),
                    worker_pid: Some(running.worker.process_id()),
                    ..ModelSnapshot::default()
                });
                self.running = Some(running);
            }
            Err(problem) => {
                self.snapshot.send_replace(ModelSnapshot {
                    state: ModelState::Failed,
                    problem: Some(problem.clone()),
                    ..ModelSnapshot::default()
                });
                for waiting in self.awaiting_load.drain(..) {
                    let _ = waiting.send(Err(problem.clone()));
                }
                for answer in self.queue.drain(..) {
                    answer.fail(problem.clone());
                }
            }
        }
    }

    fn called(&mut self, event: CallEvent) {
        let Activity::Answering(answering) = &mut self.activity else { return };
        let Some(profile) = self.running.as_ref().map(|running| running.profile) else { return };
        match event {
            CallEvent::Reply(reply) => {
                let is_token = matches!(reply, Reply::Token { .. });
                let is_final = reply.is_final();
                let stats = answering.answer.hear(reply, profile);
                if is_final {
                    self.activity = Activity::Idle;
                    self.publish(|snapshot| {
                        snapshot.state = ModelState::Ready;
                        snapshot.tokens_per_second = stats.map(|stats| stats.tokens_per_second);
                    });
                } else if is_token && answering.speed_told.elapsed() >= SPEED_EVERY {
                    answering.speed_told = Instant::now();
                    let speed = answering.answer.speed();
                    self.publish(|snapshot| snapshot.tokens_per_second = speed);
                }
            }
            CallEvent::Silent => {
                answering.is_silent = true;
                answering.answer.silent();
            }
            CallEvent::Resumed => {
                answering.is_silent = false;
                answering.answer.resumed();
            }
            CallEvent::Ended(end) => {
                if answering.stop_by.is_some() {
                    answering.answer.stopped();
                } else {
                    answering.answer.fail(end.problem());
                }
                self.activity = Activity::Idle;
                self.worker_ended(&end);
            }
        }
    }

    fn stop_answers(&mut self) {
        for answer in self.queue.drain(..) {
            answer.stopped();
        }
        self.stop_current();
    }

    /// Stops the answer being written: asks the worker, or ends it where it does not listen.
    fn stop_current(&mut self) {
        let Activity::Answering(answering) = &mut self.activity else { return };
        answering.call.cancel();
        let patience = if answering.is_silent { Duration::ZERO } else { STOP_WITHIN };
        answering.stop_by.get_or_insert_with(|| Instant::now() + patience);
    }

    fn end_overdue(&mut self) {
        if let Activity::Answering(answering) = &mut self.activity {
            answering.stop_by = Some(Instant::now() + Duration::from_hours(1));
        }
        if let Some(running) = &self.running {
            running.worker.kill();
        }
    }

    /// The worker is gone. The next message brings a new one up.
    fn worker_ended(&mut self, end: &WorkerEnd) {
        tracing::warn!(kind = ?end.kind, "{}", end.message);
        self.running = None;
        self.snapshot.send_replace(ModelSnapshot { state: ModelState::Stopped, ..ModelSnapshot::default() });
    }

    fn publish(&self, change: impl FnOnce(&mut ModelSnapshot)) {
        self.snapshot.send_modify(change);
    }
}

async fn wait_for_end(running: Option<&Running>) -> WorkerEnd {
    match running {
        Some(running) => running.worker.wait().await,
        None => pending().await,
    }
}

async fn overdue(stop_by: Option<Instant>) {
    match stop_by {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
