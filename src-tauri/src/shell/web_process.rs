//! The process that draws the page: it leaves the GPU alone, and when it dies, and `WebKitGTK` would leave an empty
//! window, the page is loaded again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gtk::glib;
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
        webview.inner().connect_web_process_terminated(move |view, reason| {
            let address = view.uri().map(|uri| uri.to_string()).unwrap_or_default();
            let given_up = deaths.borrow_mut().is_too_often(Instant::now());
            let next = if given_up { "the page stays empty" } else { "the page is loaded again" };
            tracing::error!("the process that draws the window ended ({reason:?}); {next}");
            let empty = given_up.then(|| empty_page(&address, Words::of(keeper.language())));
            let view = view.clone();
            // Once the view has taken in that its process is gone.
            glib::idle_add_local_once(move || match empty {
                Some(empty) => view.load_html(&empty, Some(&address)),
                None => view.load_uri(&address),
            });
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

/// A page that needs no script: why there is nothing to see, and the way back to the page it stands for.
fn empty_page(address: &str, words: &Words) -> String {
    // With its fragment the address would be a place on this very page.
    let address = address.split('#').next().unwrap_or_default();
    let Words { page_gone, page_again, .. } = words;
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Workly</title><style>:root {{ color-scheme: light dark; \
         font: 15px system-ui; }} body {{ max-width: 30rem; margin: 20vh auto; padding: 0 2rem; }} a {{ display: \
         inline-block; padding: .5rem 1rem; border: 1px solid; border-radius: 6px; color: inherit; text-decoration: \
         none; }}</style><p>{page_gone}</p><a role=\"button\" href=\"{address}\">{page_again}</a>"
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
            let page = empty_page("tauri://localhost/#monitor", words);
            assert!(page.contains(words.page_gone) && page.contains("href=\"tauri://localhost/\""), "{page}");
        }
    }
}
