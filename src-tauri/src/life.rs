//! The life of the program: one at a time, ended cleanly.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::time::Duration;

use tauri::plugin::TauriPlugin;
use tauri::{AppHandle, Manager as _, Wry};
use tauri_plugin_window_state::StateFlags;
use workly_runtime::chats::Chats;
use workly_runtime::manager::ModelManager;
use workly_runtime::places;
use workly_runtime::transfers::Transfers;

use crate::actions::{self, Action};

/// Longest wait for the worker at the end; one that stays is ended by the system when this process is gone.
const WORKER_PATIENCE: Duration = Duration::from_millis(900);

/// A second start brings the first one's window to the front, whatever its arguments, and ends.
///
/// Starts with data folders of their own live side by side.
pub(crate) fn single_instance() -> TauriPlugin<Wry> {
    tauri_plugin_single_instance::Builder::new()
        .dbus_id(instance_name(std::env::var_os("WORKLY_DATA_DIR").as_deref().map(Path::new)))
        .callback(|app, _, _| actions::perform(app, Action::Show))
        .build()
}

/// A name for the session bus, the same for every spelling of a data folder.
fn instance_name(data_dir: Option<&Path>) -> String {
    let base = "app.workly.desktop";
    match data_dir.filter(|folder| !folder.as_os_str().is_empty()) {
        None => base.to_owned(),
        Some(folder) => {
            let mut hasher = DefaultHasher::new();
            std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).hash(&mut hasher);
            format!("{base}.d{:016x}", hasher.finish())
        }
    }
}

/// Remembers the window's size and place from one run to the next, with the rest of the data.
pub(crate) fn window_state() -> TauriPlugin<Wry> {
    let file = places::data_dir().map(|folder| folder.join("window.json"));
    let builder = tauri_plugin_window_state::Builder::new()
        .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED);
    match file {
        Some(file) => builder.with_filename(file.to_string_lossy()).build(),
        None => builder.build(),
    }
}

/// Ends the program as its menu would when the session or a terminal asks it to. From the return of this on, no such
/// signal ends it otherwise; one that comes before the program runs is heard once it does.
#[cfg(unix)]
pub(crate) fn quit_on_signals(app: &AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};
    let app = app.clone();
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] =
        tauri::async_runtime::block_on(async { kinds.map(signal) })
    else {
        tracing::warn!("signals cannot be heard; the system ends the program without asking");
        return;
    };
    tauri::async_runtime::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        actions::perform(&app, Action::Quit);
    });
}

/// Keeps what is being written, and ends the worker. Tauri leaves without running destructors, which would otherwise do
/// it.
pub(crate) fn end_worker(app: &AppHandle) {
    let (chats, manager) = (app.state::<Chats<ModelManager>>(), app.state::<ModelManager>());
    let transfers = app.state::<Transfers>();
    let end = async {
        // What is on its way goes on at the next start.
        transfers.rest().await;
        chats.shut_down().await;
        manager.shut_down().await;
    };
    tauri::async_runtime::block_on(async {
        if tokio::time::timeout(WORKER_PATIENCE, end).await.is_err() {
            tracing::warn!("the worker did not end in time; it ends with this process");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_folders_live_side_by_side_and_each_has_one_program() {
        let of = |folder: &str| instance_name(Some(Path::new(folder)));
        assert_eq!(of("/data/one"), of("/data/one/"));
        assert_ne!(of("/data/one"), of("/data/two"));
        assert_eq!(instance_name(Some(Path::new(""))), instance_name(None));
        assert_ne!(of("/data/one"), instance_name(None));
        // The parts of a bus name are separated by dots, and none begins with a digit.
        let name = of("/data/one");
        assert!(name.split('.').all(|part| part.starts_with(|first: char| first.is_ascii_alphabetic())), "{name}");
    }
}
