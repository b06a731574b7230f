//! The model manager: one task owns the worker and the model; everyone else sends it commands and watches its snapshot.
//!
//! Four rooms and a task: `answers` (the life of an answer), `workers` (starting and keeping them), `switching` (the move
//! from one to the next), `policy_driver` (what the readings mean), and `task`, which receives, dispatches and publishes.
//! Not here: what an answer is made of (the worker's business), and when to switch (`workly_core::policy`).

mod answers;
mod policy_driver;
mod switching;
mod task;
mod told;
mod waiting;
mod workers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use workly_core::problem::Problem;
use workly_core::profile::Profile;
use workly_core::why::Why;
pub use workly_engine::worker::Patience;
use workly_library::experience::Experience;
use workly_wire::answer::{AnswerEvent, AnswerRequest};
use workly_wire::model::ModelSnapshot;
use workly_wire::monitor::DecisionEntry;

use crate::launcher::Launcher;
pub use crate::model_settings::ModelSettings;
use crate::monitor::Monitor;
pub use answers::random_seed;
use answers::{Answer, AnswerId};
use task::{Order, Task};
pub use workers::card;
pub(crate) use workers::startup::unexpected;
use workers::startup::{Progress, WorkerContext};

/// The handle of the manager's task. When the last handle is gone the task ends, and the worker with it.
#[derive(Debug, Clone)]
pub struct ModelManager {
    orders: mpsc::UnboundedSender<Order>,
    snapshot: watch::Receiver<ModelSnapshot>,
    decisions: broadcast::Sender<DecisionEntry>,
    next_answer: Arc<AtomicU64>,
}

/// An answer being written. Dropping it stops the answer.
#[derive(Debug)]
pub struct AnswerStream {
    id: AnswerId,
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::UnboundedReceiver<AnswerEvent>,
}

impl AnswerStream {
    /// The next event; `None` after the last one.
    pub async fn next(&mut self) -> Option<AnswerEvent> {
        self.events.recv().await
    }

    /// Stops this answer and no other; its last event has the figures.
    pub fn stop(&self) {
        let _ = self.orders.send(Order::Stop(self.id));
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        // Nothing happens to one that has ended.
        let _ = self.orders.send(Order::HungUp(self.id));
    }
}

impl ModelManager {
    /// Starts the manager in the current tokio runtime. No model is loaded yet.
    ///
    /// `worker_program` is the program that is started as `worker`; `monitor` watches the GPU for it, from a load on
    /// until the model is gone; `data_dir` is where it keeps what it has learned of models and cards, `None`: nowhere.
    pub fn start(
        worker_program: PathBuf,
        settings: ModelSettings,
        patience: Patience,
        monitor: Arc<Monitor>,
        data_dir: Option<&Path>,
    ) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let (publish, snapshot) = watch::channel(ModelSnapshot::default());
        let decisions = broadcast::Sender::new(64);
        let (progress, _) = watch::channel(Progress::default());
        let launcher = Launcher::new(worker_program, patience);
        let experience = Experience::new(data_dir);
        let context = WorkerContext { launcher, settings, experience, monitor, progress };
        tokio::spawn(Task::new(context, received, publish, decisions.clone()).run());
        Self { orders, snapshot, decisions, next_answer: Arc::default() }
    }

    /// Watches what the manager is doing.
    pub fn snapshot(&self) -> watch::Receiver<ModelSnapshot> {
        self.snapshot.clone()
    }

    /// Follows where the model goes: its first place, and every move from then on, each once it was made.
    pub fn decisions(&self) -> broadcast::Receiver<DecisionEntry> {
        self.decisions.subscribe()
    }

    /// Loads the model, if it is not loaded already.
    ///
    /// # Errors
    ///
    /// Why it could not be loaded.
    pub async fn load(&self) -> Result<(), Problem> {
        let (done, loaded) = oneshot::channel();
        let _ = self.orders.send(Order::Load { done });
        loaded.await.unwrap_or_else(|_| Err(task::gone()))
    }

    /// Asks for an answer. It waits its turn behind others; the model is loaded if it must be.
    pub fn answer(&self, request: AnswerRequest) -> AnswerStream {
        let (sender, events) = mpsc::unbounded_channel();
        let id = self.next_answer.fetch_add(1, Ordering::Relaxed);
        let answer = Box::new(Answer::new(request, sender));
        if let Err(mpsc::error::SendError(Order::Answer(_, mut answer))) = self.orders.send(Order::Answer(id, answer)) {
            answer.fail(task::gone());
        }
        AnswerStream { id, orders: self.orders.clone(), events }
    }

    /// Stops the answer being written and those that wait.
    pub fn stop(&self) {
        let _ = self.orders.send(Order::StopAll);
    }

    /// Moves the model to another profile, taking the answer being written along. A switch under way gives way to this
    /// one.
    pub fn switch(&self, to: Profile, why: impl Into<Why>) {
        let _ = self.orders.send(Order::Switch { to, why: why.into() });
    }

    /// Replaces the settings. A profile choice, auto-switching, an override and thresholds act at once; another model or
    /// context takes the place of the loaded one.
    pub fn configure(&self, settings: ModelSettings) {
        let _ = self.orders.send(Order::Configure(Box::new(settings)));
    }

    /// Ends the worker and gives all memory back; the next message loads the model again.
    pub fn unload(&self) {
        let _ = self.orders.send(Order::Unload);
    }

    /// Ends the worker and the task; returns when the worker is gone.
    pub async fn shut_down(&self) {
        let (done, gone) = oneshot::channel();
        let _ = self.orders.send(Order::ShutDown { done });
        let _ = gone.await;
    }
}
