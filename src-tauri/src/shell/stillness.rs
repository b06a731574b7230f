//! What `WebKitGTK` does again and again although nothing changes, and how it is kept from it. None of it has a setting of
//! its own.

use gtk::glib;
use gtk::prelude::{GtkSettingsExt as _, ObjectExt as _};

/// Time that the caret stays in sight before it blinks for the first time, milliseconds: days. GTK's own entries multiply
/// it by three and count in `i32`.
const STEADY: i32 = i32::MAX / 3;

/// Has nobody read the memory of page and program every few seconds: a page that shows a conversation has little to give
/// back when memory is short. Before there are threads, since it changes the environment.
pub(crate) fn leave_memory_alone() {
    if let Err(error) = glib::setenv("WEBKIT_DISABLE_MEMORY_PRESSURE_MONITOR", "1", false) {
        tracing::warn!("WebKitGTK goes on measuring its memory: {error}");
    }
}

/// Has the caret stand still, and scrollbars stay instead of fading away for three seconds after each scroll: each picture
/// wakes four threads in two processes. On the main thread, before the window opens.
pub(crate) fn draw_once() {
    let Some(settings) = gtk::Settings::default() else { return };
    // Not by turning the blinking off: with a caret that never blinks WebKitGTK (2.50) draws sixty times a second.
    settings.set_gtk_cursor_blink(true);
    settings.set_gtk_cursor_blink_time(STEADY);
    settings.set_property("gtk-overlay-scrolling", false);
}
