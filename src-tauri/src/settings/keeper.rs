//! The settings while the program runs: one owner, who writes the file, takes in edits from outside, and tells everyone.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tauri::{AppHandle, Manager as _};
use tauri_plugin_store::StoreBuilder;
use tokio::sync::watch;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::settings::{OverrideSetting, OverrideWish, SettingFault, Settings};
use workly_core::settings_keys;
use workly_files::places;
use workly_runtime::arguments::ModelArguments;
use workly_runtime::manager::{ModelManager, ModelSettings};
use workly_runtime::monitor::{Monitor, MonitorSettings};
use workly_runtime::settings_file::{Found, SettingsFile, SettingsWatch};
use workly_wire::settings::{SETTINGS_CHANGED, SettingsNotice, SettingsSnapshot};
use workly_wire::words::Language;

use crate::clock::unix_seconds;
use crate::error::Answered;
use crate::feeds::tell::tell;
use crate::shell::messages::language_of;

/// The owner of the settings.
pub(crate) struct SettingsKeeper {
    file: Mutex<SettingsFile>,
    values: watch::Sender<Settings>,
    /// Held while settings are brought to everyone: of two changes at once, the later must arrive last.
    applying: Mutex<()>,
    arguments: ModelArguments,
    resources: Option<PathBuf>,
}

impl SettingsKeeper {
    /// Reads the file, and repairs it where it must be.
    pub(crate) fn open(arguments: ModelArguments, resources: Option<PathBuf>) -> Self {
        // A system without a folder for data is rare; settings then last until the next clean-up.
        let folder = places::data_dir().unwrap_or_else(|| std::env::temp_dir().join("workly"));
        let file = SettingsFile::open(&folder);
        let (values, _) = watch::channel(file.settings().clone());
        Self { file: Mutex::new(file), values, applying: Mutex::new(()), arguments, resources }
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Settings {
        self.values.borrow().clone()
    }

    /// The settings in force, and every change of them.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Settings> {
        self.values.subscribe()
    }

    /// The language in which the user is spoken to.
    pub(crate) fn language(&self) -> Language {
        language_of(&self.values.borrow().ui.language)
    }

    /// What the model manager is to do, the command line's arguments before the settings.
    pub(crate) fn model_settings(&self) -> ModelSettings {
        let settings = self.values.borrow().clone();
        let data_dir = places::data_dir();
        self.arguments.settings_with(&settings, self.resources.as_deref(), data_dir.as_deref())
    }

    /// What the monitor is to do.
    pub(crate) fn monitor_settings(&self) -> MonitorSettings {
        let device = self.model_settings().gpu;
        let history = self.file().folder().join("gpu-history.csv");
        MonitorSettings::new(&self.values.borrow().gpu_monitoring, device, history)
    }

    /// Where the installed program keeps what came with it.
    pub(crate) fn resources(&self) -> Option<&std::path::Path> {
        self.resources.as_deref()
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.file().folder().to_path_buf()
    }

    /// The settings as the window shows them.
    pub(crate) fn snapshot(&self) -> SettingsSnapshot {
        let file = self.file();
        let mut values = file.settings().clone();
        values.override_ = values.override_.filter(|wish| wish.until.is_none_or(|until| until > unix_seconds()));
        SettingsSnapshot {
            changed: settings_keys::changed(&values),
            values,
            defaults: Settings::default(),
            notices: file.notices(),
            folder: Some(file.folder().display().to_string()),
            fixed_by_arguments: self.arguments.taken_over().into_iter().map(str::to_owned).collect(),
        }
    }

    /// Sets one value by its key, such as `ui.theme`.
    pub(crate) fn set(&self, app: &AppHandle, key: &str, value: Value) -> Answered<SettingsSnapshot> {
        self.change(app, |document| settings_keys::set(document, key, value))
    }

    /// Gives one value its default again, or all of them where no key is named.
    pub(crate) fn reset(&self, app: &AppHandle, key: Option<&str>) -> Answered<SettingsSnapshot> {
        self.change(app, |document| Ok(settings_keys::reset(document, key.unwrap_or_default())))
    }

    /// Asks for the GPU to be held or given up for a while, or until it is cancelled; no wish cancels.
    pub(crate) fn set_override(
        &self,
        app: &AppHandle,
        wish: Option<OverrideWish>,
        time: Option<Duration>,
    ) -> Answered<SettingsSnapshot> {
        let until = time.map(|time| unix_seconds() + time.as_secs());
        self.edit(app, |settings| settings.override_ = wish.map(|kind| OverrideSetting { kind, until }))
    }

    /// Changes settings as values; only what differs is written.
    pub(crate) fn edit(&self, app: &AppHandle, edit: impl FnOnce(&mut Settings)) -> Answered<SettingsSnapshot> {
        self.change(app, |document| {
            let (before, _) = Settings::salvage(document);
            let mut after = before.clone();
            edit(&mut after);
            settings_keys::edit(document, &before, &after)
        })
    }

    /// The user has read what was to be told about the file.
    pub(crate) fn dismiss_notices(&self, app: &AppHandle) -> SettingsSnapshot {
        self.file().dismiss_notices();
        self.tell(app)
    }

    /// Follows edits of the file from outside, for as long as the program runs.
    pub(crate) fn follow_edits(self: &Arc<Self>, app: &AppHandle) {
        let (keeper, app) = (Arc::clone(self), app.clone());
        tauri::async_runtime::spawn(async move {
            let path = keeper.file().path();
            let watch = std::fs::create_dir_all(keeper.folder())
                .map_err(|error| error.to_string())
                .and_then(|()| SettingsWatch::start(&path).map_err(|error| error.to_string()));
            let mut watch = match watch {
                Ok(watch) => watch,
                Err(detail) => {
                    keeper.file().notice(SettingsNotice::NotWatched { detail });
                    return;
                }
            };
            while watch.edited().await.is_some() {
                let found = keeper.file().look_again();
                match found {
                    Found::Nothing => {}
                    Found::Change => keeper.apply(&app),
                    Found::Broken => drop(keeper.tell(&app)),
                }
            }
        });
    }

    fn change(
        &self,
        app: &AppHandle,
        change: impl FnOnce(&Value) -> Result<Value, SettingFault>,
    ) -> Answered<SettingsSnapshot> {
        {
            let mut file = self.file();
            // An edit from outside that was not told of yet is not to be lost.
            file.look_again();
            let document = change(file.document()).map_err(refused)?;
            file.prepare(document).map_err(not_saved)?;
            write(app, &file).map_err(not_saved)?;
        }
        self.apply(app);
        Ok(self.snapshot())
    }

    /// Brings the settings to everyone they concern.
    fn apply(&self, app: &AppHandle) {
        let _in_turn = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = self.file().settings().clone();
        self.values.send_replace(settings);
        app.state::<ModelManager>().configure(self.model_settings());
        app.state::<Arc<Monitor>>().set_settings(self.monitor_settings());
        self.tell(app);
    }

    fn tell(&self, app: &AppHandle) -> SettingsSnapshot {
        let snapshot = self.snapshot();
        tell(app, SETTINGS_CHANGED, &snapshot);
        snapshot
    }

    fn file(&self) -> MutexGuard<'_, SettingsFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the document into the store, and what the store holds into the file. The store's own way of saving is not
/// whole at every moment. It lives only as long: an open one writes once more at the end of the program, over whatever an
/// editor has written since.
fn write(app: &AppHandle, file: &SettingsFile) -> tauri_plugin_store::Result<()> {
    let store = StoreBuilder::new(app, file.path()).create_new().disable_auto_save().build()?;
    for (key, value) in file.document().as_object().into_iter().flatten() {
        store.set(key.clone(), value.clone());
    }
    let entries: HashMap<String, Value> = store.entries().into_iter().collect();
    let written = file.write(&entries);
    store.close_resource();
    Ok(written?)
}

fn refused(fault: SettingFault) -> Problem {
    let SettingFault { key, message, .. } = fault;
    Problem::new(ProblemCode::InvalidSetting, format!("{key} {message}."))
}

fn not_saved(error: impl std::error::Error) -> Problem {
    let message = "The settings could not be saved. Free some space, or allow Workly to write to its data folder.";
    Problem::new(ProblemCode::NotSaved, message).with_details(error.to_string())
}
