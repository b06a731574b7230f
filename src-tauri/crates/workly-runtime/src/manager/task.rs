//! The task that owns the workers: what it keeps, what it waits for, and what it begins next.
//!
//! How the model moves is in `moves`, what follows from a worker's end in `recovery`, what follows from a look at the card
//! in `looks`, what others see in `publish`.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use workly_core::crash_budget::CrashBudget;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::Profile;
use workly_core::reading::ProcessUse;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::{Notice, Why};
use workly_engine::end::WorkerEnd;
use workly_engine::protocol::{Command, Reply, ResumeRequest};
use workly_engine::worker::{Call, CallEvent, Worker};
use workly_wire::model::ModelSnapshot;
use workly_wire::monitor::DecisionEntry;

use super::answer::Answer;
use super::carry::Carrying;
use super::handover::{Parked, Reason, StateFolder};
use super::pilot::Pilot;
use super::placed::{Gone, Leaving, Placed, Settling};
use super::publish::Made;
use super::scout::Scout;
use super::standby::{Standby, StandbyNews};
use super::switch::{self, Switch, SwitchNews};
use super::waiting::{Later, at, heard_of, later};
use crate::bring_up::{First, Progress, Setback, Site};
use crate::card::Card;
use crate::model_settings::ModelSettings;
use crate::monitor;

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
    Switch { to: Profile, why: Why },
    Configure(Box<ModelSettings>),
    Unload,
    ShutDown { done: oneshot::Sender<()> },
}

pub(crate) struct Task {
    pub(super) site: Site,
    orders: mpsc::UnboundedReceiver<Order>,
    progress: watch::Receiver<Progress>,
    pub(super) looks: watch::Receiver<monitor::Snapshot>,
    pub(super) snapshot: watch::Sender<ModelSnapshot>,
    pub(super) decisions: broadcast::Sender<DecisionEntry>,
    /// A move that was made and is told once its reason is complete.
    pub(super) made: Option<Made>,
    /// The model is to be loaded, now or as soon as it can be.
    pub(super) wanted: bool,
    /// The user said while the model moved where it is to be: that is thought of once it has arrived.
    pub(super) chosen_meanwhile: bool,
    /// Settings with another model, which takes the place of the loaded one once no answer is being written.
    pub(super) next_model: Option<ModelSettings>,
    /// The model being brought up for the first time.
    pub(super) first: Option<Later<Result<First, Setback>>>,
    pub(super) pilot: Option<Pilot>,
    pub(super) running: Option<Placed>,
    pub(super) generation: u64,
    /// Where the model was last, also while no worker runs.
    pub(super) last_profile: Option<Profile>,
    pub(super) standby: Standby,
    pub(super) switch: Option<Switch>,
    pub(super) leaving: Leaving,
    pub(super) settling: Option<Settling>,
    pub(super) answering: Option<Box<Answering>>,
    /// Answers that wait their turn.
    queue: VecDeque<Answer>,
    /// Who waits for the model to be loaded.
    awaiting_load: Vec<oneshot::Sender<Result<(), Problem>>>,
    pub(super) budget: CrashBudget,
    /// Workers in a row that ended before they wrote a token.
    pub(super) fruitless: u32,
    /// The load was tried again already, although the worker said why it failed.
    pub(super) tried_again: bool,
    /// Who is on the card, asked for a decision.
    pub(super) culprits: Option<Later<Vec<ProcessUse>>>,
    /// The card being sized up for a model that runs already.
    pub(super) sizing: Option<Later<Option<Card>>>,
    pub(super) size_up_after: Instant,
    /// The devices a GPU worker was asked for, where no probe knows the card.
    pub(super) devices: Option<Call>,
    pub(super) devices_after: Instant,
    pub(super) scout: Scout,
    /// What was said so far, on its way from one worker to the next between two answers.
    pub(super) carrying: Option<Carrying>,
    pub(super) strategy: Option<SwitchStrategy>,
    /// Why the model is where it is.
    pub(super) why: Option<Reason>,
    pub(super) notices: Vec<Notice>,
    /// Why there is no model.
    pub(super) problem: Option<Problem>,
    pub(super) speed: Option<f64>,
    /// What was learned, on its way to the disk.
    pub(super) remembering: JoinSet<()>,
}

/// The answer being written, or waiting for a worker to be written on.
pub(super) struct Answering {
    pub(super) answer: Answer,
    /// The worker's part; none while it is parked.
    pub(super) call: Option<Call>,
    pub(super) parked: Option<Parked>,
    is_silent: bool,
    /// Set once the answer was stopped: when the worker is ended for not hearing it.
    pub(super) stop_by: Option<Instant>,
    speed_told: Instant,
    /// The saved KV cache that the worker began with; gone with the answer.
    state: Option<StateFolder>,
}

enum Happened {
    Order(Option<Order>),
    FirstUp(Box<Result<First, Setback>>),
    Heard(CallEvent),
    Abandoned,
    StopOverdue,
    IdleWorkerEnded(WorkerEnd),
    Switch(SwitchNews),
    Standby(StandbyNews),
    Gone(Gone),
    Culprits(Vec<ProcessUse>),
    SizedUp(Option<Box<Card>>),
    Devices(CallEvent),
    ScoutUp(Option<Worker>),
    Carried(CallEvent),
    Looked,
    Progressed,
}

/// What callers are told when the task is gone.
pub(crate) fn gone() -> Problem {
    Problem::new(ProblemCode::Cancelled, "Workly is shutting down.")
}

impl Task {
    pub(crate) fn new(
        site: Site,
        orders: mpsc::UnboundedReceiver<Order>,
        snapshot: watch::Sender<ModelSnapshot>,
        decisions: broadcast::Sender<DecisionEntry>,
    ) -> Self {
        Self {
            orders,
            progress: site.progress.subscribe(),
            looks: site.monitor.subscribe(),
            snapshot,
            decisions,
            made: None,
            site,
            wanted: false,
            chosen_meanwhile: false,
            next_model: None,
            first: None,
            pilot: None,
            running: None,
            generation: 0,
            last_profile: None,
            standby: Standby::new(),
            switch: None,
            leaving: Leaving::default(),
            settling: None,
            answering: None,
            queue: VecDeque::new(),
            awaiting_load: Vec::new(),
            budget: CrashBudget::default(),
            fruitless: 0,
            tried_again: false,
            culprits: None,
            sizing: None,
            size_up_after: Instant::now(),
            devices: None,
            devices_after: Instant::now(),
            scout: Scout::default(),
            carrying: None,
            strategy: None,
            why: None,
            notices: Vec::new(),
            problem: None,
            speed: None,
            remembering: JoinSet::new(),
        }
    }

    pub(crate) async fn run(mut self) {
        self.publish();
        loop {
            match self.next().await {
                Happened::Order(None) => return,
                Happened::Order(Some(Order::ShutDown { done })) => {
                    self.stop_answers();
                    self.drop_model();
                    self.leaving.all_gone().await;
                    self.all_remembered().await;
                    let _ = done.send(());
                    return;
                }
                Happened::Order(Some(order)) => self.obey(order),
                Happened::FirstUp(result) => self.first_up(*result),
                Happened::Heard(event) => self.heard(event),
                Happened::Abandoned => self.stop_current(),
                Happened::StopOverdue => self.end_overdue(),
                Happened::IdleWorkerEnded(end) => self.worker_ended(&end),
                Happened::Switch(SwitchNews::Arrived(arrival)) => self.target_up(*arrival),
                Happened::Switch(SwitchNews::Overdue) => self.evacuated(),
                Happened::Standby(news) => self.standby_news(news),
                Happened::Gone(gone) => self.left_worker_gone(&gone),
                Happened::Culprits(culprits) => self.blame(&culprits),
                Happened::SizedUp(card) => self.sized_up(card.map(|card| *card)),
                Happened::Devices(event) => self.told_devices(event),
                Happened::ScoutUp(worker) => self.scout_up(worker),
                Happened::Carried(event) => self.carried(&event),
                Happened::Looked => self.looked(),
                Happened::Progressed => {}
            }
            self.advance();
            self.tell_monitor();
            self.publish();
            self.tell_loaded();
        }
    }

    /// Tells whoever waits that the model asked for is loaded, once the snapshot says so as well.
    fn tell_loaded(&mut self) {
        if self.running.is_some() && self.next_model.is_none() {
            for waiting in self.awaiting_load.drain(..) {
                let _ = waiting.send(Ok(()));
            }
        }
    }

    /// Waits for the next thing to happen.
    async fn next(&mut self) -> Happened {
        tokio::select! {
            order = self.orders.recv() => Happened::Order(order),
            result = later(&mut self.first) => Happened::FirstUp(Box::new(result)),
            happened = in_answer(&mut self.answering, self.running.as_ref()) => happened,
            news = switch::news(self.switch.as_mut()) => Happened::Switch(news),
            news = self.standby.news() => Happened::Standby(news),
            gone = self.leaving.next() => Happened::Gone(gone),
            culprits = later(&mut self.culprits) => Happened::Culprits(culprits),
            card = later(&mut self.sizing) => Happened::SizedUp(card.map(Box::new)),
            worker = later(&mut self.scout.coming) => Happened::ScoutUp(worker),
            event = heard_of(self.devices.as_mut()) => Happened::Devices(event),
            event = heard_of(self.carrying.as_mut().map(|carrying| &mut carrying.call)) => Happened::Carried(event),
            Ok(()) = self.looks.changed() => Happened::Looked,
            Ok(()) = self.progress.changed() => Happened::Progressed,
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Load { done } => {
                (self.wanted, self.problem, self.tried_again) = (true, None, false);
                self.awaiting_load.push(done);
            }
            Order::Answer(answer) => {
                (self.wanted, self.problem, self.tried_again) = (true, None, false);
                self.queue.push_back(*answer);
            }
            Order::StopAnswers => self.stop_answers(),
            Order::Switch { to, why } => self.ordered(to, why),
            Order::Configure(settings) => self.configure(*settings),
            Order::Unload => {
                self.wanted = false;
                self.stop_answers();
                self.drop_model();
            }
            // Waited for in `run`.
            Order::ShutDown { .. } => {}
        }
    }

    /// Begins what is to be done next, if nothing is being done.
    fn advance(&mut self) {
        self.settle();
        if self.chosen_meanwhile && !self.is_moving() {
            self.chosen_meanwhile = false;
            self.reconsider();
        }
        if self.next_model.is_some() && self.answering.is_none() {
            self.drop_model();
        }
        if self.running.is_none() && self.switch.is_none() && self.first.is_none() && self.wanted {
            self.bring_up();
        }
        if self.running.is_none() {
            return;
        }
        if self.answering.is_none()
            && let Some(answer) = self.queue.pop_front()
        {
            self.answering = Some(Box::new(Answering {
                answer,
                call: None,
                parked: None,
                is_silent: false,
                stop_by: None,
                speed_told: Instant::now(),
                state: None,
            }));
            self.speed = None;
        }
        self.write_on();
        self.tend_standby();
        self.tend_scout();
    }

    /// Gives the answer to the present worker, to begin it or to go on with it.
    fn write_on(&mut self) {
        let (Some(answering), Some(placed)) = (&mut self.answering, &self.running) else { return };
        // A worker that is to be ended at once begins nothing new.
        let is_leaving =
            self.switch.as_ref().is_some_and(|switch| matches!(switch.stage, switch::Stage::Evacuating(..)));
        if answering.call.is_some() || is_leaving || self.carrying.as_ref().is_some_and(Carrying::is_saving) {
            return;
        }
        let request = answering.answer.command();
        let parked = answering.parked.take();
        let command = match parked {
            Some(Parked { unfinished: Some(answer), state, .. }) => {
                let folder = state.map(|saved| saved.folder);
                let state = folder.as_ref().map(StateFolder::file);
                answering.state = folder;
                Command::Resume(ResumeRequest { request, answer, state })
            }
            Some(Parked { unfinished: None, .. }) | None => Command::Generate(request),
        };
        answering.call = Some(placed.running.worker.call(command));
        if let Some(pilot) = &mut self.pilot {
            pilot.speed.restart();
        }
    }

    /// Hears the worker that writes the answer.
    fn heard(&mut self, event: CallEvent) {
        let now = self.site.monitor.now_ms();
        let (Some(answering), Some(placed)) = (&mut self.answering, &mut self.running) else { return };
        let profile = placed.running.profile;
        match event {
            CallEvent::Reply(Reply::HandedOver { answer, state_bytes, saved_in_ms }) => {
                tracing::info!(?state_bytes, saved_in_ms, "answer handed over");
                self.handed_over(answer, state_bytes.map(|bytes| (bytes, saved_in_ms)));
            }
            CallEvent::Reply(Reply::Failed(problem)) if is_a_fault(problem.code) && answering.stop_by.is_none() => {
                self.computation_failed(&problem);
            }
            CallEvent::Reply(reply) => {
                let (is_token, is_final) = (matches!(reply, Reply::Token { .. }), reply.is_final());
                let stats = answering.answer.hear(reply, profile);
                if let Some(pilot) = self.pilot.as_mut().filter(|_| profile.uses_gpu()) {
                    pilot.worked_on_gpu(now);
                    if is_token {
                        pilot.speed.token(answering.answer.context_tokens(), now);
                    }
                }
                if is_token {
                    placed.has_written = true;
                    self.fruitless = 0;
                }
                if is_final {
                    let written_in = answering.answer.written_in();
                    self.answering = None;
                    self.remember_speed(written_in, stats.as_ref());
                    self.speed = stats.map(|stats| stats.tokens_per_second);
                    self.answer_ended();
                } else if is_token && answering.speed_told.elapsed() >= SPEED_EVERY {
                    answering.speed_told = Instant::now();
                    self.speed = answering.answer.speed();
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
            CallEvent::Ended(end) => self.worker_ended(&end),
        }
    }

    fn stop_answers(&mut self) {
        for mut answer in self.queue.drain(..) {
            answer.stopped();
        }
        self.stop_current();
    }

    /// Stops the answer being written: asks the worker, or ends it where it does not listen.
    fn stop_current(&mut self) {
        let Some(answering) = &mut self.answering else { return };
        let Some(call) = &answering.call else {
            answering.answer.stopped();
            self.answering = None;
            return;
        };
        call.cancel();
        let patience = if answering.is_silent { Duration::ZERO } else { STOP_WITHIN };
        answering.stop_by.get_or_insert_with(|| Instant::now() + patience);
    }

    fn end_overdue(&mut self) {
        if let Some(answering) = &mut self.answering {
            answering.stop_by = Some(Instant::now() + Duration::from_hours(1));
        }
        if let Some(placed) = &self.running {
            placed.running.worker.kill();
        }
    }

    /// Nobody gets an answer, for this reason.
    pub(super) fn refuse_all(&mut self, problem: &Problem) {
        for waiting in self.awaiting_load.drain(..) {
            let _ = waiting.send(Err(problem.clone()));
        }
        if let Some(mut answering) = self.answering.take() {
            answering.answer.fail(problem.clone());
        }
        for mut answer in self.queue.drain(..) {
            answer.fail(problem.clone());
        }
    }

    /// Ends all workers and forgets the model; the one that was to follow is the model then. Answers that wait go on waiting.
    pub(super) fn drop_model(&mut self) {
        if let Some(next) = self.next_model.take() {
            self.site.settings.take_model_of(&next);
        }
        if let Some(mut answering) = self.answering.take() {
            answering.answer.stopped();
        }
        let decided = std::time::Instant::now();
        let workers = self.running.take().map(|placed| placed.running).into_iter().chain(self.standby.dismiss());
        for running in workers {
            self.leaving.end(running.worker, 0, running.profile.uses_gpu(), decided);
        }
        (self.first, self.switch, self.pilot, self.settling) = (None, None, None, None);
        (self.sizing, self.devices, self.culprits, self.carrying) = (None, None, None, None);
        (self.why, self.speed, self.strategy) = (None, None, None);
        self.notices.clear();
        self.standby = Standby::new();
        if let Some(worker) = std::mem::take(&mut self.scout).worker {
            self.leaving.end(worker, 0, false, decided);
        }
    }
}

/// Whether a worker that answers so may be at fault itself, so that another one may do better.
const fn is_a_fault(code: ProblemCode) -> bool {
    matches!(code, ProblemCode::DecodeFailed | ProblemCode::OutOfMemory | ProblemCode::NoModel)
}

/// What comes of the answer being written, or of the worker while there is none.
async fn in_answer(answering: &mut Option<Box<Answering>>, placed: Option<&Placed>) -> Happened {
    match answering.as_deref_mut() {
        Some(Answering { answer, call: Some(call), stop_by, .. }) => {
            tokio::select! {
                event = call.next() => Happened::Heard(event),
                () = answer.abandoned(), if stop_by.is_none() => Happened::Abandoned,
                () = at(*stop_by) => Happened::StopOverdue,
            }
        }
        Some(Answering { answer, call: None, .. }) => {
            answer.abandoned().await;
            Happened::Abandoned
        }
        None => match placed {
            Some(placed) => Happened::IdleWorkerEnded(placed.running.worker.wait().await),
            None => pending().await,
        },
    }
}
