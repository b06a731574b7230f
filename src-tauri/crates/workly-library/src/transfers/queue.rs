//! The task that owns all transfers: it starts and ends them, and tells what they do.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::models::{Transfer, TransferState};

use super::flow::End;
use super::host::SharedHosts;
use super::job::{Job, Live, Stop};
use super::options::Options;
use super::problems;
use super::record::{Folder, Record};
use super::speed::Speed;

/// Time between two lists that are told.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// What the owner is asked.
#[derive(Debug)]
pub(super) enum Command {
    Add(Box<Record>, oneshot::Sender<Result<String, Problem>>),
    Change(String, Change, oneshot::Sender<Result<(), Problem>>),
    /// Stop all, and say when it has.
    Rest(oneshot::Sender<()>),
}

/// What may be done to a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Pause,
    Resume,
    Remove,
}

/// The owner.
#[derive(Debug)]
pub(super) struct Queue {
    folder: Folder,
    hosts: Result<SharedHosts, Problem>,
    options: Options,
    items: Vec<Item>,
    jobs: JoinSet<(Record, End)>,
    /// Which transfer a job is.
    ids: HashMap<task::Id, String>,
    list: watch::Sender<Vec<Transfer>>,
    /// Who waits until nothing is under way.
    resting: Option<oneshot::Sender<()>>,
}

/// A transfer, under way or not.
#[derive(Debug)]
struct Item {
    record: Record,
    state: TransferState,
    received: u64,
    model: Option<String>,
    speed: Speed,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    live: Live,
    stop: watch::Sender<bool>,
    /// It goes when it has stopped, and whoever wanted that is told.
    remove: Option<oneshot::Sender<Result<(), Problem>>>,
}

impl Item {
    fn new(record: Record, state: TransferState, received: u64) -> Self {
        Self { record, state, received, model: None, speed: Speed::default(), running: None }
    }

    /// It is shown as what its job does, unless the job was told to stop.
    fn shown(&self) -> Transfer {
        let (record, shown) = (&self.record, self.running.as_ref().map(|running| running.live.lock().clone()));
        let is_stopping = self.running.as_ref().is_some_and(|running| *running.stop.borrow());
        let state = shown.as_ref().filter(|_| !is_stopping).map_or(self.state, |shown| shown.state);
        let received = shown.as_ref().map_or(self.received, |shown| shown.received);
        let total = shown.as_ref().and_then(|shown| shown.total).or_else(|| record.total());
        let is_moving = state == TransferState::Running;
        Transfer {
            id: record.id.clone(),
            kind: record.kind,
            title: record.title.clone(),
            catalogue_id: record.catalogue_id.clone(),
            state,
            received_bytes: received,
            total_bytes: total,
            bytes_per_second: self.speed.bytes_per_second().filter(|_| is_moving),
            seconds_left: total
                .and_then(|total| self.speed.seconds_left(total.saturating_sub(received)))
                .filter(|_| is_moving),
            hash: shown.as_ref().map_or_else(|| record.hash(), |shown| shown.hash),
            model: self.model.clone(),
            problem: shown.filter(|_| !is_stopping).map_or_else(|| record.problem.clone(), |shown| shown.problem),
        }
    }
}

impl Queue {
    pub(super) fn new(
        folder: Folder,
        hosts: Result<SharedHosts, Problem>,
        options: Options,
        list: watch::Sender<Vec<Transfer>>,
    ) -> Self {
        let left = folder.left_behind().into_iter().map(|record| {
            let state = if record.problem.is_some() { TransferState::Failed } else { TransferState::Paused };
            let received = folder.received_of_all(&record);
            Item::new(record, state, received)
        });
        let items = left.collect();
        let task =
            Self { folder, hosts, options, items, jobs: JoinSet::new(), ids: HashMap::new(), list, resting: None };
        task.tell();
        task
    }

    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut tick = tokio::time::interval(TELL_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_new = false;
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                Some(ended) = self.jobs.join_next_with_id() => self.end(ended),
                _ = tick.tick(), if is_new || !self.jobs.is_empty() => {
                    self.note_speeds();
                    self.tell();
                    is_new = false;
                    continue;
                }
            }
            self.start_next();
            is_new = true;
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add(record, answer) => drop(answer.send(self.add(*record))),
            Command::Change(id, change, answer) => self.change(&id, change, answer),
            Command::Rest(done) => {
                self.resting = Some(done);
                for item in &mut self.items {
                    pause(item);
                }
            }
        }
    }

    fn add(&mut self, record: Record) -> Result<String, Problem> {
        let id = record.id.clone();
        if let Some(at) = self.items.iter().position(|item| item.record.id == id) {
            let item = &mut self.items[at];
            if item.running.is_some() || (item.state != TransferState::Done && item.record.is_of(&record)) {
                resume(item);
                return Ok(id);
            }
            // It is done, or what it was begun for is no longer what is wanted.
            self.remove(at)?;
        }
        for file in &record.files {
            if self.folder.place(file).exists() {
                return Err(problems::exists(&file.name));
            }
            let has_it = |item: &Item| item.record.files.iter().any(|other| other.name == file.name);
            if self.items.iter().any(|item| item.state != TransferState::Done && has_it(item)) {
                let message = format!("“{}” is being brought in from somewhere else. End that first.", file.name);
                return Err(Problem::new(ProblemCode::ModelExists, message));
            }
        }
        self.folder.save(&record)?;
        self.items.push(Item::new(record, TransferState::Queued, 0));
        Ok(id)
    }

    fn change(&mut self, id: &str, change: Change, answer: oneshot::Sender<Result<(), Problem>>) {
        let Some(at) = self.items.iter().position(|item| item.record.id == id) else {
            let message = format!("There is no transfer “{id}” any more.");
            drop(answer.send(Err(Problem::new(ProblemCode::ModelMissing, message))));
            return;
        };
        let item = &mut self.items[at];
        match change {
            Change::Pause => pause(item),
            Change::Resume => resume(item),
            Change::Remove if item.running.is_some() => {
                pause(item);
                if let Some(running) = &mut item.running {
                    running.remove = Some(answer);
                }
                return;
            }
            Change::Remove => {
                let removed = self.remove(at);
                drop(answer.send(removed));
                return;
            }
        }
        drop(answer.send(Ok(())));
    }

    /// Removes a transfer that is not under way, with what is here of it.
    fn remove(&mut self, at: usize) -> Result<(), Problem> {
        let item = &self.items[at];
        if item.state != TransferState::Done {
            let _claim = self.folder.claim(&item.record.id)?;
            self.folder.remove(&item.record)?;
        }
        self.items.remove(at);
        Ok(())
    }

    /// Starts what may be started, the oldest first.
    fn start_next(&mut self) {
        while self.jobs.len() < self.options.at_once.max(1) && self.resting.is_none() {
            let is_next = |item: &&mut Item| item.state == TransferState::Queued && item.running.is_none();
            let Some(item) = self.items.iter_mut().find(is_next) else { break };
            let (stop, stopped) = Stop::new();
            let live = Live::default();
            live.lock().received = item.received;
            item.state = TransferState::Running;
            item.record.problem = None;
            item.speed.reset();
            item.running = Some(Running { live: live.clone(), stop, remove: None });
            let job = Job {
                folder: self.folder.clone(),
                hosts: self.hosts.clone(),
                options: self.options.clone(),
                record: item.record.clone(),
                live,
                stop: stopped,
            };
            let handle = self.jobs.spawn(job.run());
            self.ids.insert(handle.id(), item.record.id.clone());
        }
        if self.jobs.is_empty()
            && let Some(done) = self.resting.take()
        {
            let _ = done.send(());
        }
    }

    fn end(&mut self, ended: Result<(task::Id, (Record, End)), JoinError>) {
        let (job, ended) = match ended {
            Ok((job, ended)) => (job, Some(ended)),
            Err(error) => {
                tracing::error!(%error, "a transfer's task broke down");
                (error.id(), None)
            }
        };
        let Some(id) = self.ids.remove(&job) else { return };
        let Some(at) = self.items.iter().position(|item| item.record.id == id) else { return };
        let item = &mut self.items[at];
        let running = item.running.take();
        let (record, end) = ended.unwrap_or_else(|| {
            let message = "Bringing this model in failed by a fault of Workly. Try again, and report it.";
            let problem = Problem::new(ProblemCode::DownloadFailed, message);
            (self.folder.load(&id).unwrap_or_else(|| item.record.clone()), End::Failed(problem))
        });
        item.record = record;
        item.received = self.folder.received_of_all(&item.record);
        match end {
            End::Done(path) => {
                item.state = TransferState::Done;
                item.received = item.record.total().unwrap_or(item.received);
                item.model = Some(path.to_string_lossy().into_owned());
                tracing::info!(id, path = %path.display(), "a model came in");
            }
            // It may have been wanted again meanwhile.
            End::Stopped if item.state == TransferState::Queued => {}
            End::Stopped => item.state = TransferState::Paused,
            End::Failed(problem) => {
                tracing::info!(id, code = %problem.code.name(), %problem, "a transfer failed");
                item.state = TransferState::Failed;
                item.record.problem = Some(problem);
                // So that it is still known after a restart. One that another program works on is not ours to write.
                if let Ok(_claim) = self.folder.claim(&id)
                    && let Err(problem) = self.folder.save(&item.record)
                {
                    tracing::warn!(%problem, "why a transfer failed is not kept");
                }
            }
        }
        if let Some(answer) = running.and_then(|running| running.remove) {
            let removed = self.remove(at);
            let _ = answer.send(removed);
        }
    }

    fn note_speeds(&mut self) {
        let now = Instant::now();
        for item in &mut self.items {
            if let Some(running) = &item.running {
                let received = running.live.lock().received;
                item.speed.note(now, received);
            }
        }
    }

    fn tell(&self) {
        let list: Vec<Transfer> = self.items.iter().map(Item::shown).collect();
        self.list.send_if_modified(|told| {
            let differs = *told != list;
            *told = list;
            differs
        });
    }
}

fn pause(item: &mut Item) {
    if let Some(running) = &item.running {
        running.stop.send_replace(true);
        item.received = running.live.lock().received;
        item.state = TransferState::Paused;
    } else if item.state == TransferState::Queued {
        item.state = TransferState::Paused;
    }
}

fn resume(item: &mut Item) {
    let is_stopping = item.running.as_ref().is_some_and(|running| *running.stop.borrow());
    if matches!(item.state, TransferState::Paused | TransferState::Failed) && (item.running.is_none() || is_stopping) {
        item.state = TransferState::Queued;
        item.record.problem = None;
    }
}
