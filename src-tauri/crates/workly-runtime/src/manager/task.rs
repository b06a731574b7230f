//! The task that owns the answers and the workers: it receives, dispatches and publishes. It decides nothing: what follows
//! from an event is in the four rooms beside it.

use std::future::pending;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::Profile;
use workly_core::reading::ProcessUse;
use workly_core::why::Why;
use workly_engine::end::WorkerEnd;
use workly_engine::worker::{Call, CallEvent, Worker};
use workly_wire::model::ModelSnapshot;
use workly_wire::monitor::DecisionEntry;

use super::answers::{Answer, AnswerId, AnswerNews, Answers, Outcome, Writer};
use super::policy_driver::PolicyDriver;
use super::switching::recovery::Faults;
use super::switching::switch::{self, Switch, SwitchNews};
use super::told::Told;
use super::waiting::{Later, heard_of, later};
use super::workers::active::ActiveWorker;
use super::workers::card::Card;
use super::workers::leaving::Gone;
use super::workers::standby::StandbyNews;
use super::workers::startup::{FirstLoad, Progress, StartError, WorkerContext};
use super::workers::tending::Workers;
use crate::model_settings::ModelSettings;
use crate::monitor;

/// What the task can be told.
#[derive(Debug)]
pub(crate) enum Order {
    Load { done: oneshot::Sender<Result<(), Problem>> },
    Answer(AnswerId, Box<Answer>),
    Stop(AnswerId),
    HungUp(AnswerId),
    StopAll,
    Switch { to: Profile, why: Why },
    Configure(Box<ModelSettings>),
    Unload,
    ShutDown { done: oneshot::Sender<()> },
}

pub(crate) struct Task {
    /// What it takes to start a worker, the settings in force among it.
    pub(crate) context: WorkerContext,
    pub(crate) inputs: Inputs,
    pub(crate) wishes: Wishes,
    pub(crate) answers: Answers,
    pub(crate) workers: Workers,
    pub(crate) driver: Option<PolicyDriver>,
    pub(crate) switch: Option<Switch>,
    pub(crate) faults: Faults,
    pub(crate) asked: Asked,
    pub(crate) told: Told,
    /// What was learned, on its way to the disk.
    pub(crate) remembering: JoinSet<()>,
}

/// Where things are heard.
pub(crate) struct Inputs {
    orders: mpsc::UnboundedReceiver<Order>,
    progress: watch::Receiver<Progress>,
    pub(crate) readings: watch::Receiver<monitor::Snapshot>,
}

/// What the user wants that cannot be done at once.
#[derive(Default)]
pub(crate) struct Wishes {
    /// The model is to be loaded, now or as soon as it can be.
    pub(crate) wanted: bool,
    /// The settings said while the model moved where it is to be: that is thought of once it has arrived.
    pub(crate) chosen_meanwhile: bool,
    /// Where the model was ordered to while it moved and could not be called back.
    pub(crate) ordered: Option<(Profile, Why)>,
    /// Settings with another model, which takes the place of the loaded one once no answer is being written.
    pub(crate) next_model: Option<ModelSettings>,
    /// Who waits for the model to be loaded.
    awaiting_load: Vec<oneshot::Sender<Result<(), Problem>>>,
}

/// Questions under way.
pub(crate) struct Asked {
    /// Who is on the card, asked for a decision.
    pub(crate) culprits: Option<Later<Vec<ProcessUse>>>,
    /// The card being sized up for a model that runs already.
    pub(crate) sizing: Option<Later<Option<Card>>>,
    pub(crate) size_up_after: Instant,
    /// The devices a GPU worker was asked for, where no probe knows the card.
    pub(crate) devices: Option<Call>,
    pub(crate) devices_after: Instant,
}

impl Asked {
    fn new() -> Self {
        let now = Instant::now();
        Self { culprits: None, sizing: None, size_up_after: now, devices: None, devices_after: now }
    }

    /// They were asked for another model.
    pub(crate) fn forget(&mut self) {
        (self.culprits, self.sizing, self.devices) = (None, None, None);
    }
}

enum Happened {
    Order(Option<Order>),
    FirstUp(Box<Result<FirstLoad, StartError>>),
    Answers(AnswerNews),
    IdleWorkerEnded(WorkerEnd),
    Switch(SwitchNews),
    Standby(StandbyNews),
    Gone(Gone),
    Culprits(Vec<ProcessUse>),
    SizedUp(Option<Box<Card>>),
    Devices(CallEvent),
    ProbeWorkerUp(Option<Worker>),
    Reading,
    Progressed,
}

/// What callers are told when the task is gone.
pub(crate) fn gone() -> Problem {
    Problem::new(ProblemCode::Cancelled, "Workly is shutting down.")
}

impl Task {
    pub(crate) fn new(
        context: WorkerContext,
        orders: mpsc::UnboundedReceiver<Order>,
        snapshot: watch::Sender<ModelSnapshot>,
        decisions: broadcast::Sender<DecisionEntry>,
    ) -> Self {
        let (progress, readings) = (context.progress.subscribe(), context.monitor.subscribe());
        Self {
            context,
            inputs: Inputs { orders, progress, readings },
            wishes: Wishes::default(),
            answers: Answers::default(),
            workers: Workers::default(),
            driver: None,
            switch: None,
            faults: Faults::default(),
            asked: Asked::new(),
            told: Told::new(snapshot, decisions),
            remembering: JoinSet::new(),
        }
    }

    pub(crate) async fn run(mut self) {
        self.publish();
        loop {
            let changes = match self.next().await {
                Happened::Order(None) => return,
                Happened::Order(Some(Order::ShutDown { done })) => {
                    self.answers.shut_down();
                    self.drop_model();
                    self.workers.leaving.all_gone().await;
                    self.all_remembered().await;
                    let _ = done.send(());
                    return;
                }
                happened => self.dispatch(happened),
            };
            if changes {
                self.advance();
                self.tell_monitor();
                self.publish();
                self.tell_loaded();
            }
        }
    }

    /// Passes on what happened; tells whether anything may follow from it. Nothing does from a token alone.
    fn dispatch(&mut self, happened: Happened) -> bool {
        match happened {
            Happened::Order(order) => {
                if let Some(order) = order {
                    self.obey(order);
                }
            }
            Happened::FirstUp(result) => self.first_up(*result),
            Happened::Answers(news) => return self.answer_news(news),
            Happened::IdleWorkerEnded(end) => self.worker_ended(&end),
            Happened::Switch(SwitchNews::Arrived(arrival)) => self.target_up(*arrival),
            Happened::Switch(SwitchNews::Overdue) => self.evacuated(),
            Happened::Switch(SwitchNews::Again) => self.try_again(),
            Happened::Standby(news) => self.standby_news(news),
            Happened::Gone(gone) => self.left_worker_gone(&gone),
            Happened::Culprits(culprits) => self.blame(&culprits),
            Happened::SizedUp(card) => self.sized_up(card.map(|card| *card)),
            Happened::Devices(event) => self.told_devices(event),
            Happened::ProbeWorkerUp(worker) => self.probe_worker_up(worker),
            Happened::Reading => self.on_reading(),
            Happened::Progressed => {}
        }
        true
    }

    /// Waits for the next thing to happen.
    async fn next(&mut self) -> Happened {
        let is_idle = !self.answers.is_any_under_way();
        let active = self.workers.active.as_ref().filter(|_| is_idle);
        tokio::select! {
            order = self.inputs.orders.recv() => Happened::Order(order),
            result = later(&mut self.workers.first) => Happened::FirstUp(Box::new(result)),
            news = self.answers.next() => Happened::Answers(news),
            end = async {
                match active {
                    Some(active) => active.engine().ended().await,
                    None => pending().await,
                }
            } => Happened::IdleWorkerEnded(end),
            news = switch::news(self.switch.as_mut()) => Happened::Switch(news),
            news = self.workers.standby.news() => Happened::Standby(news),
            gone = self.workers.leaving.next() => Happened::Gone(gone),
            culprits = later(&mut self.asked.culprits) => Happened::Culprits(culprits),
            card = later(&mut self.asked.sizing) => Happened::SizedUp(card.map(Box::new)),
            worker = later(&mut self.workers.probe.coming) => Happened::ProbeWorkerUp(worker),
            event = heard_of(self.asked.devices.as_mut()) => Happened::Devices(event),
            Ok(()) = self.inputs.readings.changed() => Happened::Reading,
            Ok(()) = self.inputs.progress.changed() => Happened::Progressed,
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Load { done } => {
                self.want();
                self.wishes.awaiting_load.push(done);
            }
            Order::Answer(id, answer) => {
                self.want();
                self.answers.push(id, *answer);
            }
            Order::Stop(id) => self.tell_answers(|answers, writer| answers.stop(id, writer)),
            Order::HungUp(id) => self.tell_answers(|answers, writer| answers.hung_up(id, writer)),
            Order::StopAll => self.tell_answers(Answers::stop_all),
            Order::Switch { to, why } => self.ordered(to, why),
            Order::Configure(settings) => self.configure(*settings),
            Order::Unload => {
                self.wishes.wanted = false;
                for waiting in self.wishes.awaiting_load.drain(..) {
                    let _ = waiting.send(Err(Problem::new(ProblemCode::Cancelled, "The model was unloaded.")));
                }
                self.tell_answers(Answers::stop_all);
                self.drop_model();
            }
            // Waited for in `run`.
            Order::ShutDown { .. } => {}
        }
    }

    /// The model is wanted, whatever stood against it.
    fn want(&mut self) {
        (self.wishes.wanted, self.told.problem, self.faults.tried_again) = (true, None, false);
        self.faults.refusals.reset();
    }

    /// Tells the answers something, and does what follows.
    fn tell_answers(&mut self, tell: impl FnOnce(&mut Answers, Option<&Writer<'_>>) -> Outcome) {
        let writer = self.workers.active.as_ref().map(ActiveWorker::writer);
        let outcome = tell(&mut self.answers, writer.as_ref());
        self.after(outcome);
    }

    fn answer_news(&mut self, news: AnswerNews) -> bool {
        let writer = self.workers.active.as_ref().map(ActiveWorker::writer);
        let outcome = match news {
            AnswerNews::Heard(id, CallEvent::Ended(end)) if self.answers.is_of(id, writer.as_ref()) => {
                self.worker_ended(&end);
                return true;
            }
            AnswerNews::Heard(id, event) => self.answers.heard(id, event, writer.as_ref()),
            AnswerNews::StopOverdue(id) => self.answers.stop_overdue(id, writer.as_ref()),
        };
        self.after(outcome)
    }

    /// Does what follows from what came of an answer; tells whether more may follow.
    fn after(&mut self, outcome: Outcome) -> bool {
        let Outcome { token, worked, speed, ended, parked, fault, end_worker, checkpointed } = outcome;
        let now = self.context.monitor.now_ms();
        let on_gpu = self.workers.active.as_ref().is_some_and(|active| active.profile().uses_gpu());
        if let Some(driver) = self.driver.as_mut().filter(|_| worked && on_gpu) {
            driver.worked_on_gpu(now);
            if let Some(context_tokens) = token {
                driver.speed.token(context_tokens, now);
            }
        }
        if token.is_some() {
            self.faults.fruitless = 0;
            if let Some(active) = &mut self.workers.active {
                active.has_written = true;
            }
        }
        if checkpointed {
            self.checkpointed();
        }
        let has_ended = ended.is_some();
        if let Some(finished) = ended {
            self.remember_speed(finished.written_in, finished.stats.as_ref());
        }
        let tells_speed = speed.is_some();
        if tells_speed {
            self.told.speed = speed;
        }
        if let Some(problem) = fault {
            self.worker_failed(&problem);
        } else if end_worker {
            self.end_hanging_worker();
        }
        self.leave_if_free();
        has_ended || parked || end_worker || tells_speed || (token.is_none() && !checkpointed)
    }

    /// Begins what is to be done next, if nothing is being done.
    fn advance(&mut self) {
        self.settle();
        if !self.is_moving() {
            if let Some((to, why)) = self.wishes.ordered.take() {
                self.ordered(to, why);
            }
            if std::mem::take(&mut self.wishes.chosen_meanwhile) {
                self.reconsider();
            }
        }
        if self.wishes.next_model.is_some() && !self.answers.is_any_under_way() {
            self.drop_model();
        }
        let nothing_comes = self.switch.is_none() && self.workers.first.is_none();
        if self.workers.active.is_none() && nothing_comes && self.wishes.wanted {
            self.bring_up();
        }
        self.write_on();
        self.tend_standby();
        self.tend_probe_worker();
    }

    /// Gives the answers to the active worker, to begin them or to go on with them.
    fn write_on(&mut self) {
        let Some(active) = &self.workers.active else { return };
        // A worker that is to be left begins nothing new.
        if self.switch.as_ref().is_some_and(Switch::awaits_present) {
            return;
        }
        if self.answers.give(&active.writer())
            && let Some(driver) = &mut self.driver
        {
            driver.speed.restart();
        }
    }

    /// Tells whoever waits that the model asked for is loaded, once the snapshot says so as well.
    fn tell_loaded(&mut self) {
        if self.workers.active.is_some() && self.wishes.next_model.is_none() {
            for waiting in self.wishes.awaiting_load.drain(..) {
                let _ = waiting.send(Ok(()));
            }
        }
    }

    /// Nobody gets an answer, for this reason.
    pub(crate) fn refuse_all(&mut self, problem: &Problem) {
        for waiting in self.wishes.awaiting_load.drain(..) {
            let _ = waiting.send(Err(problem.clone()));
        }
        self.answers.refuse_all(problem);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use workly_engine::worker::Patience;
    use workly_gpu::Sources;
    use workly_library::experience::Experience;

    use super::*;
    use crate::launcher::Launcher;
    use crate::monitor::{Monitor, MonitorSettings};

    #[tokio::test]
    async fn nothing_follows_from_a_token_alone() {
        let context = WorkerContext {
            launcher: Launcher::new("workly-cli".into(), Patience::default()),
            settings: ModelSettings::new("m.gguf".into()),
            experience: Experience::new(None),
            monitor: Arc::new(Monitor::start(Sources::default(), MonitorSettings::default()).unwrap()),
            progress: watch::Sender::default(),
        };
        let (_orders, received) = mpsc::unbounded_channel();
        let mut task = Task::new(context, received, watch::Sender::default(), broadcast::Sender::new(1));
        let token = || Outcome { token: Some(1), worked: true, ..Outcome::default() };
        assert!(!task.after(token()));
        assert!(task.after(Outcome { speed: Some(9.0), ..token() }));
        assert!(task.after(Outcome { parked: true, ..token() }));
        assert!(task.after(Outcome::default()));
    }
}
