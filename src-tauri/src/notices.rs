//! A notification when Workly moved the model by itself: once, with the reason.
//!
//! Sent from here and not through Tauri's plugin, which puts a script of its own into the page.

use std::sync::Arc;

use notify_rust::Notification;
use tauri::{AppHandle, Manager as _};
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::OverrideWish;
use workly_core::wire::{ModelSnapshot, ModelState};
use workly_runtime::manager::ModelManager;

use crate::settings::SettingsKeeper;
use crate::words::{Language, filled};

/// Tells the user of every automatic switch, for as long as the program runs.
pub(crate) fn start(app: &AppHandle) {
    let mut model = app.state::<ModelManager>().snapshot();
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let mut place = Place::default();
        while model.changed().await.is_ok() {
            let news = place.follow(&model.borrow_and_update());
            if let Some(moved) = news {
                tell(&app, &moved);
            }
        }
    });
}

fn tell(app: &AppHandle, moved: &Moved) {
    let ui = app.state::<Arc<SettingsKeeper>>().settings().ui;
    if !ui.notify_on_switch {
        return;
    }
    let words = Language::of(&ui.language).words();
    let title = filled(words.moved, words.profile(moved.to));
    let mut notification = Notification::new();
    notification.appname("Workly").icon("workly").summary(&title).body(&words.reason(&moved.why));
    #[cfg(windows)]
    notification.app_id(&app.config().identifier);
    // The service behind it may take its time.
    tauri::async_runtime::spawn_blocking(move || {
        if let Err(error) = notification.show() {
            tracing::warn!("no notification could be shown: {error}");
        }
    });
}

/// A move the user did not ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Moved {
    to: Profile,
    why: String,
}

/// Where the model was last.
#[derive(Debug, Default)]
struct Place(Option<Profile>);

impl Place {
    /// Takes a snapshot in; the move, if the model came to another profile without being asked to.
    fn follow(&mut self, model: &ModelSnapshot) -> Option<Moved> {
        if model.state == ModelState::Stopped {
            self.0 = None;
        }
        let to = model.profile?;
        let from = self.0.replace(to)?;
        let why = model.why.clone()?;
        (from != to && !was_asked_for(to, model)).then_some(Moved { to, why })
    }
}

/// Whether the model is where the user put it.
fn was_asked_for(to: Profile, model: &ModelSnapshot) -> bool {
    match model.override_kind {
        Some(OverrideWish::GiveUp) => to == Profile::CpuFallback,
        Some(OverrideWish::Hold) => to > Profile::CpuFallback,
        None => model.choice == ProfileChoice::Fixed(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(profile: Option<Profile>) -> ModelSnapshot {
        let why = profile.map(|profile| format!("{profile}: VRAM 95 %"));
        ModelSnapshot { state: ModelState::Ready, profile, why, ..ModelSnapshot::default() }
    }

    #[test]
    fn a_move_is_told_once() {
        let mut place = Place::default();
        assert_eq!(place.follow(&at(Some(Profile::Performance))), None, "the first place is no move");
        let moved = place.follow(&at(Some(Profile::CpuFallback)));
        assert_eq!(moved, Some(Moved { to: Profile::CpuFallback, why: "cpu_fallback: VRAM 95 %".into() }));
        assert_eq!(place.follow(&at(Some(Profile::CpuFallback))), None);
    }

    #[test]
    fn what_the_user_asked_for_is_not_told() {
        let mut place = Place::default();
        place.follow(&at(Some(Profile::Performance)));
        let chosen = ModelSnapshot { choice: ProfileChoice::Fixed(Profile::Balanced), ..at(Some(Profile::Balanced)) };
        assert_eq!(place.follow(&chosen), None);
        let given_up = ModelSnapshot { override_kind: Some(OverrideWish::GiveUp), ..at(Some(Profile::CpuFallback)) };
        assert_eq!(place.follow(&given_up), None);
        let held = ModelSnapshot { override_kind: Some(OverrideWish::Hold), ..at(Some(Profile::Performance)) };
        assert_eq!(place.follow(&held), None);
    }

    #[test]
    fn leaving_a_chosen_profile_is_told() {
        let mut place = Place::default();
        place.follow(&at(Some(Profile::Performance)));
        let fallen =
            ModelSnapshot { choice: ProfileChoice::Fixed(Profile::Performance), ..at(Some(Profile::CpuFallback)) };
        assert!(place.follow(&fallen).is_some());
    }

    #[test]
    fn a_move_through_a_new_load_is_told_and_a_new_start_is_not() {
        let mut place = Place::default();
        place.follow(&at(Some(Profile::Performance)));
        let loading = ModelSnapshot { state: ModelState::Loading, ..at(None) };
        assert_eq!(place.follow(&loading), None);
        assert!(place.follow(&at(Some(Profile::CpuFallback))).is_some());
        assert_eq!(place.follow(&ModelSnapshot::default()), None);
        assert_eq!(place.follow(&at(Some(Profile::Performance))), None);
    }
}
