//! What the tray shows: a pure function of the model and the settings.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::{OverrideWish, Settings};
use workly_wire::model::{ModelSnapshot, ModelState};

use crate::shell::actions::override_in_force;
use crate::shell::messages::{Words, filled, language_of};

/// Progress is told in steps of this many percent: each is a message to the panel.
const PROGRESS_STEP: f32 = 5.0;

/// One of the four icons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Icon {
    Performance,
    Balanced,
    Cpu,
    Off,
}

impl Icon {
    /// The icon's name, which is also its file's.
    #[cfg(target_os = "linux")]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Performance => "workly-performance",
            Self::Balanced => "workly-balanced",
            Self::Cpu => "workly-cpu",
            Self::Off => "workly-off",
        }
    }

    const fn of(profile: Option<Profile>) -> Self {
        match profile {
            Some(Profile::Performance) => Self::Performance,
            Some(Profile::Balanced) => Self::Balanced,
            Some(Profile::CpuFallback) => Self::Cpu,
            None => Self::Off,
        }
    }
}

/// Everything the tray shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) icon: Icon,
    /// One line: the program and its state. Also the menu's first line, for panels that show no tooltip.
    pub(crate) tooltip: String,
    pub(crate) choice: ProfileChoice,
    pub(crate) auto_switching: bool,
    /// The line that holds the GPU, or stops holding it.
    pub(crate) hold: String,
    /// The line that gives the GPU up, or takes it again.
    pub(crate) give_up: String,
    pub(crate) words: &'static Words,
}

impl Look {
    /// `now` in seconds since 1970 (UTC); `zone` is where the user's clock is.
    pub(crate) fn of(model: &ModelSnapshot, settings: &Settings, now: u64, zone: &TimeZone) -> Self {
        let words = Words::of(language_of(&settings.ui.language));
        let running = override_in_force(settings, now);
        let until = |kind: OverrideWish| {
            let present = running.filter(|present| present.kind == kind)?;
            Some(present.until.map_or_else(|| "…".to_owned(), |until| clock(until, zone)))
        };
        let line =
            |kind, begin: &str, end: &str| until(kind).map_or_else(|| begin.to_owned(), |time| filled(end, time));
        Self {
            icon: Icon::of(model.profile),
            tooltip: format!("Workly{}{}", words.colon, state(model, words)),
            choice: settings.ai.gpu_profile,
            auto_switching: settings.ai.auto_switching_enabled,
            hold: line(OverrideWish::Hold, words.hold, words.end_hold),
            give_up: line(OverrideWish::GiveUp, words.give_up, words.end_give_up),
            words,
        }
    }
}

/// What the model is doing, in a few words.
fn state(model: &ModelSnapshot, words: &Words) -> String {
    let name = model.profile.map(|profile| words.profile(profile));
    let percent = model.load_fraction.map(|fraction| (fraction * 100.0 / PROGRESS_STEP).floor() * PROGRESS_STEP);
    match (model.state, model.switching_to, name) {
        (ModelState::Failed, ..) => words.failed.to_owned(),
        (ModelState::Switching | ModelState::Generating, Some(to), _) => match percent {
            Some(percent) => filled(words.moving_percent, words.profile(to)) + &format!("{percent:.0}\u{a0}%"),
            None => filled(words.moving, words.profile(to)),
        },
        (ModelState::Loading, ..) => match percent {
            Some(percent) => filled(words.loading_percent, format_args!("{percent:.0}")),
            None => words.loading.to_owned(),
        },
        (ModelState::Generating, None, Some(name)) => filled(words.answering, name),
        (ModelState::Ready | ModelState::Switching, _, Some(name)) => name.to_owned(),
        (ModelState::Stopped, ..) | (ModelState::Ready | ModelState::Switching | ModelState::Generating, _, None) => {
            words.stopped.to_owned()
        }
    }
}

/// A time of day as hours and minutes, which both languages write alike.
fn clock(unix_seconds: u64, zone: &TimeZone) -> String {
    let time = i64::try_from(unix_seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(String::new, |time| time.to_zoned(zone.clone()).strftime("%H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use workly_core::settings::OverrideSetting;

    fn snapshot(state: ModelState, profile: Option<Profile>) -> ModelSnapshot {
        ModelSnapshot { state, profile, ..ModelSnapshot::default() }
    }

    fn look(model: &ModelSnapshot, language: &str) -> Look {
        let mut settings = Settings::default();
        settings.ui.language = language.to_owned();
        Look::of(model, &settings, 0, &TimeZone::UTC)
    }

    #[test]
    fn each_profile_has_its_icon_and_its_name() {
        for (profile, icon, english, french) in [
            (Some(Profile::Performance), Icon::Performance, "Workly: Performance", "Workly\u{a0}: Performance"),
            (Some(Profile::Balanced), Icon::Balanced, "Workly: Balanced", "Workly\u{a0}: Équilibré"),
            (Some(Profile::CpuFallback), Icon::Cpu, "Workly: CPU", "Workly\u{a0}: CPU"),
            (None, Icon::Off, "Workly: no model loaded", "Workly\u{a0}: aucun modèle chargé"),
        ] {
            let ready = snapshot(ModelState::Ready, profile);
            assert_eq!(look(&ready, "en").icon, icon);
            assert_eq!(look(&ready, "en").tooltip, english);
            assert_eq!(look(&ready, "fr").tooltip, french);
        }
    }

    #[test]
    fn progress_is_told_in_steps() {
        let mut loading = snapshot(ModelState::Loading, None);
        assert_eq!(look(&loading, "en").tooltip, "Workly: loading the model…");
        loading.load_fraction = Some(0.479);
        assert_eq!(look(&loading, "en").tooltip, "Workly: loading the model, 45 %");
        assert_eq!(look(&loading, "en").icon, Icon::Off);
    }

    #[test]
    fn a_switch_keeps_the_icon_and_says_where_the_model_goes() {
        for state in [ModelState::Switching, ModelState::Generating] {
            let mut moving = snapshot(state, Some(Profile::Performance));
            moving.switching_to = Some(Profile::CpuFallback);
            assert_eq!(look(&moving, "en").tooltip, "Workly: moving to CPU…");
            assert_eq!(look(&moving, "en").icon, Icon::Performance);
            moving.load_fraction = Some(0.5);
            assert_eq!(look(&moving, "en").tooltip, "Workly: moving to CPU, 50\u{a0}%");
        }
    }

    #[test]
    fn an_override_in_force_turns_its_line_into_its_end() {
        let mut settings = Settings::default();
        settings.ui.language = "en".to_owned();
        let hold = OverrideSetting { kind: OverrideWish::Hold, until: Some(3_600 * 14 + 60 * 32) };
        settings.override_ = Some(hold);
        let during = Look::of(&snapshot(ModelState::Ready, None), &settings, 0, &TimeZone::UTC);
        assert_eq!(during.hold, "Stop holding the GPU (until 14:32)");
        assert_eq!(during.give_up, "Give up the GPU now");
        let after = Look::of(&snapshot(ModelState::Ready, None), &settings, 3_600 * 15, &TimeZone::UTC);
        assert_eq!(after.hold, "Hold the GPU for 30 minutes");
    }
}
