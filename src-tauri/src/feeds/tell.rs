//! The one way to send the window an event.

use serde::Serialize;
use tauri::{AppHandle, Emitter as _};

/// Tells the window of something.
pub(crate) fn tell(app: &AppHandle, event: &str, content: impl Serialize + Clone) {
    if let Err(error) = app.emit(event, content) {
        tracing::warn!(event, "the window could not be told: {error}");
    }
}
