//! The process that draws the page: it leaves the GPU alone, and when it dies, and `WebKitGTK` would leave an empty
//! window, the page is loaded again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tauri::WebviewWindow;
use webkit2gtk::{HardwareAccelerationPolicy, SettingsExt as _, WebViewExt as _};

use crate::settings::keeper::SettingsKeeper;
use crate::shell::messages::Words;

/// Most times that the page is loaded again within a minute.
const MOST: usize = 3;
const MINUTE: Duration = Duration::from_mins(1);

/// Has the page drawn by the CPU. Layers on the GPU would take memory of the card that the user plays on, several times the
/// size of the window; and with NVIDIA's driver they are a well-known cause of windows that stay blank.
pub(crate) fn leave_gpu_alone(window: &WebviewWindow) -> tauri::Result<()> {
    window.with_webview(|webview| {
        if let Some(settings) = webview.inner().settings() {
            settings.set_hardware_acceleration_policy(HardwareAccelerationPolicy::Never);
        }
    })
}

/// Loads the page again when its process has died; where that goes on, shows an empty page that says so, with a button
/// that tries once more.
pub(crate) fn keep_alive(window: &WebviewWindow, keeper: Arc<SettingsKeeper>) -> tauri::Result<()> {
    window.with_webview(move |webview| {
        let deaths = RefCell::new(Deaths::default());
        let page = RefCell::new(None);
        webview.inner().connect_web_process_terminated(move |view, reason| {
            let uri = view.uri().map(|uri| uri.to_string());
            // The empty page has the address of the page it stands for.
            let uri = page.borrow_mut().get_or_insert_with(|| uri.unwrap_or_default()).clone();
            if deaths.borrow_mut().is_too_often(Instant::now()) {
                tracing::error!("the process that draws the window ended again ({reason:?}); the page stays empty");
                view.load_html(&empty_page(&uri, Words::of(keeper.language())), Some(&uri));
            } else {
                tracing::error!("the process that draws the window ended ({reason:?}); the page is loaded again");
                view.load_uri(&uri);
            }
        });
    })
}

/// When the page's process died lately.
#[derive(Debug, Default)]
struct Deaths(VecDeque<Instant>);

impl Deaths {
    /// Notes a death; whether there were more within the last minute than a page is loaded again for.
    fn is_too_often(&mut self, now: Instant) -> bool {
        self.0.retain(|death| now.duration_since(*death) < MINUTE);
        self.0.push_back(now);
        self.0.len() > MOST
    }
}

/// A page that needs no script: why there is nothing to see, and the way back.
fn empty_page(uri: &str, words: &Words) -> String {
    let Words { page_gone, page_again, .. } = words;
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Workly</title><style>:root {{ color-scheme: light dark; \
         font: 15px system-ui; }} body {{ max-width: 30rem; margin: 20vh auto; padding: 0 2rem; }} a {{ display: \
         inline-block; padding: .5rem 1rem; border: 1px solid; border-radius: 6px; color: inherit; text-decoration: \
         none; }}</style><p>{page_gone}</p><a role=\"button\" href=\"{uri}\">{page_again}</a>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use workly_wire::words::Language;

    #[test]
    fn a_page_is_loaded_again_three_times_in_a_minute() {
        let (mut deaths, start) = (Deaths::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!([0, 1, 2, 3, 4].map(|second| deaths.is_too_often(after(second))), [false, false, false, true, true]);
        assert!(!deaths.is_too_often(after(70)), "what was long ago is forgiven");
    }

    #[test]
    fn the_empty_page_says_why_and_leads_back() {
        for language in Language::ALL {
            let words = Words::of(language);
            let page = empty_page("tauri://localhost", words);
            assert!(page.contains(words.page_gone) && page.contains("href=\"tauri://localhost\""), "{page}");
        }
    }
}
