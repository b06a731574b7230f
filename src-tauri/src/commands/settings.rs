//! Settings: read, changed, tried out, reported.
#![expect(clippy::needless_pass_by_value, reason = "the shape in which Tauri passes arguments")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tauri::{AppHandle, Manager as _, State};
use workly_core::policy::Config;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::settings::OverrideWish;
use workly_core::simulate::{Footprints, Past, SimulatedPolicy, Trace, simulate};
use workly_core::thresholds::Thresholds;
use workly_runtime::manager::ModelManager;
use workly_runtime::monitor::Monitor;
use workly_wire::monitor::GpuCard;
use workly_wire::settings::{ReasonCount, SettingsSnapshot, ThresholdsPreview};

use crate::error::Answered;
use crate::feeds::decisions::Decisions;
use crate::feeds::monitor_feed;
use crate::settings::keeper::SettingsKeeper;
use crate::{diagnostics, logging};

/// Longest wait for the first look at the cards.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// Lines of the log in a report.
const LOG_LINES: usize = 100;

/// The settings as they are now.
#[tauri::command(async)]
pub(crate) fn settings_snapshot(keeper: State<'_, Arc<SettingsKeeper>>) -> SettingsSnapshot {
    keeper.snapshot()
}

/// Sets one value by its key; refused with the reason where it cannot be used.
#[tauri::command(async)]
pub(crate) fn set_setting(
    app: AppHandle,
    keeper: State<'_, Arc<SettingsKeeper>>,
    key: &str,
    value: Value,
) -> Answered<SettingsSnapshot> {
    keeper.set(&app, key, value)
}

/// Gives one value its default, or all of them.
#[tauri::command(async)]
pub(crate) fn reset_settings(
    app: AppHandle,
    keeper: State<'_, Arc<SettingsKeeper>>,
    key: Option<&str>,
) -> Answered<SettingsSnapshot> {
    keeper.reset(&app, key)
}

/// The user has read the notices.
#[tauri::command(async)]
pub(crate) fn dismiss_settings_notices(app: AppHandle, keeper: State<'_, Arc<SettingsKeeper>>) -> SettingsSnapshot {
    keeper.dismiss_notices(&app)
}

/// Holds the GPU or gives it up, for some minutes or until it is cancelled; no wish cancels.
#[tauri::command(async)]
pub(crate) fn set_override(
    app: AppHandle,
    keeper: State<'_, Arc<SettingsKeeper>>,
    wish: Option<OverrideWish>,
    minutes: Option<u32>,
) -> Answered<SettingsSnapshot> {
    keeper.set_override(&app, wish, minutes.map(|minutes| Duration::from_mins(minutes.into())))
}

/// What these thresholds would have done with the last hour.
#[tauri::command(async)]
pub(crate) fn preview_thresholds(
    monitor: State<'_, Arc<Monitor>>,
    manager: State<'_, ModelManager>,
    decisions: State<'_, Arc<Decisions>>,
    keeper: State<'_, Arc<SettingsKeeper>>,
    thresholds: Thresholds,
) -> Answered<ThresholdsPreview> {
    if let Err(faults) = thresholds.validate() {
        let sentences: Vec<_> = faults.iter().map(ToString::to_string).collect();
        return Err(Problem::new(ProblemCode::InvalidSetting, format!("{}.", sentences.join("; "))));
    }
    let past: Vec<Past> = (monitor.last_hour().into_iter())
        .map(|point| Past {
            time_ms: point.time_ms,
            vram_total: point.vram_total,
            vram_used: point.vram_used,
            own_bytes: point.own_bytes,
            gpu_percent: point.gpu_percent,
            profile: point.profile,
            generating: decisions.was_answering(point.unix_ms),
        })
        .collect();
    let plan = manager.snapshot().borrow().plan.filter(|plan| plan.performance.footprint > 0);
    let own = plan.map(|plan| Footprints {
        performance_mib: plan.performance.footprint >> 20,
        balanced_mib: plan.balanced.footprint >> 20,
    });
    let in_force = keeper.subscribe().borrow().gpu_monitoring.thresholds;
    Ok(preview(&past, own, thresholds, in_force))
}

fn preview(past: &[Past], own: Option<Footprints>, tried: Thresholds, in_force: Thresholds) -> ThresholdsPreview {
    let usual = || Footprints::usual(past.iter().map(|reading| reading.vram_total).max().unwrap_or(0));
    let footprints = own.unwrap_or_else(usual);
    let mut preview = ThresholdsPreview {
        minutes: 0,
        switches: 0,
        switches_now: 0,
        reasons: Vec::new(),
        for_this_model: own.is_some(),
    };
    let Some(trace) = Trace::of_the_past(past, &footprints) else { return preview };
    let play = |thresholds| {
        let config = Config { thresholds, ..Config::default() };
        simulate(&trace, &footprints, SimulatedPolicy::Workly, &config).switches
    };
    let switches = play(tried);
    preview.minutes = (trace.rows().len() as f64 / 120.0).ceil().min(60.0) as u32;
    preview.switches = switches.len() as u32;
    preview.switches_now = play(in_force).len() as u32;
    for reason in switches.iter().filter_map(|switch| serde_json::from_value(switch.reason.into()).ok()) {
        match preview.reasons.iter_mut().find(|counted| counted.reason == reason) {
            Some(counted) => counted.count += 1,
            None => preview.reasons.push(ReasonCount { reason, count: 1 }),
        }
    }
    preview
}

/// The cards there are, looked for now if nobody has yet.
#[tauri::command]
pub(crate) async fn list_gpus(monitor: State<'_, Arc<Monitor>>) -> Answered<Vec<GpuCard>> {
    let _look = monitor.look();
    let mut snapshots = monitor.subscribe();
    // A driver that does not answer in time leaves the list as it is.
    let _ = tokio::time::timeout(FIRST_LOOK, snapshots.wait_for(|snapshot| snapshot.sequence > 0)).await;
    Ok(monitor.snapshot().gpus.iter().map(monitor_feed::card_of).collect())
}

/// A text for a bug report.
#[tauri::command(async)]
pub(crate) fn diagnostics(
    app: AppHandle,
    monitor: State<'_, Arc<Monitor>>,
    manager: State<'_, ModelManager>,
    decisions: State<'_, Arc<Decisions>>,
    keeper: State<'_, Arc<SettingsKeeper>>,
) -> String {
    let settings = keeper.snapshot();
    let snapshot = monitor.snapshot();
    let gpus: Vec<_> = snapshot.gpus.iter().map(monitor_feed::card_of).collect();
    let log = logging::folder().map(|folder| logging::last_lines(&folder, LOG_LINES)).unwrap_or_default();
    let facts = diagnostics::Facts {
        webview: tauri::webview_version().unwrap_or_else(|error| error.to_string()),
        gpu: &monitor_feed::view_of(&snapshot, &settings.values.gpu_monitoring),
        gpus: &gpus,
        model: &manager.snapshot().borrow().clone(),
        settings: &serde_json::to_value(&settings.values).unwrap_or_default(),
        notices: settings.notices.iter().map(ToString::to_string).collect(),
        switches: &decisions.all(),
        log: &log,
    };
    diagnostics::text(&facts, app.path().home_dir().ok().as_deref())
}

/// Shows the data folder in the system's file manager.
#[tauri::command(async)]
pub(crate) fn open_data_folder(keeper: State<'_, Arc<SettingsKeeper>>) -> Answered<()> {
    let folder = keeper.folder();
    tauri_plugin_opener::open_path(&folder, None::<&str>).map_err(|error| {
        let message = format!("The folder could not be opened. It is {}.", folder.display());
        Problem::new(ProblemCode::LinkRefused, message).with_details(error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(minutes: u64) -> Vec<Past> {
        let total = 6141 << 20;
        (0..minutes * 12)
            .map(|step| {
                // A game in the middle third.
                let playing = (minutes * 4..minutes * 8).contains(&step);
                let (mib, gpu_percent) = if playing { (3500, 97.0) } else { (250, 3.0) };
                Past {
                    time_ms: step * 5000,
                    vram_total: total,
                    vram_used: mib << 20,
                    own_bytes: None,
                    gpu_percent: Some(gpu_percent),
                    profile: None,
                    generating: false,
                }
            })
            .collect()
    }

    #[test]
    fn the_hour_is_played_with_the_real_policy() {
        let now = Thresholds::default();
        let asked = preview(&past(30), None, now, now);
        assert_eq!((asked.minutes, asked.switches, asked.switches_now, asked.for_this_model), (30, 2, 2, false));
        let counted: Vec<_> = asked.reasons.iter().map(|counted| (counted.reason.name(), counted.count)).collect();
        assert_eq!(counted, [("overload", 1), ("recovered", 1)]);
        // No model of that size has a place under these: it stays on the CPU all the time.
        let tight =
            Thresholds { overload_vram_percent: 45.0, stressed_vram_percent: 40.0, optimal_vram_percent: 35.0, ..now };
        let asked = preview(&past(30), None, tight, now);
        assert_eq!((asked.switches, asked.switches_now), (0, 2));
    }

    #[test]
    fn without_readings_there_is_nothing_to_play() {
        let now = Thresholds::default();
        let preview = preview(&[], None, now, now);
        assert_eq!((preview.minutes, preview.switches, preview.switches_now), (0, 0, 0));
    }
}
