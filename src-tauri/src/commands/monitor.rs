//! Watching the GPU.
#![expect(clippy::needless_pass_by_value, reason = "the shape in which Tauri passes arguments")]

use std::sync::{Arc, PoisonError};

use tauri::ipc::Channel;
use tauri::{AppHandle, Manager as _, State};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::reading::ProcessUse;
use workly_runtime::monitor::{Monitor, to_csv};
use workly_wire::monitor::{Demo, DemoName, MonitorUpdate};

use crate::demo;
use crate::error::Answered;
use crate::feeds::decisions::Decisions;
use crate::feeds::monitor_feed::MonitorFeed;
use crate::settings::keeper::SettingsKeeper;

/// Sends readings through the channel until told otherwise; the first message is all there is so far.
#[tauri::command]
pub(crate) fn watch_monitor(
    feed: State<'_, MonitorFeed>,
    monitor: State<'_, Arc<Monitor>>,
    decisions: State<'_, Arc<Decisions>>,
    keeper: State<'_, Arc<SettingsKeeper>>,
    updates: Channel<MonitorUpdate>,
) {
    feed.start(Arc::clone(&monitor), Arc::clone(&decisions), Arc::clone(&keeper), updates);
}

/// The page is not seen any more.
#[tauri::command]
pub(crate) fn unwatch_monitor(feed: State<'_, MonitorFeed>) {
    feed.stop();
}

/// The processes on the card, largest first.
#[tauri::command]
pub(crate) async fn gpu_processes(monitor: State<'_, Arc<Monitor>>) -> Answered<Vec<ProcessUse>> {
    let mut processes = monitor.processes().await.map_err(|error| {
        let message = "The programs on the GPU could not be listed.";
        Problem::new(ProblemCode::GpuUnreadable, message).with_details(error.to_string())
    })?;
    processes.sort_by_key(|process| std::cmp::Reverse(process.vram_bytes));
    Ok(processes)
}

/// Writes the last hour into a CSV file in the user's folder of downloads; returns its path.
#[tauri::command(async)]
pub(crate) fn export_gpu_history(
    app: AppHandle,
    feed: State<'_, MonitorFeed>,
    monitor: State<'_, Arc<Monitor>>,
    keeper: State<'_, Arc<SettingsKeeper>>,
) -> Answered<String> {
    let folder = app.path().download_dir().ok().filter(|folder| folder.is_dir()).unwrap_or_else(|| keeper.folder());
    let csv = to_csv(&monitor.last_hour());
    let path = workly_files::places::write_new(&folder, "workly-gpu", "csv", csv.as_bytes()).map_err(|error| {
        let message = format!("The file could not be written to {}.", folder.display());
        Problem::new(ProblemCode::NotSaved, message).with_details(error.to_string())
    })?;
    let text = path.display().to_string();
    *feed.exported.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
    Ok(text)
}

/// Shows the file exported last in the system's file manager.
#[tauri::command(async)]
pub(crate) fn show_export(feed: State<'_, MonitorFeed>) -> Answered<()> {
    let path = feed.exported.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(path) = path else { return Ok(()) };
    tauri_plugin_opener::reveal_item_in_dir(&path).map_err(|error| {
        let message = format!("The folder could not be opened. The file is {}.", path.display());
        Problem::new(ProblemCode::LinkRefused, message).with_details(error.to_string())
    })
}

/// A recorded load, played against the policy with the thresholds in force.
#[tauri::command(async)]
pub(crate) fn play_demo(keeper: State<'_, Arc<SettingsKeeper>>, name: DemoName) -> Answered<Demo> {
    let thresholds = keeper.subscribe().borrow().gpu_monitoring.thresholds;
    demo::play(name, thresholds, keeper.language()).map_err(|error| {
        Problem::new(ProblemCode::Protocol, "The recording that comes with Workly cannot be played.")
            .with_details(error.to_string())
    })
}
