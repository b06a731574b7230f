//! Keeps the library up to date with the settings, the model that is chosen and the card, and the window with it.

use std::sync::Arc;

use tauri::AppHandle;
use workly_files::places;
use workly_library::library::{Library, LibraryPlaces, Surroundings};
use workly_runtime::monitor::Monitor;
use workly_wire::models::LIBRARY_CHANGED;

use crate::feeds::events;
use crate::settings::keeper::SettingsKeeper;

/// Starts the library; its first search runs while the window opens.
pub(crate) fn start(app: &AppHandle, keeper: &Arc<SettingsKeeper>, monitor: &Monitor) -> std::io::Result<Library> {
    let places = LibraryPlaces {
        data_dir: places::data_dir(),
        embedded: places::embedded_model(keeper.resources()),
        surroundings: Surroundings::of_this_user(),
    };
    let library = Library::start(places, &keeper.settings(), Some(&keeper.model_settings().path))?;
    events::forward_watch(app.clone(), LIBRARY_CHANGED, library.snapshot());
    follow_settings(Arc::clone(keeper), library.clone());
    follow_card(monitor, library.clone());
    Ok(library)
}

fn follow_settings(keeper: Arc<SettingsKeeper>, library: Library) {
    let mut settings = keeper.subscribe();
    tauri::async_runtime::spawn(async move {
        while settings.changed().await.is_ok() {
            let now = settings.borrow_and_update().clone();
            library.configure(&now, Some(&keeper.model_settings().path));
        }
    });
}

/// A card that was seen once is told of until another is: nobody looks at it while no model is loaded.
fn follow_card(monitor: &Monitor, library: Library) {
    let mut snapshots = monitor.subscribe();
    tauri::async_runtime::spawn(async move {
        loop {
            let card = snapshots.borrow_and_update().card();
            if card.is_some() {
                library.set_card(card);
            }
            if snapshots.changed().await.is_err() {
                return;
            }
        }
    });
}
