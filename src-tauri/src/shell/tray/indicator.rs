//! The tray on Linux: a `StatusNotifierItem` with a GTK menu, through libayatana-appindicator.
//!
//! Tauri's own tray uses the same library, but gives the item no title, which panels show as its tooltip, and no icon
//! names. The library is loaded at run time; where it is missing there is no tray.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::{fs, io};

use gtk::prelude::*;
use gtk::{gio, glib};
use libappindicator::{AppIndicator, AppIndicatorStatus};
use tauri::AppHandle;
use workly_files::places;

use super::look::Look;
use super::menu::{self, Entry, MENU};
use crate::shell::actions::{self, Action};

/// Longest wait for the session bus when the window is closed, milliseconds.
const BUS_PATIENCE: i32 = 500;

macro_rules! icons {
    ($size:literal) => {
        [
            icons!($size, "workly-performance"),
            icons!($size, "workly-balanced"),
            icons!($size, "workly-cpu"),
            icons!($size, "workly-off"),
        ]
    };
    ($size:literal, $name:literal) => {
        (
            concat!($name, ".png"),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/icons/tray/", $size, "/", $name, ".png")).as_slice(),
        )
    };
}

/// A file's name and content.
type Picture = (&'static str, &'static [u8]);

/// The icons by the size of the folder they lie in, as the icon theme specification has it.
const ICONS: [(&str, [Picture; 4]); 5] = [
    ("16x16", icons!("16")),
    ("22x22", icons!("22")),
    ("24x24", icons!("24")),
    ("32x32", icons!("32")),
    ("48x48", icons!("48")),
];

thread_local! {
    /// GTK's objects belong to the main thread.
    static TRAY: RefCell<Option<Tray>> = const { RefCell::new(None) };
}

struct Tray {
    indicator: AppIndicator,
    menu: Menu,
}

/// Makes the tray, on the main thread.
pub(super) fn create(app: &AppHandle, look: &Look) -> Result<(), String> {
    let icons = write_icons().map_err(|error| format!("its icons could not be written: {error}"))?;
    let menu = Menu::new(app);
    menu.show(look);
    // The binding panics where the library is not installed.
    let created = catch_unwind(AssertUnwindSafe(|| {
        let mut indicator = AppIndicator::with_path("workly", look.icon.name(), &icons.to_string_lossy());
        indicator.set_menu(&mut menu.root.clone());
        indicator.set_status(AppIndicatorStatus::Active);
        indicator
    }));
    let indicator = created.map_err(|_| "libayatana-appindicator3 is not installed".to_owned())?;
    TRAY.set(Some(Tray { indicator, menu }));
    show(look);
    Ok(())
}

/// Shows a look, on the main thread.
pub(super) fn show(look: &Look) {
    TRAY.with_borrow_mut(|tray| {
        if let Some(Tray { indicator, menu }) = tray {
            indicator.set_icon_full(look.icon.name(), &look.tooltip);
            indicator.set_title(&look.tooltip);
            menu.show(look);
        }
    });
}

/// Whether there is a tray and a panel that shows it.
pub(super) fn is_reachable() -> bool {
    TRAY.with_borrow(Option::is_some) && has_panel().unwrap_or(false)
}

/// Whether someone collects the icons of the session, and someone else shows them.
fn has_panel() -> Option<bool> {
    const WATCHER: &str = "org.kde.StatusNotifierWatcher";
    let bus = gio::bus_get_sync(gio::BusType::Session, gio::Cancellable::NONE).ok()?;
    let ask = |name: &str, path: &str, interface: &str, method: &str, arguments: glib::Variant| {
        let flags = gio::DBusCallFlags::NO_AUTO_START;
        let cancel = gio::Cancellable::NONE;
        let answer =
            bus.call_sync(Some(name), path, interface, method, Some(&arguments), None, flags, BUS_PATIENCE, cancel);
        Some(answer.ok()?.child_value(0))
    };
    let bus_name = "org.freedesktop.DBus";
    let owned = ask(bus_name, "/org/freedesktop/DBus", bus_name, "NameHasOwner", (WATCHER,).to_variant())?;
    if !owned.get::<bool>()? {
        return Some(false);
    }
    let property = (WATCHER, "IsStatusNotifierHostRegistered").to_variant();
    let shown = ask(WATCHER, "/StatusNotifierWatcher", "org.freedesktop.DBus.Properties", "Get", property);
    // One that does not say is taken at its word that it is there.
    Some(shown.and_then(|value| value.as_variant()?.get::<bool>()).unwrap_or(true))
}

/// Puts the icons where the panel, another program, can read them, and names the folder.
fn write_icons() -> io::Result<PathBuf> {
    let base = places::data_dir().unwrap_or_else(std::env::temp_dir).join("tray-icons");
    for (size, icons) in ICONS {
        // Panels look into a theme's folders by size; the simplest ones look beside them only.
        write_all(&base.join("hicolor").join(size).join("status"), &icons)?;
        if size == "32x32" {
            write_all(&base, &icons)?;
        }
    }
    Ok(base)
}

fn write_all(folder: &Path, icons: &[Picture]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, picture) in icons {
        let path = folder.join(name);
        if fs::read(&path).ok().as_deref() != Some(*picture) {
            fs::write(path, picture)?;
        }
    }
    Ok(())
}

/// The menu and its lines.
struct Menu {
    root: gtk::Menu,
    state: gtk::MenuItem,
    lines: Vec<(Action, gtk::MenuItem)>,
    /// What is shown now; a click on a line with a mark changes the mark by itself, right or wrong.
    shown: RefCell<Option<Look>>,
    /// Marks are being set by the program, which is no click.
    updating: Rc<Cell<bool>>,
}

impl Menu {
    fn new(app: &AppHandle) -> Self {
        let root = gtk::Menu::new();
        let updating = Rc::new(Cell::new(false));
        let state = gtk::MenuItem::new();
        state.set_sensitive(false);
        root.append(&state);
        let mut lines = Vec::new();
        for entry in MENU {
            let (action, item) = match entry {
                Entry::Separator => {
                    root.append(&gtk::SeparatorMenuItem::new());
                    continue;
                }
                Entry::Plain(action) => (action, gtk::MenuItem::new()),
                Entry::Toggle(action) => (action, gtk::CheckMenuItem::new().upcast()),
                Entry::Choice(action) => {
                    let item = gtk::CheckMenuItem::new();
                    item.set_draw_as_radio(true);
                    (action, item.upcast())
                }
            };
            let (app, updating) = (app.clone(), Rc::clone(&updating));
            item.connect_activate(move |_| {
                if !updating.get() {
                    actions::perform(&app, action);
                    show_again();
                }
            });
            root.append(&item);
            lines.push((action, item));
        }
        root.show_all();
        Self { root, state, lines, shown: RefCell::new(None), updating }
    }

    fn show(&self, look: &Look) {
        self.updating.set(true);
        self.state.set_label(&look.tooltip);
        for (action, item) in &self.lines {
            item.set_label(menu::text(*action, look));
            if let Some(item) = item.downcast_ref::<gtk::CheckMenuItem>() {
                item.set_active(menu::is_marked(*action, look));
            }
        }
        self.shown.replace(Some(look.clone()));
        self.updating.set(false);
    }
}

/// Takes back the marks a click left; what the click changed is shown once the settings have changed.
fn show_again() {
    TRAY.with_borrow(|tray| {
        if let Some(Tray { menu, .. }) = tray {
            let shown = menu.shown.borrow().clone();
            if let Some(look) = shown {
                menu.show(&look);
            }
        }
    });
}
