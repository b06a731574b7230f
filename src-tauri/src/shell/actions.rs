//! What a person can ask for outside of the window: from the tray, by a second start, by a signal.

use std::sync::Arc;

use tauri::{AppHandle, Manager as _};
use workly_core::profile::ProfileChoice;
use workly_core::settings::{OverrideSetting, OverrideWish, Settings};

use crate::clock::unix_seconds;
use crate::settings::keeper::SettingsKeeper;
use crate::shell::front;

/// How long an override lasts, seconds.
const OVERRIDE_SECONDS: u64 = 30 * 60;

/// Something that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Bring the window to the front.
    Show,
    /// Take this profile choice.
    Choose(ProfileChoice),
    /// Turn auto-switching on or off, whichever it is not.
    ToggleAutoSwitching,
    /// Begin this override, or end it where it is in force.
    ToggleOverride(OverrideWish),
    /// End Workly.
    Quit,
}

/// Does what is asked for.
pub(crate) fn perform(app: &AppHandle, action: Action) {
    match action {
        Action::Show => front::show(app),
        Action::Quit => {
            // Ending the worker may take a moment, which is nothing to look at.
            front::hide(app);
            app.exit(0);
        }
        setting => {
            let now = unix_seconds();
            if let Err(problem) = app.state::<Arc<SettingsKeeper>>().edit(app, |settings| edit(settings, setting, now))
            {
                tracing::error!("{problem}");
            }
        }
    }
}

/// What an action changes in the settings; `now` in seconds since 1970 (UTC).
fn edit(settings: &mut Settings, action: Action, now: u64) {
    match action {
        Action::Choose(choice) => settings.ai.gpu_profile = choice,
        Action::ToggleAutoSwitching => settings.ai.auto_switching_enabled = !settings.ai.auto_switching_enabled,
        Action::ToggleOverride(kind) => {
            let is_on = override_in_force(settings, now).is_some_and(|present| present.kind == kind);
            settings.override_ = (!is_on).then_some(OverrideSetting { kind, until: Some(now + OVERRIDE_SECONDS) });
        }
        Action::Show | Action::Quit => {}
    }
}

/// The override that is not over yet.
pub(crate) fn override_in_force(settings: &Settings, now: u64) -> Option<OverrideSetting> {
    settings.override_.filter(|present| present.until.is_none_or(|until| now < until))
}

#[cfg(test)]
mod tests {
    use super::*;
    use workly_core::profile::Profile;

    #[test]
    fn an_override_lasts_half_an_hour_and_is_ended_by_asking_again() {
        let mut settings = Settings::default();
        let hold = Action::ToggleOverride(OverrideWish::Hold);
        edit(&mut settings, hold, 1_000);
        let holding = OverrideSetting { kind: OverrideWish::Hold, until: Some(2_800) };
        assert_eq!(settings.override_, Some(holding));
        assert_eq!(override_in_force(&settings, 2_799), Some(holding));
        assert_eq!(override_in_force(&settings, 2_800), None);
        edit(&mut settings, hold, 2_000);
        assert_eq!(settings.override_, None);
    }

    #[test]
    fn one_override_takes_the_place_of_the_other_and_one_that_is_over_begins_anew() {
        let mut settings = Settings::default();
        edit(&mut settings, Action::ToggleOverride(OverrideWish::Hold), 0);
        edit(&mut settings, Action::ToggleOverride(OverrideWish::GiveUp), 10);
        assert_eq!(settings.override_.map(|present| present.kind), Some(OverrideWish::GiveUp));
        edit(&mut settings, Action::ToggleOverride(OverrideWish::GiveUp), 10_000);
        assert_eq!(settings.override_.and_then(|present| present.until), Some(11_800));
    }

    #[test]
    fn the_profile_choice_and_auto_switching_are_settings() {
        let mut settings = Settings::default();
        edit(&mut settings, Action::Choose(ProfileChoice::Fixed(Profile::Balanced)), 0);
        edit(&mut settings, Action::ToggleAutoSwitching, 0);
        assert_eq!(settings.ai.gpu_profile, ProfileChoice::Fixed(Profile::Balanced));
        assert!(!settings.ai.auto_switching_enabled);
    }
}
