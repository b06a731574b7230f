//! The one window.

use tauri::{App, Url, WebviewUrl, WebviewWindowBuilder};

/// Label of the window, which its capabilities name.
pub(crate) const MAIN: &str = "main";

/// Opens the window. It never goes anywhere but to Workly's own pages.
pub(crate) fn open(app: &App) -> tauri::Result<()> {
    WebviewWindowBuilder::new(app, MAIN, WebviewUrl::default())
        .title("Workly")
        .inner_size(1120.0, 760.0)
        .min_inner_size(480.0, 480.0)
        .on_navigation(is_own_page)
        .on_new_window(|_, _| tauri::webview::NewWindowResponse::Deny)
        .build()?;
    Ok(())
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
