//! The one window.

use std::sync::Arc;
use std::time::Duration;

use tauri::webview::PageLoadEvent;
use tauri::{App, AppHandle, Manager as _, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder, WindowEvent};
use workly_files::places;

use crate::feeds::tell;
use crate::settings::keeper::SettingsKeeper;
use crate::shell::{appearance, file_drop, front, tray};
#[cfg(target_os = "linux")]
use crate::shell::{stillness, web_process};

/// How long a start without a window waits for a tray: at the start of a session the panel may come up later.
const TRAY_PATIENCE: Duration = Duration::from_secs(20);

/// Opens the window. It never goes anywhere but to Workly's own pages.
///
/// With `hidden` it stays out of sight, for as long as there is a tray to bring it back.
pub(crate) fn open(app: &App, hidden: bool) -> tauri::Result<()> {
    let preferences = app.state::<Arc<SettingsKeeper>>();
    let theme = preferences.settings().ui.theme;
    let mut builder = WebviewWindowBuilder::new(app, front::MAIN, WebviewUrl::default())
        .title("Workly")
        .inner_size(1120.0, 760.0)
        .min_inner_size(480.0, 480.0)
        .theme(appearance::theme(&theme))
        .background_color(appearance::background(&theme))
        .visible(!hidden)
        .on_navigation(is_own_page)
        .on_page_load(|_, page| {
            if page.event() == PageLoadEvent::Finished {
                // The page's script has run by now: a person can type.
                tracing::debug!("the page is there");
            }
        })
        .on_new_window(|_, _| tauri::webview::NewWindowResponse::Deny);
    if let Some(folder) = places::data_dir() {
        builder = builder.data_directory(folder.join("webview"));
    }
    #[cfg(target_os = "linux")]
    stillness::draw_once();
    let window = builder.build()?;
    #[cfg(target_os = "linux")]
    {
        web_process::leave_gpu_alone(&window)?;
        web_process::keep_alive(&window, Arc::clone(&preferences))?;
    }
    hide_instead_of_closing(&window);
    take_dropped_files(&window);
    appearance::follow(window, preferences.subscribe());
    if hidden {
        tell::wait_until_seen(app.handle());
        show_without_tray(app.handle().clone());
    }
    Ok(())
}

/// Closing leaves Workly in the tray where the user wants that and there is a tray; else it ends Workly.
fn hide_instead_of_closing(window: &WebviewWindow) {
    let app = window.app_handle().clone();
    window.on_window_event(move |event| {
        if let WindowEvent::CloseRequested { api, .. } = event
            && app.state::<Arc<SettingsKeeper>>().settings().ui.close_to_tray
            && tray::is_reachable()
        {
            api.prevent_close();
            front::hide(&app);
        }
    });
}

/// Models that are let go over the window are imported.
fn take_dropped_files(window: &WebviewWindow) {
    let app = window.app_handle().clone();
    window.on_window_event(move |event| {
        if let WindowEvent::DragDrop(event) = event {
            file_drop::follow(&app, event);
        }
    });
}

/// Shows a hidden window after all if no tray comes up.
fn show_without_tray(app: AppHandle) {
    tauri::async_runtime::spawn(async move {
        tokio::time::sleep(TRAY_PATIENCE).await;
        let handle = app.clone();
        let _ = app.run_on_main_thread(move || {
            if !tray::is_reachable() {
                front::show(&handle);
            }
        });
    });
}

/// The last of three walls around what a model writes: whatever gets past the sanitiser and the content policy still
/// cannot take the window to another page.
fn is_own_page(url: &Url) -> bool {
    match url.scheme() {
        "tauri" => true,
        // How Windows spells the same thing.
        "http" | "https" => cfg!(windows) && url.host_str() == Some("tauri.localhost"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_stays_on_its_own_pages() {
        let goes = |url: &str| is_own_page(&Url::parse(url).unwrap());
        assert!(goes("tauri://localhost/index.html"));
        for elsewhere in ["https://example.org", "http://localhost:8080", "file:///etc/passwd", "data:text/html,hi"] {
            assert!(!goes(elsewhere), "{elsewhere}");
        }
    }
}
