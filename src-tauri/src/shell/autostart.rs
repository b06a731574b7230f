//! Starting with the session, as the setting says.

use std::sync::Arc;

use tauri::{AppHandle, Manager as _};
use tauri_plugin_autostart::ManagerExt as _;

use crate::settings::keeper::SettingsKeeper;

/// What a start with the session passes: it stays in the tray.
pub(crate) const ARGUMENT: &str = "--hidden";

/// Keeps the session's list of programs as the setting says, for as long as the program runs.
pub(crate) fn start(app: &AppHandle) {
    let mut settings = app.state::<Arc<SettingsKeeper>>().subscribe();
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let mut wanted = settings.borrow_and_update().ui.autostart;
        loop {
            apply(&app, wanted);
            let before = wanted;
            while wanted == before {
                if settings.changed().await.is_err() {
                    return;
                }
                wanted = settings.borrow_and_update().ui.autostart;
            }
        }
    });
}

fn apply(app: &AppHandle, wanted: bool) {
    let list = app.autolaunch();
    let result = match list.is_enabled() {
        Ok(present) if present == wanted => Ok(()),
        _ if wanted => list.enable(),
        _ => list.disable(),
    };
    if let Err(error) = result {
        tracing::warn!("starting with the session could not be turned {}: {error}", if wanted { "on" } else { "off" });
    }
}
