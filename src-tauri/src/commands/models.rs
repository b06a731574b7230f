//! Models: the library, what can be fetched, and what is on its way.
#![expect(clippy::needless_pass_by_value, reason = "the shape in which Tauri passes arguments")]

use std::path::PathBuf;
use std::sync::Arc;

use tauri::{AppHandle, Manager as _, State};
use tauri_plugin_dialog::DialogExt as _;
use tokio::sync::oneshot;
use workly_core::problem::{Problem, ProblemCode};
use workly_library::library::{self, Library};
use workly_library::transfers::Transfers;
use workly_library::{catalogue, catalogue_view};
use workly_runtime::manager::ModelManager;
use workly_wire::models::{CatalogueModel, LibrarySnapshot, Transfer};

use crate::error::Answered;
use crate::settings::keeper::SettingsKeeper;
use crate::settings::model_choice::{self, ModelChoice};
use crate::shell::front;

/// The library as it is now.
#[tauri::command]
pub(crate) fn library_snapshot(library: State<'_, Library>) -> LibrarySnapshot {
    library.snapshot().borrow().clone()
}

/// Searches every folder again.
#[tauri::command]
pub(crate) fn refresh_library(library: State<'_, Library>) {
    library.refresh();
}

/// Asks for a folder in the system's own dialog and searches it from now on.
#[tauri::command]
pub(crate) async fn add_model_folder(
    app: AppHandle,
    keeper: State<'_, Arc<SettingsKeeper>>,
    title: String,
) -> Answered<()> {
    let (done, chosen) = oneshot::channel();
    dialog(&app, &title).pick_folder(move |folder| drop(done.send(folder)));
    let Some(folder) = chosen.await.ok().flatten().and_then(|folder| folder.into_path().ok()) else { return Ok(()) };
    let mut settings = keeper.settings();
    library::add_folder(&mut settings, &folder)?;
    keeper.edit(&app, |kept| kept.library.folders = settings.library.folders).map(drop)
}

/// Does not search a folder any more; nothing in it is touched.
#[tauri::command(async)]
pub(crate) fn remove_model_folder(app: AppHandle, keeper: State<'_, Arc<SettingsKeeper>>, path: &str) -> Answered<()> {
    keeper.edit(&app, |settings| library::remove_folder(settings, path)).map(drop)
}

/// Asks for model files in the system's own dialog and begins to import them.
#[tauri::command]
pub(crate) async fn import_models(app: AppHandle, transfers: State<'_, Transfers>, title: String) -> Answered<()> {
    let (done, chosen) = oneshot::channel();
    dialog(&app, &title).add_filter("GGUF", &["gguf"]).pick_files(move |files| drop(done.send(files)));
    let files = chosen.await.ok().flatten().unwrap_or_default();
    model_choice::import(&transfers, files.into_iter().filter_map(|file| file.into_path().ok())).await
}

/// Gives a model of Workly's own folder another name.
#[tauri::command]
pub(crate) async fn rename_model(
    app: AppHandle,
    library: State<'_, Library>,
    keeper: State<'_, Arc<SettingsKeeper>>,
    id: String,
    title: String,
) -> Answered<()> {
    let is_chosen = model_choice::is_chosen(&library, &id);
    let renamed = library.rename(&id, &title).await?;
    match library.path_of(&renamed) {
        Some(path) if is_chosen => model_choice::write(&app, &keeper, &library, &path),
        _ => Ok(()),
    }
}

/// Deletes a model of Workly's own folder. If it is in use, Workly goes back to the one it comes with.
#[tauri::command]
pub(crate) async fn delete_model(
    app: AppHandle,
    library: State<'_, Library>,
    keeper: State<'_, Arc<SettingsKeeper>>,
    manager: State<'_, ModelManager>,
    id: String,
) -> Answered<()> {
    let was_chosen = model_choice::is_chosen(&library, &id);
    library.delete(&id).await?;
    if was_chosen {
        keeper.edit(&app, |settings| settings.ai.model = None)?;
        model_choice::load(&manager);
    }
    Ok(())
}

/// Shows the file of a model in the system's file manager.
#[tauri::command(async)]
pub(crate) fn reveal_model(library: State<'_, Library>, id: &str) -> Answered<()> {
    let path = path_of(&library, id)?;
    tauri_plugin_opener::reveal_item_in_dir(&path).map_err(|error| {
        let message = format!("The folder could not be opened. The file is {}.", path.display());
        Problem::new(ProblemCode::LinkRefused, message).with_details(error.to_string())
    })
}

/// Makes it the model that answers. The conversation stays; an answer being written is finished by the model before.
#[tauri::command(async)]
pub(crate) fn use_model(app: AppHandle, library: State<'_, Library>, id: &str) -> Answered<()> {
    let path = path_of(&library, id)?;
    app.state::<ModelChoice>().choose(&app, &library, &path)
}

/// Gives the load up: back to the model before, or to none.
#[tauri::command(async)]
pub(crate) fn cancel_load(app: AppHandle) -> Answered<()> {
    app.state::<ModelChoice>().cancel(&app)
}

/// The models that can be fetched, those that fit best first.
#[tauri::command(async)]
pub(crate) fn catalogue(
    library: State<'_, Library>,
    keeper: State<'_, Arc<SettingsKeeper>>,
) -> Answered<Vec<CatalogueModel>> {
    let library = library.snapshot().borrow().clone();
    Ok(catalogue_view::seen_from_here(catalogue::models()?, &library, &keeper.settings()))
}

/// What is on its way, and what ended and was not put away.
#[tauri::command]
pub(crate) fn transfers(transfers: State<'_, Transfers>) -> Vec<Transfer> {
    transfers.list()
}

/// Begins to fetch a model of the catalogue.
#[tauri::command]
pub(crate) async fn start_download(transfers: State<'_, Transfers>, id: String) -> Answered<()> {
    transfers.fetch(&catalogue::find(&id)?).await.map(drop)
}

/// Pauses a transfer; what is here of it stays.
#[tauri::command]
pub(crate) async fn pause_transfer(transfers: State<'_, Transfers>, id: String) -> Answered<()> {
    transfers.pause(&id).await
}

/// Goes on with a transfer that is paused or failed.
#[tauri::command]
pub(crate) async fn resume_transfer(transfers: State<'_, Transfers>, id: String) -> Answered<()> {
    transfers.resume(&id).await
}

/// Takes a transfer off the list and removes what is here of it; a model that came in stays.
#[tauri::command]
pub(crate) async fn cancel_transfer(transfers: State<'_, Transfers>, id: String) -> Answered<()> {
    transfers.cancel(&id).await
}

fn path_of(library: &Library, id: &str) -> Answered<PathBuf> {
    library.path_of(id).ok_or_else(|| {
        let message = "This model is not in the library any more. Choose another one.";
        Problem::new(ProblemCode::ModelMissing, message)
    })
}

fn dialog(app: &AppHandle, title: &str) -> tauri_plugin_dialog::FileDialogBuilder<tauri::Wry> {
    let dialog = app.dialog().file().set_title(title);
    let dialog = match app.path().download_dir().or_else(|_| app.path().home_dir()) {
        Ok(folder) => dialog.set_directory(folder),
        Err(_) => dialog,
    };
    match app.get_webview_window(front::MAIN) {
        Some(window) => dialog.set_parent(&window),
        None => dialog,
    }
}
