//! The window in sight and out of it.

use tauri::{AppHandle, Manager as _};

use crate::feeds::tell;

/// Label of the window, which its capabilities name.
pub(crate) const MAIN: &str = "main";

/// Brings the window to the front, from the tray or from behind others.
pub(crate) fn show(app: &AppHandle) {
    let Some(window) = app.get_webview_window(MAIN) else { return };
    tell::tell_missed(app);
    let shown = window.show().and_then(|()| window.unminimize()).and_then(|()| window.set_focus());
    if let Err(error) = shown {
        tracing::warn!("the window could not be brought to the front: {error}");
    }
}

/// Takes the window out of sight.
pub(crate) fn hide(app: &AppHandle) {
    let Some(window) = app.get_webview_window(MAIN) else { return };
    match window.hide() {
        Ok(()) => tell::wait_until_seen(app),
        Err(error) => tracing::warn!("the window could not be hidden: {error}"),
    }
}
