//! What the monitor page is told while it is seen. A page that is not seen costs nothing: no look, no message.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tauri::async_runtime::JoinHandle;
use tauri::ipc::Channel;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use workly_core::device::Device;
use workly_core::settings::GpuMonitoring;
use workly_runtime::monitor::{Monitor, ProbeError, Snapshot};
use workly_wire::monitor::{DecisionView, GpuCard, GpuPast, GpuProblem, GpuProblemKind, GpuView, MonitorUpdate};
use workly_wire::words::Language;

use crate::clock::unix_ms;
use crate::feeds::decisions::Decisions;
use crate::settings::keeper::SettingsKeeper;

/// Least time between two messages about readings that are not full.
const CALM: Duration = Duration::from_millis(900);

/// The one page that may be looking, and the file it has written last.
#[derive(Debug, Default)]
pub(crate) struct MonitorFeed {
    running: Mutex<Option<JoinHandle<()>>>,
    pub(crate) exported: Mutex<Option<PathBuf>>,
}

impl MonitorFeed {
    /// Sends what the page needs until the page goes, or another comes.
    pub(crate) fn start(
        &self,
        monitor: Arc<Monitor>,
        decisions: Arc<Decisions>,
        keeper: Arc<SettingsKeeper>,
        updates: Channel<MonitorUpdate>,
    ) {
        let task = tauri::async_runtime::spawn(async move { feed(&monitor, &decisions, &keeper, &updates).await });
        self.replace(Some(task));
    }

    /// The page is not seen any more.
    pub(crate) fn stop(&self) {
        self.replace(None);
    }

    fn replace(&self, task: Option<JoinHandle<()>>) {
        let before = std::mem::replace(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner), task);
        if let Some(before) = before {
            before.abort();
        }
    }
}

async fn feed(monitor: &Monitor, decisions: &Decisions, keeper: &SettingsKeeper, updates: &Channel<MonitorUpdate>) {
    let (mut snapshots, mut switches, mut settings) = (monitor.subscribe(), decisions.subscribe(), keeper.subscribe());
    let _look = monitor.look();
    let mut shown = snapshots.borrow_and_update().clone();
    let mut monitoring = settings.borrow_and_update().gpu_monitoring.clone();
    let mut language = keeper.language();
    let mut view = view_of(&shown, &monitoring);
    if updates.send(start(monitor, decisions, view.clone(), language)).is_err() {
        return;
    }
    let mut told = Instant::now();
    loop {
        let update = tokio::select! {
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return;
                }
                let next = snapshots.borrow_and_update().clone();
                let same = next.state == shown.state && next.problem == shown.problem && next.stale == shown.stale;
                if !next.full && same && told.elapsed() < CALM {
                    continue;
                }
                shown = next;
                let before = std::mem::replace(&mut view, view_of(&shown, &monitoring));
                if shown.shown.is_none() && is_but_later(&before, &view) && monitor.last_hour().is_empty() {
                    // Still no card, and no curve that moves on.
                    continue;
                }
                told = Instant::now();
                let added = if shown.full { point_of(&shown, monitor) } else { None };
                MonitorUpdate::Reading { view: Box::new(view.clone()), added }
            }
            changed = settings.changed() => {
                if changed.is_err() {
                    return;
                }
                monitoring = settings.borrow_and_update().gpu_monitoring.clone();
                view = view_of(&shown, &monitoring);
                if std::mem::replace(&mut language, keeper.language()) == language {
                    MonitorUpdate::Reading { view: Box::new(view.clone()), added: None }
                } else {
                    start(monitor, decisions, view.clone(), language)
                }
            }
            switched = switches.recv() => match switched {
                Ok(entry) => MonitorUpdate::Switched { entry: DecisionView::new(entry, language) },
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
        };
        if updates.send(update).is_err() {
            return;
        }
    }
}

/// Whether it says the same of another moment.
fn is_but_later(before: &GpuView, now: &GpuView) -> bool {
    GpuView { unix_ms: now.unix_ms, ..before.clone() } == *now
}

/// All there is so far.
fn start(monitor: &Monitor, decisions: &Decisions, view: GpuView, language: Language) -> MonitorUpdate {
    let switches = decisions.all().into_iter().map(|entry| DecisionView::new(entry, language)).collect();
    MonitorUpdate::Start { view: Box::new(view), past: past_of(monitor), switches }
}

/// The snapshot as the window shows it, with the state that the present thresholds give it.
pub(crate) fn view_of(snapshot: &Snapshot, monitoring: &GpuMonitoring) -> GpuView {
    let reading = snapshot.shown.filter(|reading| reading.vram_total > 0);
    GpuView {
        unix_ms: unix_ms(snapshot.time),
        gpu: snapshot.gpu.as_deref().map(card_of),
        vram_total: reading.map(|reading| reading.vram_total),
        vram_used: reading.map(|reading| reading.vram_used),
        own_bytes: snapshot.own_bytes,
        gpu_percent: reading.and_then(|reading| reading.utilization()),
        temperature_c: reading.and_then(|reading| reading.temperature_c),
        power_w: reading.and_then(|reading| reading.power_w),
        state: reading.map(|reading| workly_core::policy::classify(&reading, &monitoring.thresholds)),
        thresholds: monitoring.thresholds,
        interval_seconds: monitoring.interval_seconds,
        stale: snapshot.stale,
        asleep: snapshot.asleep,
        waiting: snapshot.sequence == 0,
        problem: snapshot.problem.as_ref().map(problem_of),
    }
}

/// A card as the window names it.
pub(crate) fn card_of(device: &Device) -> GpuCard {
    let choose_by = device.pci_address.clone().unwrap_or_else(|| device.name.clone());
    GpuCard { name: device.description.clone(), choose_by, vram_total: device.memory_total }
}

/// Why the GPU cannot be read, as the window says it.
pub(crate) fn problem_of(error: &ProbeError) -> GpuProblem {
    let kind = match error {
        ProbeError::NoGpu { .. } | ProbeError::LibraryMissing { .. } => GpuProblemKind::NoGpu,
        ProbeError::LibraryUnusable { .. } | ProbeError::DriverNotLoaded | ProbeError::VersionMismatch => {
            GpuProblemKind::Driver
        }
        ProbeError::NoPermission => GpuProblemKind::NoPermission,
        ProbeError::NotSupported | ProbeError::Unreadable { .. } => GpuProblemKind::NotSupported,
        ProbeError::Lost | ProbeError::ResetRequired | ProbeError::Uninitialized | ProbeError::Panicked { .. } => {
            GpuProblemKind::Lost
        }
        ProbeError::Transient { .. } | ProbeError::UnknownCode(_) | ProbeError::Blocked => GpuProblemKind::Silent,
    };
    GpuProblem { kind, detail: error.to_string() }
}

/// The last hour, for the chart.
pub(crate) fn past_of(monitor: &Monitor) -> GpuPast {
    let mut past = GpuPast::default();
    for point in monitor.last_hour() {
        let memory = (point.vram_total, point.vram_used, point.own_bytes);
        past.push(point.unix_ms, memory, point.gpu_percent, point.profile);
    }
    past
}

/// The reading just taken, as the chart takes it.
fn point_of(snapshot: &Snapshot, monitor: &Monitor) -> Option<GpuPast> {
    let reading = snapshot.shown?;
    let mut past = GpuPast::default();
    let profile = monitor.activity().profile;
    let memory = (reading.vram_total, reading.vram_used, snapshot.own_bytes);
    past.push(unix_ms(snapshot.time), memory, reading.utilization(), profile);
    (!past.unix_ms.is_empty()).then_some(past)
}
