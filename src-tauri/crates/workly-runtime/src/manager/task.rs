//! The task that owns the worker.

use std::collections::VecDeque;
use std::future::pending;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::wire::{ModelSnapshot, ModelState};
use workly_engine::end::WorkerEnd;
use workly_engine::protocol::{Command, Reply, ResumeRequest, UnfinishedAnswer};
use workly_engine::worker::{Call, CallEvent, Patience, Worker};

use super::answer::Answer;
use super::switch::{Handover, StateFolder, Switch, Target};
use crate::bring_up::{ModelSettings, Running, bring_up};

/// How long a worker may take to hear a stop; a chunk of the prompt takes 150 ms.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How often the speed is published while an answer is written.
const SPEED_EVERY: Duration = Duration::from_millis(500);

/// What the task can be told.
#[derive(Debug)]
pub(crate) enum Order {
    Load { done: oneshot::Sender<Result<(), Problem>> },
    Answer(Box<Answer>),
    StopAnswers,
    Switch { to: Profile, reason: String },
    Configure(Box<ModelSettings>),
    Unload,
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
    /// The switch under way.
    switch: Option<Switch>,
    /// A worker that was left, until it is gone, and when leaving it was decided.
    leaving: Option<(Worker, std::time::Instant)>,
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
    /// The saved KV cache that the worker began with; gone with the answer.
    state: Option<StateFolder>,
}

enum Happened {
    Order(Option<Order>),
    BroughtUp(Result<Running, Problem>),
    Called(CallEvent),
    Abandoned,
    StopOverdue,
    WorkerEnded(WorkerEnd),
    TargetUp(Result<Running, Problem>),
    LeftWorkerGone,
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
            switch: None,
            leaving: None,
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
                Happened::Order(Some(Order::Answer(answer))) => self.queue.push_back(*answer),
                Happened::Order(Some(Order::StopAnswers)) => self.stop_answers(),
                Happened::Order(Some(Order::Switch { to, reason })) => self.begin_switch(to, reason),
                Happened::Order(Some(Order::Configure(settings))) => self.settings = *settings,
                Happened::Order(Some(Order::Unload)) => self.running = None,
                Happened::BroughtUp(result) => self.brought_up(result),
                Happened::Called(event) => self.called(event),
                Happened::Abandoned => self.stop_current(),
                Happened::StopOverdue => self.end_overdue(),
                Happened::WorkerEnded(end) => self.worker_ended(&end),
                Happened::TargetUp(result) => self.target_up(result),
                Happened::LeftWorkerGone => self.left_worker_gone(),
            }
            self.advance();
        }
    }

    /// Waits for the next thing to happen.
    async fn next(&mut self) -> Happened {
        tokio::select! {
            order = self.orders.recv() => Happened::Order(order),
            happened = happens_in(&mut self.activity, self.running.as_ref()) => happened,
            result = target_up(self.switch.as_mut()) => Happened::TargetUp(result),
            () = gone_from(self.leaving.as_ref()) => Happened::LeftWorkerGone,
        }
    }

    /// Begins what is to be done next, if nothing is being done.
    fn advance(&mut self) {
        if !matches!(self.activity, Activity::Idle) {
            return;
        }
        // The answer ended before it could be handed over.
        if let Some((target, _, _, decided)) = self.take_ready_target() {
            self.leave_for(target, decided);
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
                state: None,
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
                self.snapshot.send_replace(ready_snapshot(&running));
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
            CallEvent::Reply(Reply::HandedOver { answer, state_bytes, saved_in_ms }) => {
                tracing::info!(?state_bytes, saved_in_ms, "answer handed over");
                self.resume(answer, state_bytes.is_some());
            }
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

    /// Starts to bring the target of a switch up; the answer being written goes on meanwhile.
    fn begin_switch(&mut self, to: Profile, reason: String) {
        self.settings.profile = ProfileChoice::Fixed(to);
        let Some(running) = &self.running else {
            if matches!(self.activity, Activity::BringingUp(_)) {
                self.begin_bringing_up();
            }
            return;
        };
        // Whatever was on its way elsewhere is ended with this.
        self.switch = None;
        if running.profile != to {
            let (aside, _) = watch::channel(ModelSnapshot::default());
            let target = bring_up(self.worker_program.clone(), self.patience, self.settings.clone(), aside);
            self.switch = Some(Switch {
                to,
                reason,
                decided: std::time::Instant::now(),
                target: Target::BringingUp(Box::pin(target)),
            });
        }
        let switching_to = self.switch.as_ref().map(|switch| switch.to);
        self.publish(|snapshot| snapshot.switching_to = switching_to);
    }

    /// The target is ready, or will never be.
    fn target_up(&mut self, result: Result<Running, Problem>) {
        let Some(mut switch) = self.switch.take() else { return };
        let target = match result {
            // There is no better place than where the model is: the target says why.
            Ok(target) if self.running.as_ref().is_some_and(|running| running.profile == target.profile) => {
                return self.switch_failed(target.notice);
            }
            Ok(target) => target,
            Err(problem) => return self.switch_failed(Some(problem.message)),
        };
        match &self.activity {
            Activity::Answering(answering) if answering.stop_by.is_none() => {
                let folder = StateFolder::new();
                answering.call.hand_over(folder.file());
                switch.target = Target::Ready(Box::new(target), folder);
                self.switch = Some(switch);
            }
            _ => self.leave_for(target, switch.decided),
        }
    }

    fn switch_failed(&self, notice: Option<String>) {
        self.publish(|snapshot| {
            snapshot.switching_to = None;
            snapshot.notice = notice;
        });
    }

    /// Goes on with an answer in the target of the switch.
    fn resume(&mut self, answer: UnfinishedAnswer, is_saved: bool) {
        let Activity::Answering(mut answering) = std::mem::replace(&mut self.activity, Activity::Idle) else { return };
        let Some((target, folder, reason, decided)) = self.take_ready_target() else {
            // The switch was called off, or gave way to another, after the worker was asked: that worker goes on.
            if let Some(running) = &self.running {
                let request = answering.answer.command();
                answering.call = running.worker.call(Command::Resume(ResumeRequest { request, answer, state: None }));
                self.activity = Activity::Answering(answering);
            }
            return;
        };
        let handover = Handover {
            from: self.running.as_ref().map_or(target.profile, |running| running.profile),
            to: target.profile,
            reason,
            first_token: None,
            released: None,
        };
        answering.answer.handed_over(handover);
        self.leave_for(target, decided);
        if answering.stop_by.is_some() {
            answering.answer.stopped();
        } else if let Some(running) = &self.running {
            let state = is_saved.then(|| folder.file());
            let request = answering.answer.command();
            answering.call = running.worker.call(Command::Resume(ResumeRequest { request, answer, state }));
            answering.state = Some(folder);
            self.publish(|snapshot| snapshot.state = ModelState::Generating);
            self.activity = Activity::Answering(answering);
        }
    }

    /// The target of the switch, if it is ready; one that is still on its way stays on it.
    fn take_ready_target(&mut self) -> Option<(Running, StateFolder, String, std::time::Instant)> {
        match self.switch.take() {
            Some(Switch { reason, decided, target: Target::Ready(target, folder), .. }) => {
                Some((*target, folder, reason, decided))
            }
            other => {
                self.switch = other;
                None
            }
        }
    }

    /// Ends the present worker and takes the target in its place.
    fn leave_for(&mut self, target: Running, decided: std::time::Instant) {
        self.snapshot.send_replace(ready_snapshot(&target));
        if let Some(old) = self.running.replace(target) {
            old.worker.kill();
            self.leaving = Some((old.worker, decided));
        }
    }

    fn left_worker_gone(&mut self) {
        let Some((_, decided)) = self.leaving.take() else { return };
        if let Activity::Answering(answering) = &mut self.activity {
            answering.answer.released(decided.elapsed());
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
        self.switch = None;
        self.snapshot.send_replace(ModelSnapshot { state: ModelState::Stopped, ..ModelSnapshot::default() });
    }

    fn publish(&self, change: impl FnOnce(&mut ModelSnapshot)) {
        self.snapshot.send_modify(change);
    }
}

fn ready_snapshot(running: &Running) -> ModelSnapshot {
    ModelSnapshot {
        state: ModelState::Ready,
        model: Some(running.model.clone()),
        profile: Some(running.profile),
        notice: running.notice.clone(),
        worker_pid: Some(running.worker.process_id()),
        ..ModelSnapshot::default()
    }
}

/// What comes of the present activity.
async fn happens_in(activity: &mut Activity, running: Option<&Running>) -> Happened {
    match activity {
        Activity::Idle => Happened::WorkerEnded(wait_for_end(running).await),
        Activity::BringingUp(bringing_up) => Happened::BroughtUp(bringing_up.await),
        Activity::Answering(answering) => {
            let Answering { answer, call, stop_by, .. } = answering.as_mut();
            tokio::select! {
                event = call.next() => Happened::Called(event),
                () = answer.abandoned(), if stop_by.is_none() => Happened::Abandoned,
                () = overdue(*stop_by) => Happened::StopOverdue,
            }
        }
    }
}

async fn target_up(switch: Option<&mut Switch>) -> Result<Running, Problem> {
    match switch.map(|switch| &mut switch.target) {
        Some(Target::BringingUp(bringing_up)) => bringing_up.await,
        Some(Target::Ready(..)) | None => pending().await,
    }
}

async fn gone_from(leaving: Option<&(Worker, std::time::Instant)>) {
    match leaving {
        Some((worker, _)) => drop(worker.wait().await),
        None => pending().await,
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
