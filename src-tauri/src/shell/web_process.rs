//! The process that draws the page: it leaves the GPU alone, and when it dies, and `WebKitGTK` would leave an empty
//! window, the page is loaded again.

use std::cell::Cell;
use std::time::{Duration, Instant};

use gtk::glib;
use tauri::WebviewWindow;
use webkit2gtk::{HardwareAccelerationPolicy, SettingsExt as _, WebViewExt as _};

/// A process that lived longer than this did not die of the page, which is loaded again at once.
const STABLE: Duration = Duration::from_secs(10);
/// The wait before the page is loaded again otherwise, so that one that always kills its process does no harm.
const PAUSE: Duration = Duration::from_secs(2);

/// Has the page drawn by the CPU. Layers on the GPU would take memory of the card that the user plays on, several times the
/// size of the window; and with NVIDIA's driver they are a well-known cause of windows that stay blank.
pub(crate) fn leave_gpu_alone(window: &WebviewWindow) -> tauri::Result<()> {
    window.with_webview(|webview| {
        if let Some(settings) = webview.inner().settings() {
            settings.set_hardware_acceleration_policy(HardwareAccelerationPolicy::Never);
        }
    })
}

/// Loads the page again whenever its process has died.
pub(crate) fn keep_alive(window: &WebviewWindow) -> tauri::Result<()> {
    window.with_webview(|webview| {
        let born = Cell::new(Instant::now());
        webview.inner().connect_web_process_terminated(move |view, reason| {
            let lived = born.replace(Instant::now()).elapsed();
            tracing::error!("the process that draws the window ended ({reason:?}); the page is loaded again");
            let view = view.clone();
            let pause = if lived < STABLE { PAUSE } else { Duration::ZERO };
            glib::timeout_add_local_once(pause, move || view.reload());
        });
    })
}
