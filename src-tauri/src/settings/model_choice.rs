//! Which model answers, as the window chooses it: written into the settings, which the model manager follows.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tauri::{AppHandle, Manager as _};
use workly_core::problem::{Problem, ProblemCode};
use workly_files::places;
use workly_library::library::Library;
use workly_library::transfers::Transfers;
use workly_runtime::manager::ModelManager;
use workly_wire::models::ModelSource;

use crate::error::Answered;
use crate::settings::keeper::SettingsKeeper;

/// The key of the setting.
const KEY: &str = "ai.model";

/// The choice under way.
#[derive(Debug, Default)]
pub(crate) struct ModelChoice(Arc<Mutex<Option<UnderWay>>>);

/// A model that was chosen and is not loaded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UnderWay {
    /// The file that loads.
    path: PathBuf,
    /// What the setting said before.
    before: Option<String>,
}

impl ModelChoice {
    /// Makes this file the model that answers, and loads it.
    pub(crate) fn choose(&self, app: &AppHandle, library: &Library, path: &Path) -> Answered<()> {
        let (keeper, manager) = (app.state::<Arc<SettingsKeeper>>(), app.state::<ModelManager>());
        // Who changes their mind twice goes back to the model that last answered.
        let earlier = self.under_way().take().map(|under_way| under_way.before);
        let before = earlier.unwrap_or_else(|| keeper.settings().ai.model);
        write(app, &keeper, library, path)?;
        let under_way = UnderWay { path: path.to_path_buf(), before };
        *self.under_way() = Some(under_way.clone());
        let (state, manager) = (Arc::clone(&self.0), manager.inner().clone());
        tauri::async_runtime::spawn(async move {
            if manager.load().await.is_ok() {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.as_ref() == Some(&under_way) {
                    *state = None;
                }
            }
        });
        Ok(())
    }

    /// Gives a load up: back to the model before, or to none where nothing was chosen.
    pub(crate) fn cancel(&self, app: &AppHandle) -> Answered<()> {
        let (keeper, manager) = (app.state::<Arc<SettingsKeeper>>(), app.state::<ModelManager>());
        match self.under_way().take() {
            Some(UnderWay { before, .. }) => {
                keeper.edit(app, |settings| settings.ai.model = before)?;
                load(&manager);
            }
            None => manager.unload(),
        }
        Ok(())
    }

    fn under_way(&self) -> MutexGuard<'_, Option<UnderWay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads what the settings say; a failure is part of the manager's snapshot, which the window shows.
pub(crate) fn load(manager: &ModelManager) {
    let manager = manager.clone();
    tauri::async_runtime::spawn(async move { drop(manager.load().await) });
}

/// Writes a model into the settings.
pub(crate) fn write(app: &AppHandle, keeper: &SettingsKeeper, library: &Library, path: &Path) -> Answered<()> {
    if keeper.snapshot().fixed_by_arguments.iter().any(|key| key == KEY) {
        let message = "Workly was started with --model, which comes before every choice. Start it without.";
        return Err(Problem::new(ProblemCode::InvalidSetting, message));
    }
    let shown = library.snapshot();
    let is_embedded = (shown.borrow().models.iter())
        .any(|model| model.source == ModelSource::Embedded && Path::new(&model.path) == path);
    drop(shown);
    let value = if is_embedded { None } else { Some(name_of(path, places::data_dir().as_deref())?) };
    keeper.edit(app, |settings| settings.ai.model = value).map(drop)
}

/// Whether it is the model that answers.
pub(crate) fn is_chosen(library: &Library, id: &str) -> bool {
    library.snapshot().borrow().models.iter().any(|model| model.id == id && model.is_chosen)
}

/// Begins to import files, each for itself; of those that cannot be, the reasons.
pub(crate) async fn import(transfers: &Transfers, files: impl IntoIterator<Item = PathBuf>) -> Answered<()> {
    let mut refused = None;
    for file in files {
        if let Err(problem) = transfers.import(&file).await {
            tracing::info!(file = %file.display(), %problem, "not imported");
            refused.get_or_insert(problem);
        }
    }
    refused.map_or(Ok(()), Err)
}

/// How the settings name a file: by its name in Workly's own folder, so that the data folder may move, else by its path.
fn name_of(path: &Path, data_dir: Option<&Path>) -> Answered<String> {
    let own = data_dir.map(|folder| folder.join("models"));
    let name = if path.parent() == own.as_deref() { path.file_name().map(Path::new) } else { Some(path) };
    name.and_then(Path::to_str).map(str::to_owned).ok_or_else(|| {
        let message = format!("{} has a name that cannot be kept. Rename the file.", path.display());
        Problem::new(ProblemCode::InvalidSetting, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_our_own_folder_goes_by_its_name_and_others_by_their_path() {
        let name = |path: &str| name_of(Path::new(path), Some(Path::new("/data"))).unwrap();
        assert_eq!(name("/data/models/tiny.gguf"), "tiny.gguf");
        assert_eq!(name("/data/models/deep/tiny.gguf"), "/data/models/deep/tiny.gguf");
        assert_eq!(name("/home/ada/tiny.gguf"), "/home/ada/tiny.gguf");
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_text_is_refused_with_what_to_do() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new("/models").join(std::ffi::OsStr::from_bytes(b"\xff.gguf"));
        assert!(name_of(&path, None).unwrap_err().message.contains("Rename the file"));
    }
}
