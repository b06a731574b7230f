//! The monitor: watches the GPU, and tells everyone who asks what it sees.
//!
//! One task decides when to look; the looking itself happens on a thread of `workly-gpu`. The task publishes a
//! [`Snapshot`] after each look, keeps the last hour for charts, and writes `gpu-history.csv` where that is wished. It
//! draws no conclusions: what to do about a reading is the policy's.

mod cadence;
mod export;
mod history;
mod inputs;
mod ring;
mod snapshot;
mod task;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use workly_core::device::{Device, DeviceWish};
use workly_core::reading::ProcessUse;
use workly_gpu::{ProbeThread, Watcher};

pub use export::to_csv;
pub use inputs::{Activity, MonitorSettings};
pub use ring::Point;
pub use snapshot::{Snapshot, Stats};
use workly_gpu::WorkerDeviceList;
pub use workly_gpu::{ProbeError, Sources};

use inputs::Inputs;
use ring::Ring;
use task::Task;

/// How long a driver may take to answer before what was read last counts as stale.
pub const STALE_AFTER: Duration = Duration::from_secs(5);

/// The running monitor. Dropping it ends the task and, once the driver returns, the thread.
#[derive(Debug)]
pub struct Monitor {
    inputs: Arc<watch::Sender<Inputs>>,
    snapshot: watch::Receiver<Snapshot>,
    questions: mpsc::Sender<Question>,
    worker_devices: WorkerDeviceList,
    ring: Arc<Mutex<Ring>>,
    started: Instant,
    task: JoinHandle<()>,
}

/// Somebody wants the processes on the card.
type Question = oneshot::Sender<Result<Vec<ProcessUse>, ProbeError>>;

impl Monitor {
    /// Starts watching the cards of these sources. Nothing is read before a model is loaded or somebody looks.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(sources: Sources, settings: MonitorSettings) -> io::Result<Self> {
        let worker_devices = sources.worker_devices.clone();
        let mut monitor = Self::start_with(move || sources.watcher(), settings, Some(STALE_AFTER))?;
        monitor.worker_devices = worker_devices;
        Ok(monitor)
    }

    /// Starts watching with a watcher of the caller's making, and its own idea of how long a driver may take; `None`:
    /// for ever, which a test with paused time needs, since a thread's work takes none of that time.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start_with(
        make: impl FnOnce() -> Watcher + Send + 'static,
        settings: MonitorSettings,
        stale_after: Option<Duration>,
    ) -> io::Result<Self> {
        let thread = ProbeThread::spawn(make)?;
        let (inputs, inputs_seen) = watch::channel(Inputs::new(settings));
        let (publisher, snapshot) = watch::channel(Snapshot::default());
        let (questions, asked) = mpsc::channel(8);
        let ring = Arc::new(Mutex::new(Ring::new()));
        let started = Instant::now();
        let task = Task::new(thread, inputs_seen, publisher, asked, Arc::clone(&ring), started, stale_after);
        let task = tokio::spawn(task.run());
        let worker_devices = WorkerDeviceList::default();
        Ok(Self { inputs: Arc::new(inputs), snapshot, questions, worker_devices, ring, started, task })
    }

    /// What was seen last.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// Follows the snapshots. One that is slow sees the latest and may miss others.
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.clone()
    }

    /// The figures that matter, as the seed's `get_stats()` gives them; `None` while nothing is known.
    pub fn stats(&self) -> Option<Stats> {
        self.snapshot.borrow().stats()
    }

    /// The last hour's full readings, oldest first.
    pub fn last_hour(&self) -> Vec<Point> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).points(self.now_ms())
    }

    /// Milliseconds on the clock that readings are stamped with; the `now` of the policy.
    pub fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Changes the settings while it runs.
    pub fn set_settings(&self, settings: MonitorSettings) {
        self.inputs.send_if_modified(|inputs| replace(&mut inputs.settings, settings));
    }

    /// Says what the model is doing; how closely the card is watched follows from it.
    pub fn set_activity(&self, activity: Activity) {
        self.inputs.send_if_modified(|inputs| replace(&mut inputs.activity, activity));
    }

    /// What the model is doing, as it was said last.
    pub fn activity(&self) -> Activity {
        self.inputs.borrow().activity
    }

    /// Says which devices a GPU worker offers and which of them the model is placed on: that card is watched. Where no
    /// probe knows it the figures in the list are the readings, for 10 s.
    pub fn set_backend_devices(&self, devices: Vec<Device>, placed_on: &Device) {
        let wish = if placed_on.is_software() {
            // It stands for no card: whatever there is may be watched.
            DeviceWish::AnyVisible
        } else {
            DeviceWish::Named(placed_on.pci_address.clone().unwrap_or_else(|| placed_on.name.clone()))
        };
        self.worker_devices.set(devices.clone());
        // What changes from one report to the next is no reason to choose anew.
        let devices = devices.into_iter().map(|device| Device { memory_free: device.memory_total, ..device }).collect();
        self.inputs.send_if_modified(|inputs| {
            let is_new = replace(&mut inputs.backend, devices);
            replace(&mut inputs.placed_on, Some(wish)) || is_new
        });
    }

    /// A full reading made now, whoever looks or not; the last one where the driver takes longer than `patience`.
    ///
    /// Readings go on only while a model is loaded or somebody looks.
    pub async fn read_now(&self, patience: Duration) -> Snapshot {
        let _look = self.look();
        let mut snapshots = self.subscribe();
        let before = snapshots.borrow_and_update().sequence;
        self.read_soon();
        let read = snapshots.wait_for(|snapshot| snapshot.sequence > before && snapshot.full);
        let _ = tokio::time::timeout(patience, read).await;
        self.snapshot()
    }

    /// A full reading made soon, without waiting for it.
    pub fn read_soon(&self) {
        self.inputs.send_modify(|inputs| inputs.wanted += 1);
    }

    /// Full readings at the interval for as long as the result is held, model or not.
    pub fn look(&self) -> Look {
        self.inputs.send_modify(|inputs| inputs.viewers += 1);
        Look { inputs: Arc::clone(&self.inputs) }
    }

    /// The processes on the card. Slow for the driver: only for a decision, or for somebody who opened the list.
    ///
    /// # Errors
    ///
    /// When there is no card, it does not tell, or the driver does not answer within 5 s.
    pub async fn processes(&self) -> Result<Vec<ProcessUse>, ProbeError> {
        let (question, answer) = oneshot::channel();
        let asked = async {
            self.questions.send(question).await.ok()?;
            answer.await.ok()
        };
        let answered = tokio::time::timeout(STALE_AFTER, asked).await;
        answered.ok().flatten().unwrap_or(Err(ProbeError::Blocked))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn replace<T: PartialEq>(place: &mut T, value: T) -> bool {
    let differs = *place != value;
    *place = value;
    differs
}

/// Somebody who looks at the monitor. Dropping it ends the look.
#[derive(Debug)]
pub struct Look {
    inputs: Arc<watch::Sender<Inputs>>,
}

impl Drop for Look {
    fn drop(&mut self) {
        self.inputs.send_modify(|inputs| inputs.viewers -= 1);
    }
}
