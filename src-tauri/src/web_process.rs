//! The process that draws the page. When it dies, `WebKitGTK` leaves an empty window; here the page is loaded again.

use std::cell::Cell;
use std::time::{Duration, Instant};

use gtk::glib;
use tauri::WebviewWindow;
use webkit2gtk::WebViewExt as _;

/// A process that lived longer than this did not die of the page, which is loaded again at once.
const STABLE: Duration = Duration::from_secs(10);
/// The wait before the page is loaded again otherwise, so that one that always kills its process does no harm.
const PAUSE: Duration = Duration::from_secs(2);

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
