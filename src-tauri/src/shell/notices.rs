//! A notification when Workly moved the model by itself: once, with the reason.
//!
//! Sent from here and not through Tauri's plugin, which puts a script of its own into the page.

use std::sync::Arc;

use notify_rust::Notification;
use tauri::{AppHandle, Manager as _};
use tokio::sync::broadcast::error::RecvError;
use workly_core::policy::Reason;
use workly_core::profile::Profile;
use workly_core::switch_plan::SwitchStrategy;
use workly_runtime::manager::ModelManager;
use workly_wire::monitor::DecisionEntry;

use crate::settings::SettingsKeeper;
use crate::words::{Language, filled};

/// Tells the user of every automatic switch, for as long as the program runs.
pub(crate) fn start(app: &AppHandle) {
    let mut moves = app.state::<ModelManager>().decisions();
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        loop {
            match moves.recv().await {
                Ok(entry) if is_news(&entry) => tell(&app, &entry),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
}

/// Whether the model came to another profile without being asked to.
fn is_news(entry: &DecisionEntry) -> bool {
    let by_itself = entry
        .reason
        .is_some_and(|reason| !matches!(reason, Reason::Override | Reason::Choice | Reason::Start | Reason::Table));
    // From one plan on the GPU to another, the CPU is a station.
    let goes_on = entry.strategy == Some(SwitchStrategy::ViaCpu) && entry.to == Profile::CpuFallback;
    by_itself && entry.from.is_some_and(|from| from != entry.to) && !goes_on
}

fn tell(app: &AppHandle, moved: &DecisionEntry) {
    let ui = app.state::<Arc<SettingsKeeper>>().settings().ui;
    if !ui.notify_on_switch {
        return;
    }
    let words = Language::of(&ui.language).words();
    let title = filled(words.moved, words.profile(moved.to));
    let mut notification = Notification::new();
    notification
        .appname("Workly")
        .icon("workly")
        .summary(&title)
        .body(&words.reason(moved.sentence.as_deref().unwrap_or_default()));
    #[cfg(windows)]
    notification.app_id(&app.config().identifier);
    // The service behind it may take its time.
    tauri::async_runtime::spawn_blocking(move || {
        if let Err(error) = notification.show() {
            tracing::warn!("no notification could be shown: {error}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(from: Option<Profile>, to: Profile, reason: Option<Reason>) -> DecisionEntry {
        DecisionEntry { unix_ms: 0, from, to, reason, sentence: None, strategy: Some(SwitchStrategy::Standby) }
    }

    #[test]
    fn what_workly_did_by_itself_is_told() {
        for reason in [Reason::Overload, Reason::Stress, Reason::Crash, Reason::Recovered, Reason::GpuGone] {
            assert!(is_news(&moved(Some(Profile::Performance), Profile::CpuFallback, Some(reason))), "{reason:?}");
        }
    }

    #[test]
    fn what_the_user_asked_for_is_not_told() {
        for reason in [Some(Reason::Choice), Some(Reason::Override), None] {
            assert!(!is_news(&moved(Some(Profile::Performance), Profile::CpuFallback, reason)), "{reason:?}");
        }
    }

    #[test]
    fn a_start_and_another_plan_for_the_same_profile_are_no_moves() {
        assert!(!is_news(&moved(None, Profile::Performance, Some(Reason::Start))));
        assert!(!is_news(&moved(Some(Profile::Performance), Profile::Performance, Some(Reason::Replan))));
    }

    #[test]
    fn a_way_over_the_cpu_is_told_at_its_end() {
        let over_cpu = |from, to| DecisionEntry {
            strategy: Some(SwitchStrategy::ViaCpu),
            ..moved(Some(from), to, Some(Reason::Stress))
        };
        assert!(!is_news(&over_cpu(Profile::Performance, Profile::CpuFallback)));
        assert!(is_news(&over_cpu(Profile::CpuFallback, Profile::Balanced)));
    }
}
