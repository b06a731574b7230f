//! What Workly says outside of its window, in the tray and in notifications, in the languages the window speaks.

use workly_core::profile::Profile;

/// A language Workly speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    French,
}

impl Language {
    /// The language of the setting `ui.language`; `system` is the first of the user's languages that Workly speaks.
    pub(crate) fn of(setting: &str) -> Self {
        match setting {
            "system" => Self::first_of(sys_locale::get_locales()),
            named => Self::named(named).unwrap_or(Self::English),
        }
    }

    /// English where none of the languages is spoken.
    fn first_of(tags: impl IntoIterator<Item = String>) -> Self {
        tags.into_iter().find_map(|tag| Self::named(&tag)).unwrap_or(Self::English)
    }

    fn named(tag: &str) -> Option<Self> {
        match tag.split(['-', '_', '.']).next()?.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "fr" => Some(Self::French),
            _ => None,
        }
    }

    /// The words of this language.
    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::French => &FRENCH,
        }
    }
}

/// Every string; `{}` stands for what is put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) show: &'static str,
    pub(crate) quit: &'static str,
    pub(crate) automatic: &'static str,
    pub(crate) auto_switching: &'static str,
    pub(crate) hold: &'static str,
    pub(crate) end_hold: &'static str,
    pub(crate) give_up: &'static str,
    pub(crate) end_give_up: &'static str,
    pub(crate) performance: &'static str,
    pub(crate) balanced: &'static str,
    pub(crate) cpu: &'static str,
    pub(crate) stopped: &'static str,
    pub(crate) failed: &'static str,
    pub(crate) loading: &'static str,
    pub(crate) loading_percent: &'static str,
    pub(crate) moving: &'static str,
    pub(crate) moving_percent: &'static str,
    pub(crate) answering: &'static str,
    pub(crate) moved: &'static str,
    /// Between the program's name and its state.
    pub(crate) colon: &'static str,
    /// What the core says in a reason, and the same in this language.
    reasons: &'static [(&'static str, &'static str)],
}

const ENGLISH: Words = Words {
    show: "Show Workly",
    quit: "Quit",
    automatic: "Automatic",
    auto_switching: "Switch by itself",
    hold: "Hold the GPU for 30 minutes",
    end_hold: "Stop holding the GPU (until {})",
    give_up: "Give up the GPU now",
    end_give_up: "Take the GPU again (given up until {})",
    performance: "Performance",
    balanced: "Balanced",
    cpu: "CPU",
    stopped: "no model loaded",
    failed: "the model is not available",
    loading: "loading the model…",
    loading_percent: "loading the model, {} %",
    moving: "moving to {}…",
    moving_percent: "moving to {}, ",
    answering: "{}, answering",
    moved: "The model moved to {}",
    colon: ": ",
    reasons: &[],
};

const FRENCH: Words = Words {
    show: "Afficher Workly",
    quit: "Quitter",
    automatic: "Automatique",
    auto_switching: "Changer de profil tout seul",
    hold: "Garder le GPU pendant 30 minutes",
    end_hold: "Ne plus garder le GPU (jusqu’à {})",
    give_up: "Libérer le GPU maintenant",
    end_give_up: "Reprendre le GPU (libéré jusqu’à {})",
    performance: "Performance",
    balanced: "Équilibré",
    cpu: "CPU",
    stopped: "aucun modèle chargé",
    failed: "le modèle n’est pas disponible",
    loading: "chargement du modèle…",
    loading_percent: "chargement du modèle, {}\u{a0}%",
    moving: "passage au profil {}…",
    moving_percent: "passage au profil {}, ",
    answering: "{}, répond",
    moved: "Le modèle passe au profil {}",
    colon: "\u{a0}: ",
    reasons: &[
        ("others' VRAM", "VRAM des autres"),
        ("others' GPU", "GPU des autres"),
        ("the model's worker ran out of memory", "le processus du modèle a manqué de mémoire"),
        ("the model took more than planned", "le modèle a pris plus que prévu"),
        ("there is room for more layers", "il y a de la place pour plus de couches"),
        ("as you asked for now", "comme demandé pour le moment"),
        ("as chosen in the settings", "comme choisi dans les réglages"),
        ("the GPU does not answer any more", "le GPU ne répond plus"),
        ("process ", "processus "),
        (" GB", " Go"),
    ],
};

impl Words {
    /// A profile's name, as the window shows it.
    pub(crate) const fn profile(&self, profile: Profile) -> &'static str {
        match profile {
            Profile::Performance => self.performance,
            Profile::Balanced => self.balanced,
            Profile::CpuFallback => self.cpu,
        }
    }

    /// The reason of a switch without the profile it begins with, which the sentence around it names already.
    pub(crate) fn reason(&self, sentence: &str) -> String {
        let stripped = Profile::ALL.into_iter().find_map(|profile| sentence.strip_prefix(profile.name()));
        let stripped = stripped.map_or(sentence, |rest| rest.trim_start_matches(':').trim_start());
        self.reasons.iter().fold(stripped.to_owned(), |text, (core, ours)| text.replace(core, ours))
    }
}

/// Puts a value where the words have `{}`.
pub(crate) fn filled(words: &str, value: impl std::fmt::Display) -> String {
    words.replacen("{}", &value.to_string(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use workly_core::policy::{Numbers, Reason, Switch};
    use workly_core::reading::ProcessUse;

    #[test]
    fn the_system_chooses_the_first_language_that_is_spoken() {
        let first = |tags: &[&str]| Language::first_of(tags.iter().map(|tag| (*tag).to_owned()));
        assert_eq!(first(&["de-DE", "fr-CA", "en-US"]), Language::French);
        assert_eq!(first(&["en_GB.UTF-8", "fr"]), Language::English);
        assert_eq!(first(&["C", "ja"]), Language::English);
        assert_eq!(first(&[]), Language::English);
        assert_eq!(Language::of("fr"), Language::French);
        assert_eq!(Language::of("en"), Language::English);
    }

    #[test]
    fn every_reason_of_the_core_is_said_in_french_without_its_profile() {
        let culprits = [ProcessUse { pid: 7, name: None, vram_bytes: Some(1_200_000_000) }];
        let numbers = Numbers {
            vram_percent: Some(85.0),
            gpu_percent: Some(99.0),
            external_vram_percent: Some(16.0),
            external_gpu_percent: Some(88.0),
        };
        for reason in [
            Reason::Overload,
            Reason::Stress,
            Reason::Fault,
            Reason::Recovered,
            Reason::Replan,
            Reason::Override,
            Reason::Choice,
            Reason::GpuGone,
            Reason::Start,
        ] {
            for to in Profile::ALL {
                let switch = Switch { from: Profile::Balanced, to, reason, emergency: false, numbers };
                let sentence = switch.sentence(&culprits);
                let french = FRENCH.reason(&sentence);
                for english in ["others'", "the ", "as ", "process ", " GB", "cpu_fallback", "performance:"] {
                    assert!(!french.contains(english), "{sentence} -> {french}");
                }
                assert!(sentence.ends_with(&ENGLISH.reason(&sentence)), "{sentence}");
            }
        }
        assert_eq!(
            FRENCH.reason("cpu_fallback: VRAM 95 %, others' VRAM 60 % (game 4.0 GB, process 1)"),
            "VRAM 95 %, VRAM des autres 60 % (game 4.0 Go, processus 1)"
        );
    }
}
