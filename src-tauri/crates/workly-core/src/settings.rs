//! Settings: `config.json` as typed values, with defaults, salvaged field by field.
//!
//! A bad value falls back alone and leaves a [`SettingFault`] that names it; keys Workly does not know survive in the
//! document. Reading, watching and writing the file is not done here.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::KvType;
use crate::profile::ProfileChoice;
use crate::thresholds::Thresholds;

/// Folders that can be added to the library.
const MOST_FOLDERS: usize = 64;

/// Everything the user can set.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Settings {
    /// The model and where it runs.
    pub ai: Ai,
    /// How the GPU is watched.
    pub gpu_monitoring: GpuMonitoring,
    /// Where models are found.
    pub library: LibraryFolders,
    /// The window.
    pub ui: Ui,
    /// What the user asked for in the tray, for a while.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_: Option<OverrideSetting>,
}

/// The model and where it runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ai {
    /// The profile choice.
    pub gpu_profile: ProfileChoice,
    /// Whether Workly may switch by itself.
    pub auto_switching_enabled: bool,
    /// Most layers that `balanced` places on the GPU.
    pub balanced_gpu_layers: u32,
    /// Size of the context, tokens.
    pub context_tokens: u32,
    /// The model: a path or a name in the library; `None` for the one Workly brings along.
    pub model: Option<String>,
    /// Whether a CPU worker is kept ready while the model is on the GPU.
    pub standby: Standby,
    /// The GPU to take: `auto`, a name or a PCI address.
    pub gpu_device: String,
    /// Threads of a CPU worker.
    pub cpu_threads: CpuThreads,
    /// Number type of the KV cache.
    pub kv_type: KvType,
}

/// How the GPU is watched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GpuMonitoring {
    /// Time between full readings, seconds, 1 to 60.
    pub interval_seconds: f64,
    /// Whether `gpu-history.csv` is written.
    pub csv_history_enabled: bool,
    /// The thresholds, validated.
    pub thresholds: Thresholds,
}

/// Where models are found, beside Workly's own folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryFolders {
    /// Folders that the user added, as full paths.
    pub folders: Vec<String>,
    /// Whether models of other programs on this machine are shown.
    pub other_apps: bool,
}

/// The window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ui {
    /// `system`, `en` or `fr`.
    pub language: String,
    /// `system`, `light` or `dark`.
    pub theme: String,
    /// Whether closing the window leaves Workly in the tray.
    pub close_to_tray: bool,
    /// Whether Workly starts with the session.
    pub autostart: bool,
    /// Whether a switch shows a notification.
    pub notify_on_switch: bool,
}

/// Whether a CPU worker is kept ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Standby {
    /// Where there is memory for it.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Threads of a CPU worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuThreads {
    /// As many as leave the machine usable.
    Auto,
    /// This many.
    Count(u32),
}

impl Serialize for CpuThreads {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Count(count) => serializer.serialize_u32(*count),
        }
    }
}

/// An override as it is kept in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OverrideSetting {
    /// What was asked for.
    pub kind: OverrideWish,
    /// When it ends, seconds since 1970 (UTC); `None` until cancelled.
    pub until: Option<u64>,
}

/// What was asked for in the tray.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum OverrideWish {
    /// Stay on the GPU.
    Hold,
    /// Stay off the GPU.
    GiveUp,
}

impl Default for Ai {
    fn default() -> Self {
        Self {
            gpu_profile: ProfileChoice::Auto,
            auto_switching_enabled: true,
            balanced_gpu_layers: 35,
            context_tokens: 4096,
            model: None,
            standby: Standby::Auto,
            gpu_device: "auto".into(),
            cpu_threads: CpuThreads::Auto,
            kv_type: KvType::F16,
        }
    }
}

impl Default for GpuMonitoring {
    fn default() -> Self {
        Self { interval_seconds: 5.0, csv_history_enabled: false, thresholds: Thresholds::default() }
    }
}

impl Default for LibraryFolders {
    fn default() -> Self {
        Self { folders: Vec::new(), other_apps: true }
    }
}

impl Default for Ui {
    fn default() -> Self {
        Self {
            language: "system".into(),
            theme: "system".into(),
            close_to_tray: true,
            autostart: false,
            notify_on_switch: true,
        }
    }
}

/// A value of the file that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}; using {fallback} instead")]
pub struct SettingFault {
    /// The setting, such as `ai.context_tokens`.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
    /// What is used instead.
    pub fallback: String,
}

impl Settings {
    /// Reads a settings document. What is missing takes its default; what cannot be used does too, and is reported.
    pub fn salvage(document: &Value) -> (Self, Vec<SettingFault>) {
        let mut faults = Vec::new();
        if !document.is_object() && !document.is_null() {
            let message = "is not a JSON object".to_owned();
            faults.push(SettingFault { key: "the file".into(), message, fallback: "the defaults".into() });
        }
        let Self { mut ai, mut gpu_monitoring, mut library, mut ui, mut override_ } = Self::default();

        let mut section = Section { document, name: "ai", faults: &mut faults };
        section.take("gpu_profile", &mut ai.gpu_profile, |value| {
            let choice = value.as_str().and_then(|name| name.parse().ok());
            choice.ok_or("must be auto, performance, balanced or cpu_fallback")
        });
        section.take("auto_switching_enabled", &mut ai.auto_switching_enabled, boolean);
        section.take("balanced_gpu_layers", &mut ai.balanced_gpu_layers, |value| {
            whole(value, 0, 10_000).ok_or("must be a whole number from 0 to 10000")
        });
        section.take("context_tokens", &mut ai.context_tokens, |value| {
            whole(value, 256, 1 << 20).ok_or("must be a whole number from 256 to 1048576")
        });
        section.take("model", &mut ai.model, |value| match value {
            Value::Null => Ok(None),
            value => value.as_str().map(|name| Some(name.to_owned())).ok_or("must be a path, a name or null"),
        });
        section.take("standby", &mut ai.standby, |value| {
            Standby::deserialize(value).map_err(|_| "must be auto, on or off")
        });
        section.take("gpu_device", &mut ai.gpu_device, |value| {
            value.as_str().map(ToOwned::to_owned).ok_or("must be auto, a name or a PCI address")
        });
        section.take("cpu_threads", &mut ai.cpu_threads, |value| match value.as_str() {
            Some("auto") => Ok(CpuThreads::Auto),
            _ => whole(value, 1, 1024).map(CpuThreads::Count).ok_or("must be auto or a whole number from 1 to 1024"),
        });
        section.take("kv_type", &mut ai.kv_type, |value| {
            KvType::deserialize(value).map_err(|_| "must be f16, q8_0 or q4_0")
        });

        section.name = "gpu_monitoring";
        section.take("interval_seconds", &mut gpu_monitoring.interval_seconds, |value| {
            value.as_f64().filter(|seconds| (1.0..=60.0).contains(seconds)).ok_or("must be from 1 to 60 seconds")
        });
        section.take("csv_history_enabled", &mut gpu_monitoring.csv_history_enabled, boolean);
        gpu_monitoring.thresholds = salvage_thresholds(document, &mut faults);

        let mut section = Section { document, name: "library", faults: &mut faults };
        section.take("folders", &mut library.folders, folders);
        section.take("other_apps", &mut library.other_apps, boolean);

        section.name = "ui";
        section.take("language", &mut ui.language, |value| {
            one_of(value, &["system", "en", "fr"]).ok_or("must be system, en or fr")
        });
        section.take("theme", &mut ui.theme, |value| {
            one_of(value, &["system", "light", "dark"]).ok_or("must be system, light or dark")
        });
        section.take("close_to_tray", &mut ui.close_to_tray, boolean);
        section.take("autostart", &mut ui.autostart, boolean);
        section.take("notify_on_switch", &mut ui.notify_on_switch, boolean);

        section.name = "";
        section.take("override", &mut override_, |value| match value {
            Value::Null => Ok(None),
            value => override_setting(value).map(Some).ok_or("must have a kind (hold or give_up) and an until"),
        });
        (Self { ai, gpu_monitoring, library, ui, override_ }, faults)
    }

    /// Writes the settings into a document; keys Workly does not know stay as they are.
    pub fn write_into(&self, document: &mut Value) {
        if let Ok(settings) = serde_json::to_value(self) {
            merge(document, settings);
        }
        if let (None, Some(keys)) = (self.override_, document.as_object_mut()) {
            keys.remove("override");
        }
    }
}

struct Section<'a> {
    document: &'a Value,
    name: &'static str,
    faults: &'a mut Vec<SettingFault>,
}

impl Section<'_> {
    fn take<T: Serialize>(&mut self, key: &str, setting: &mut T, read: impl Fn(&Value) -> Result<T, &'static str>) {
        let section = if self.name.is_empty() { Some(self.document) } else { self.document.get(self.name) };
        let Some(value) = section.and_then(|section| section.get(key)) else { return };
        match read(value) {
            Ok(value) => *setting = value,
            Err(message) => {
                let key = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
                let fallback = serde_json::to_string(setting).unwrap_or_default();
                self.faults.push(SettingFault { key, message: message.to_owned(), fallback });
            }
        }
    }
}

/// Thresholds out of range fall back alone; thresholds that contradict each other fall back together.
fn salvage_thresholds(document: &Value, faults: &mut Vec<SettingFault>) -> Thresholds {
    const PATH: &str = "gpu_monitoring.thresholds";
    let defaults = Thresholds::default();
    let section = document.get("gpu_monitoring").and_then(|section| section.get("thresholds"));
    let mut read = |(key, default): (&'static str, f64)| {
        let Some(value) = section.and_then(|section| section.get(key)) else { return default };
        let percent = value.as_f64().filter(|percent| (1.0..=100.0).contains(percent));
        if percent.is_none() {
            let message = "must be a number from 1 to 100".to_owned();
            faults.push(SettingFault { key: format!("{PATH}.{key}"), message, fallback: default.to_string() });
        }
        percent.unwrap_or(default)
    };
    let [overload, stressed, optimal, stressed_gpu, optimal_gpu] = defaults.entries();
    let thresholds = Thresholds {
        overload_vram_percent: read(overload),
        stressed_vram_percent: read(stressed),
        optimal_vram_percent: read(optimal),
        stressed_gpu_percent: read(stressed_gpu),
        optimal_gpu_percent: read(optimal_gpu),
    };
    let Err(contradictions) = thresholds.validate() else { return thresholds };
    faults.extend(contradictions.into_iter().map(|fault| SettingFault {
        key: PATH.into(),
        message: fault.to_string(),
        fallback: "the default thresholds".into(),
    }));
    defaults
}

fn boolean(value: &Value) -> Result<bool, &'static str> {
    value.as_bool().ok_or("must be true or false")
}

fn folders(value: &Value) -> Result<Vec<String>, &'static str> {
    let wanted = "must be a list of up to 64 full paths of folders";
    let paths = value.as_array().filter(|paths| paths.len() <= MOST_FOLDERS).ok_or(wanted)?;
    let path = |value: &Value| value.as_str().filter(|path| Path::new(path).is_absolute()).map(ToOwned::to_owned);
    let mut folders: Vec<String> = paths.iter().map(path).collect::<Option<_>>().ok_or(wanted)?;
    let mut seen = BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    Ok(folders)
}

fn whole(value: &Value, least: u32, most: u32) -> Option<u32> {
    let number = u32::try_from(value.as_u64()?).ok()?;
    (least..=most).contains(&number).then_some(number)
}

fn one_of(value: &Value, names: &[&str]) -> Option<String> {
    value.as_str().filter(|name| names.contains(name)).map(ToOwned::to_owned)
}

fn override_setting(value: &Value) -> Option<OverrideSetting> {
    let kind = OverrideWish::deserialize(value.get("kind")?).ok()?;
    let until = match value.get("until") {
        None | Some(Value::Null) => None,
        Some(until) => Some(until.as_u64()?),
    };
    Some(OverrideSetting { kind, until })
}

fn merge(document: &mut Value, settings: Value) {
    match (document, settings) {
        (Value::Object(document), Value::Object(settings)) => {
            for (key, value) in settings {
                merge(document.entry(key).or_insert(Value::Null), value);
            }
        }
        (document, settings) => *document = settings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use serde_json::json;

    #[test]
    fn the_file_of_the_seed_works_unchanged() {
        let document = json!({ "ai": { "gpu_profile": "auto", "auto_switching_enabled": true } });
        assert_eq!(Settings::salvage(&document), (Settings::default(), vec![]));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut settings = Settings::default();
        settings.ai.gpu_profile = ProfileChoice::Fixed(Profile::Balanced);
        settings.ai.cpu_threads = CpuThreads::Count(6);
        settings.ai.kv_type = KvType::Q8_0;
        settings.gpu_monitoring.thresholds.overload_vram_percent = 95.0;
        settings.override_ = Some(OverrideSetting { kind: OverrideWish::GiveUp, until: Some(1_800_000_000) });
        let mut document = Value::Null;
        settings.write_into(&mut document);
        assert_eq!(Settings::salvage(&document), (settings, vec![]));
    }

    #[test]
    fn a_bad_value_falls_back_alone_and_is_named() {
        let document = json!({
            "ai": { "gpu_profile": "turbo", "context_tokens": -1, "balanced_gpu_layers": 20 },
            "gpu_monitoring": { "interval_seconds": 0, "thresholds": { "overload_vram_percent": 190, "stressed_vram_percent": 80 } },
            "ui": { "theme": 3, "language": "fr" },
            "override": { "kind": "nap" },
        });
        let (settings, faults) = Settings::salvage(&document);
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "ai.gpu_profile",
                "ai.context_tokens",
                "gpu_monitoring.interval_seconds",
                "gpu_monitoring.thresholds.overload_vram_percent",
                "ui.theme",
                "override",
            ]
        );
        assert_eq!(
            faults[1].to_string(),
            "ai.context_tokens: must be a whole number from 256 to 1048576; using 4096 instead"
        );
        assert_eq!(settings.ai.balanced_gpu_layers, 20);
        assert_eq!(settings.ui.language, "fr");
        assert!((settings.gpu_monitoring.thresholds.stressed_vram_percent - 80.0).abs() < f64::EPSILON);
    }

    #[test]
    fn thresholds_that_contradict_each_other_fall_back_together() {
        let document =
            json!({ "gpu_monitoring": { "thresholds": { "stressed_vram_percent": 95, "optimal_gpu_percent": 78 } } });
        let (settings, faults) = Settings::salvage(&document);
        assert_eq!(settings, Settings::default());
        assert_eq!(faults.len(), 2, "one message per fault: {faults:?}");
    }

    #[cfg(unix)]
    #[test]
    fn folders_of_the_library_are_full_paths_each_once() {
        let folders = |folders: Value| {
            let (settings, faults) = Settings::salvage(&json!({ "library": { "folders": folders } }));
            (settings.library.folders, faults.len())
        };
        assert_eq!(folders(json!(["/a", "/b", "/a"])), (vec!["/a".to_owned(), "/b".to_owned()], 0));
        for bad in [json!("/a"), json!(["models"]), json!([1]), json!(vec!["/a"; 65])] {
            assert_eq!(folders(bad), (vec![], 1));
        }
    }

    #[test]
    fn unknown_keys_survive_a_write() {
        let mut document =
            json!({ "ai": { "voice": "zephyr", "gpu_profile": "auto" }, "avatar": { "vrm": true }, "override": null });
        Settings::default().write_into(&mut document);
        assert_eq!(document["ai"]["voice"], "zephyr");
        assert_eq!(document["avatar"]["vrm"], true);
        assert_eq!(document["ai"]["context_tokens"], 4096);
        assert_eq!(document.get("override"), None);
    }

    #[test]
    fn a_file_that_is_no_object_gives_the_defaults_and_says_so() {
        for document in [json!([1, 2]), json!("x"), json!({ "ai": 7 }), json!(null)] {
            let (settings, faults) = Settings::salvage(&document);
            assert_eq!(settings, Settings::default());
            assert_eq!(faults.len(), usize::from(document.is_array() || document.is_string()));
        }
    }
}
