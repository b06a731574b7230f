//! The settings in force, for what runs outside of the window: the tray, notifications, closing, autostart.
//!
//! Everything here that needs a setting asks this file, and nothing else.

use std::path::Path;

use serde_json::Value;
use tauri::{AppHandle, Manager as _};
use tokio::sync::watch;
use workly_core::settings::Settings;
use workly_runtime::manager::{ModelManager, ModelSettings};

/// The settings, and how they reach the model.
#[derive(Debug)]
pub(crate) struct Preferences {
    settings: watch::Sender<Settings>,
    /// What the command line asked for.
    model: ModelSettings,
}

impl Preferences {
    /// The settings of `config.json` in the data folder; a profile named on the command line comes before the file's.
    pub(crate) fn load(data_dir: Option<&Path>, model: &ModelSettings) -> Self {
        let file = data_dir.and_then(|folder| std::fs::read_to_string(folder.join("config.json")).ok());
        let document = file.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null);
        let (mut settings, _) = Settings::salvage(&document);
        if model.profile != settings.ai.gpu_profile && model.profile.name() != "auto" {
            settings.ai.gpu_profile = model.profile;
        }
        let model = Self::applied(model.clone(), &settings);
        Self { settings: watch::Sender::new(settings), model }
    }

    /// How the model is to run now.
    pub(crate) fn model(&self) -> ModelSettings {
        self.model.clone()
    }

    /// The settings now.
    pub(crate) fn current(&self) -> Settings {
        self.settings.borrow().clone()
    }

    /// The settings and every change of them.
    pub(crate) fn watch(&self) -> watch::Receiver<Settings> {
        self.settings.subscribe()
    }

    /// Changes settings, which take effect at once.
    pub(crate) fn change(&self, app: &AppHandle, edit: impl FnOnce(&mut Settings)) {
        self.settings.send_modify(edit);
        app.state::<ModelManager>().configure(Self::applied(self.model.clone(), &self.settings.borrow()));
    }

    fn applied(mut model: ModelSettings, settings: &Settings) -> ModelSettings {
        model.profile = settings.ai.gpu_profile;
        model.auto_switching = settings.ai.auto_switching_enabled;
        model.override_ = settings.override_;
        model
    }
}
