//! What crosses to the window about the settings: the values, what is wrong with the file, and what a change would do.

use std::fmt;

use serde::{Deserialize, Serialize};
use ts_rs::{Config, TS};

use workly_core::model::KvType;
use workly_core::policy::Reason;
use workly_core::profile::ProfileChoice;
use workly_core::settings::{OverrideWish, Settings, Standby};
use workly_core::thresholds::Thresholds;

/// Name of the event that carries a [`SettingsSnapshot`] after each change, from the window or from outside.
pub const SETTINGS_CHANGED: &str = "settings-changed";

/// Something the user should know about `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SettingsNotice {
    /// The file was broken at the start; what was last known to be good is back in its place.
    Restored {
        /// Name of the file that holds the broken text, in the data folder.
        kept_as: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The file was broken at the start and nothing good was known: the defaults are used.
    Defaults {
        /// Name of the file that holds the broken text, in the data folder.
        kept_as: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The file cannot be read; the settings last known to be good, or the defaults, are used.
    Unreadable {
        /// Why.
        detail: String,
    },
    /// An edit from outside broke the file; the settings from before it stay.
    EditBroken {
        /// What is wrong with it.
        detail: String,
    },
    /// The file cannot be watched, so that edits from outside take effect at the next start only.
    NotWatched {
        /// Why.
        detail: String,
    },
    /// A value cannot be used; it alone falls back.
    BadValue {
        /// The setting, such as `ai.context_tokens`.
        key: String,
        /// What is wrong with it, in English.
        message: String,
        /// What is used instead.
        fallback: String,
    },
}

impl fmt::Display for SettingsNotice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored { kept_as, detail } => write!(
                formatter,
                "config.json could not be used ({detail}). Your last good settings are back; the broken file is kept as \
                 {kept_as}."
            ),
            Self::Defaults { kept_as, detail } => write!(
                formatter,
                "config.json could not be used ({detail}). The default settings are used; the broken file is kept as \
                 {kept_as}."
            ),
            Self::Unreadable { detail } => write!(
                formatter,
                "config.json could not be read ({detail}). Give your user the right to read and write it."
            ),
            Self::EditBroken { detail } => write!(
                formatter,
                "config.json was changed and cannot be used ({detail}). The settings from before stay until it is \
                 repaired."
            ),
            Self::NotWatched { detail } => write!(
                formatter,
                "config.json cannot be watched ({detail}). Edits from outside take effect at the next start."
            ),
            Self::BadValue { key, message, fallback } => write!(formatter, "{key} {message}; {fallback} is used."),
        }
    }
}

/// The settings as the window shows them.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct SettingsSnapshot {
    /// The values in force.
    #[ts(as = "SettingsShape")]
    pub values: Settings,
    /// What each would be without a file.
    #[ts(as = "SettingsShape")]
    pub defaults: Settings,
    /// Keys that the file sets to something else than the default.
    pub changed: Vec<String>,
    /// What the user should know about the file.
    pub notices: Vec<SettingsNotice>,
    /// The data folder, as a person reads it.
    pub folder: Option<String>,
    /// Settings that the command line has taken over until the next start, such as `ai.gpu_profile`.
    pub fixed_by_arguments: Vec<String>,
}

/// What a set of thresholds would have done with the last hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ThresholdsPreview {
    /// Minutes of readings there are, at most 60; 0 where there are none.
    pub minutes: u32,
    /// How often Workly would have switched.
    pub switches: u32,
    /// How often it would have with the thresholds in force.
    pub switches_now: u32,
    /// The reasons of those switches, each with its number.
    pub reasons: Vec<ReasonCount>,
    /// Whether the model's own footprints were known; else a middling model on this card is assumed.
    pub for_this_model: bool,
}

/// How often a reason brought a switch about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ReasonCount {
    /// The reason.
    pub reason: Reason,
    /// How often.
    pub count: u32,
}

/// How [`Settings`] look in TypeScript; the Rust types are written by hand for salvaging and cannot derive it.
#[derive(TS)]
#[ts(rename = "Settings")]
#[expect(dead_code, reason = "only its declaration is used")]
struct SettingsShape {
    ai: AiShape,
    gpu_monitoring: GpuMonitoringShape,
    library: LibraryShape,
    ui: UiShape,
    #[ts(rename = "override", optional)]
    override_: Option<OverrideShape>,
}

#[derive(TS)]
#[ts(rename = "AiSettings")]
#[expect(dead_code, reason = "only its declaration is used")]
struct AiShape {
    gpu_profile: ProfileChoice,
    auto_switching_enabled: bool,
    balanced_gpu_layers: u32,
    context_tokens: u32,
    model: Option<String>,
    standby: Standby,
    gpu_device: String,
    #[ts(type = "\"auto\" | number")]
    cpu_threads: u32,
    kv_type: KvType,
}

#[derive(TS)]
#[ts(rename = "GpuMonitoringSettings")]
#[expect(dead_code, reason = "only its declaration is used")]
struct GpuMonitoringShape {
    interval_seconds: f64,
    csv_history_enabled: bool,
    thresholds: Thresholds,
}

#[derive(TS)]
#[ts(rename = "LibrarySettings")]
#[expect(dead_code, reason = "only its declaration is used")]
struct LibraryShape {
    folders: Vec<String>,
    other_apps: bool,
}

#[derive(TS)]
#[ts(rename = "UiSettings")]
#[expect(dead_code, reason = "only its declaration is used")]
struct UiShape {
    #[ts(type = "\"system\" | \"en\" | \"fr\"")]
    language: String,
    #[ts(type = "\"system\" | \"light\" | \"dark\"")]
    theme: String,
    close_to_tray: bool,
    autostart: bool,
    notify_on_switch: bool,
}

#[derive(TS)]
#[ts(rename = "OverrideSetting")]
#[expect(dead_code, reason = "only its declaration is used")]
struct OverrideShape {
    kind: OverrideWish,
    #[ts(type = "number | null")]
    until: Option<u64>,
}

/// TypeScript declarations of this subject.
pub(crate) fn declarations(config: &Config) -> Vec<String> {
    vec![
        Standby::decl(config),
        KvType::decl(config),
        Thresholds::decl(config),
        AiShape::decl(config),
        GpuMonitoringShape::decl(config),
        LibraryShape::decl(config),
        UiShape::decl(config),
        OverrideShape::decl(config),
        SettingsShape::decl(config),
        SettingsNotice::decl(config),
        SettingsSnapshot::decl(config),
        ReasonCount::decl(config),
        ThresholdsPreview::decl(config),
    ]
}
