//! The tray: an icon with a menu that holds everything, since on Linux a left click never arrives.

mod look;
mod menu;
#[cfg(target_os = "linux")]
#[path = "indicator.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "native.rs"]
mod platform;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tauri::{AppHandle, Manager as _};
use workly_core::settings::Settings;
use workly_runtime::manager::ModelManager;

use crate::clock::unix_seconds;
use crate::settings::keeper::SettingsKeeper;
use crate::shell::actions::override_in_force;
use look::Look;

/// Shows the tray and keeps it true for as long as the program runs. A system without one is no error.
pub(crate) fn start(app: &AppHandle) {
    let mut model = app.state::<ModelManager>().snapshot();
    let mut settings = app.state::<Arc<SettingsKeeper>>().subscribe();
    let look = move |model: &workly_wire::model::ModelSnapshot, settings: &Settings| {
        Look::of(model, settings, unix_seconds(), &TimeZone::system())
    };
    let mut shown = look(&model.borrow_and_update(), &settings.borrow_and_update());
    if let Err(reason) = platform::create(app, &shown) {
        tracing::warn!("there is no tray: {reason}");
        return;
    }
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        loop {
            let override_ends = override_ends_in(&settings.borrow());
            tokio::select! {
                Ok(()) = model.changed() => {}
                Ok(()) = settings.changed() => {}
                () = tokio::time::sleep(override_ends.unwrap_or_default()), if override_ends.is_some() => {}
                else => return,
            }
            let present = look(&model.borrow_and_update(), &settings.borrow_and_update());
            if present != shown {
                shown = present.clone();
                if app.run_on_main_thread(move || platform::show(&present)).is_err() {
                    return;
                }
            }
        }
    });
}

/// Whether a person can reach Workly through the tray, on this thread, which is the main one.
pub(crate) fn is_reachable() -> bool {
    platform::is_reachable()
}

/// The time until the override in force is over.
fn override_ends_in(settings: &Settings) -> Option<Duration> {
    let now = unix_seconds();
    let until = override_in_force(settings, now)?.until?;
    Some(Duration::from_secs(until.saturating_sub(now)))
}
