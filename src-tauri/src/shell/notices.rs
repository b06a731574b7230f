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
use workly_core::why::Why;
use workly_runtime::manager::ModelManager;
use workly_wire::monitor::DecisionEntry;

use crate::settings::keeper::SettingsKeeper;
use crate::shell::messages::{Words, filled};

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
    let reason = entry.why.as_ref().and_then(Why::reason);
    let by_itself = reason
        .is_some_and(|reason| !matches!(reason, Reason::Override | Reason::Choice | Reason::Start | Reason::Table));
    // From one plan on the GPU to another, the CPU is a station.
    let goes_on = entry.strategy == Some(SwitchStrategy::ViaCpu) && entry.to == Profile::CpuFallback;
    by_itself && entry.from.is_some_and(|from| from != entry.to) && !goes_on
}

fn tell(app: &AppHandle, moved: &DecisionEntry) {
    let keeper = app.state::<Arc<SettingsKeeper>>();
    if !keeper.settings().ui.notify_on_switch {
        return;
    }
    let language = keeper.language();
    let words = Words::of(language);
    let title = filled(words.moved, words.profile(moved.to));
    let body = moved.why.as_ref().map(|why| language.why(why)).unwrap_or_default();
    #[cfg(windows)]
    let identifier = app.config().identifier.clone();
    // The service behind it may take its time.
    tauri::async_runtime::spawn_blocking(move || {
        let body = if reads_markup() { escaped(&body) } else { body };
        let mut notification = Notification::new();
        notification.appname("Workly").icon("workly").summary(&title).body(&body);
        #[cfg(windows)]
        notification.app_id(&identifier);
        if let Err(error) = notification.show() {
            tracing::warn!("no notification could be shown: {error}");
        }
    });
}

/// Whether the desktop takes the text of a notification for markup.
#[cfg(all(unix, not(target_os = "macos")))]
fn reads_markup() -> bool {
    notify_rust::get_capabilities().is_ok_and(|known| known.iter().any(|capability| capability == "body-markup"))
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn reads_markup() -> bool {
    false
}

/// A text that means itself where markup is read: a program may call itself anything.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use workly_core::policy::{Numbers, Switch};
    use workly_core::why::{WorkerFault, WorkerFaultKind};

    use super::*;

    fn moved(from: Option<Profile>, to: Profile, why: Option<Why>) -> DecisionEntry {
        DecisionEntry { unix_ms: 0, from, to, why, strategy: Some(SwitchStrategy::Standby) }
    }

    /// A decision of the policy, as the manager sends it.
    fn decided(from: Profile, to: Profile, reason: Reason) -> Why {
        let switch = Switch { from, to, reason, emergency: false, numbers: Numbers::default() };
        Why::decided(&switch, Vec::new())
    }

    #[test]
    fn what_workly_did_by_itself_is_told() {
        let (from, to) = (Profile::Performance, Profile::CpuFallback);
        for reason in [Reason::Overload, Reason::Stress, Reason::Fault, Reason::Recovered, Reason::GpuGone] {
            assert!(is_news(&moved(Some(from), to, Some(decided(from, to, reason)))), "{reason:?}");
        }
    }

    #[test]
    fn a_worker_that_crashed_is_told_however_it_ended() {
        for kind in [
            WorkerFaultKind::Killed,
            WorkerFaultKind::Crashed,
            WorkerFaultKind::OutOfMemory,
            WorkerFaultKind::Unresponsive,
            WorkerFaultKind::NotComputed,
        ] {
            // The manager gives the fault itself as the reason, not a rule of the policy.
            let why = Why::Worker { fault: WorkerFault { kind, signal: None, exit_code: None } };
            assert!(is_news(&moved(Some(Profile::Performance), Profile::CpuFallback, Some(why))), "{kind:?}");
        }
    }

    #[test]
    fn what_the_user_asked_for_is_not_told() {
        let (from, to) = (Profile::Performance, Profile::CpuFallback);
        let asked = Some(Why::Asked { after_token: None });
        for why in [Some(decided(from, to, Reason::Choice)), Some(decided(from, to, Reason::Override)), asked, None] {
            assert!(!is_news(&moved(Some(from), to, why.clone())), "{why:?}");
        }
    }

    #[test]
    fn the_name_of_a_program_is_no_markup() {
        assert_eq!(escaped("<a href=\"x\">&game"), "&lt;a href=\"x\"&gt;&amp;game");
    }

    #[test]
    fn a_start_and_another_plan_for_the_same_profile_are_no_moves() {
        assert!(!is_news(&moved(
            None,
            Profile::Performance,
            Some(decided(Profile::CpuFallback, Profile::Performance, Reason::Start))
        )));
        let same = Profile::Performance;
        assert!(!is_news(&moved(Some(same), same, Some(decided(same, same, Reason::Replan)))));
    }

    #[test]
    fn a_way_over_the_cpu_is_told_at_its_end() {
        let over_cpu = |from, to| DecisionEntry {
            strategy: Some(SwitchStrategy::ViaCpu),
            ..moved(Some(from), to, Some(decided(from, to, Reason::Stress)))
        };
        assert!(!is_news(&over_cpu(Profile::Performance, Profile::CpuFallback)));
        assert!(is_news(&over_cpu(Profile::CpuFallback, Profile::Balanced)));
    }
}
