//! What Workly says outside of its window, in the tray and in notifications, in the languages the window speaks.

use workly_core::profile::Profile;
use workly_wire::words::Language;

/// The language of the setting `ui.language`; `system` is the first of the user's languages that Workly speaks.
pub(crate) fn language_of(setting: &str) -> Language {
    match setting {
        "system" => first_of(sys_locale::get_locales()),
        named => language_named(named).unwrap_or(Language::English),
    }
}

/// English where none of the languages is spoken.
fn first_of(tags: impl IntoIterator<Item = String>) -> Language {
    tags.into_iter().find_map(|tag| language_named(&tag)).unwrap_or(Language::English)
}

fn language_named(tag: &str) -> Option<Language> {
    match tag.split(['-', '_', '.']).next()?.to_ascii_lowercase().as_str() {
        "en" => Some(Language::English),
        "fr" => Some(Language::French),
        _ => None,
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
    /// Another program has the data folder and did not come to the front.
    pub(crate) runs: &'static str,
    /// In place of a page whose process dies again and again.
    pub(crate) page_gone: &'static str,
    pub(crate) page_again: &'static str,
    /// Between the program's name and its state.
    pub(crate) colon: &'static str,
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
    runs: "Workly is already running with these conversations. Look for its window or its icon in the tray.",
    page_gone: "The process that draws this window ended several times in a row. The model and your conversations are \
                not affected.",
    page_again: "Open the window again",
    colon: ": ",
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
    runs: "Workly fonctionne déjà avec ces conversations. Cherchez sa fenêtre ou son icône dans la barre système.",
    page_gone: "Le processus qui dessine cette fenêtre s’est arrêté plusieurs fois de suite. Le modèle et vos \
                conversations ne sont pas touchés.",
    page_again: "Rouvrir la fenêtre",
    colon: "\u{a0}: ",
};

impl Words {
    /// The words of a language.
    pub(crate) const fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::French => &FRENCH,
        }
    }

    /// A profile's name, as the window shows it.
    pub(crate) const fn profile(&self, profile: Profile) -> &'static str {
        match profile {
            Profile::Performance => self.performance,
            Profile::Balanced => self.balanced,
            Profile::CpuFallback => self.cpu,
        }
    }
}

/// Puts a value where the words have `{}`.
pub(crate) fn filled(words: &str, value: impl std::fmt::Display) -> String {
    words.replacen("{}", &value.to_string(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_chooses_the_first_language_that_is_spoken() {
        let first = |tags: &[&str]| first_of(tags.iter().map(|tag| (*tag).to_owned()));
        assert_eq!(first(&["de-DE", "fr-CA", "en-US"]), Language::French);
        assert_eq!(first(&["en_GB.UTF-8", "fr"]), Language::English);
        assert_eq!(first(&["C", "ja"]), Language::English);
        assert_eq!(first(&[]), Language::English);
        assert_eq!(language_of("fr"), Language::French);
        assert_eq!(language_of("en"), Language::English);
    }
}
