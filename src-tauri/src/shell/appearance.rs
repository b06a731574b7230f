//! Light and dark, as far as the window's frame and the moment before the page is drawn are concerned.

use tauri::window::Color;
use tauri::{Theme, WebviewWindow};
use tokio::sync::watch;
use workly_core::settings::Settings;

/// `--background` of the page, light and dark: what is seen until the page is drawn.
const BACKGROUNDS: [Color; 2] = [Color(0xfc, 0xfc, 0xfb, 0xff), Color(0x1a, 0x1a, 0x1c, 0xff)];

/// The theme of the setting `ui.theme`; none for the system's own.
pub(crate) fn theme(setting: &str) -> Option<Theme> {
    match setting {
        "light" => Some(Theme::Light),
        "dark" => Some(Theme::Dark),
        _ => None,
    }
}

/// The colour of the empty window.
pub(crate) fn background(setting: &str) -> Color {
    let dark = theme(setting).map_or_else(is_system_dark, |theme| theme == Theme::Dark);
    BACKGROUNDS[usize::from(dark)]
}

/// Keeps the window's frame, and with it what the page takes for the system's choice, as the setting says.
pub(crate) fn follow(window: WebviewWindow, mut settings: watch::Receiver<Settings>) {
    let mut shown = settings.borrow_and_update().ui.theme.clone();
    tauri::async_runtime::spawn(async move {
        while settings.changed().await.is_ok() {
            let wanted = settings.borrow_and_update().ui.theme.clone();
            if wanted != shown {
                if let Err(error) = window.set_theme(theme(&wanted)) {
                    tracing::warn!("the window's theme could not be changed: {error}");
                }
                shown = wanted;
            }
        }
    });
}

#[cfg(target_os = "linux")]
fn is_system_dark() -> bool {
    use gtk::prelude::GtkSettingsExt as _;
    let forced = std::env::var("GTK_THEME").ok();
    let settings = gtk::Settings::default();
    let named = forced.or_else(|| Some(settings.as_ref()?.gtk_theme_name()?.to_string()));
    let preferred = settings.is_some_and(|settings| settings.is_gtk_application_prefer_dark_theme());
    preferred || named.is_some_and(|name| name.to_ascii_lowercase().ends_with("dark"))
}

// These draw the page before they show the window.
#[cfg(not(target_os = "linux"))]
fn is_system_dark() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_window_has_the_colour_of_the_page() {
        let styles = include_str!("../../../ui/src/style/tokens.css");
        let [light, dark] = BACKGROUNDS.map(|Color(red, green, blue, _)| format!("#{red:02x}{green:02x}{blue:02x}"));
        assert!(styles.contains(&format!("--background: light-dark({light}, {dark});")));
        assert_eq!(background("light"), BACKGROUNDS[0]);
        assert_eq!(background("dark"), BACKGROUNDS[1]);
        assert_eq!(theme("system"), None);
    }
}
