//! The tray on Windows and macOS: Tauri's own.

use std::sync::{Mutex, PoisonError};

use tauri::image::Image;
use tauri::menu::{CheckMenuItem, Menu, MenuItem, PredefinedMenuItem};
use tauri::tray::{MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Wry, include_image};

use super::look::{Icon, Look};
use super::menu::{self, Entry, MENU};
use crate::shell::actions::{self, Action};

static TRAY: Mutex<Option<Tray>> = Mutex::new(None);

struct Tray {
    icon: TrayIcon,
    lines: Lines,
    shown: Look,
}

/// The menu's lines, each with what a click on it asks for.
struct Lines {
    state: MenuItem<Wry>,
    plain: Vec<(Action, MenuItem<Wry>)>,
    marked: Vec<(Action, CheckMenuItem<Wry>)>,
}

/// Makes the tray.
pub(super) fn create(app: &AppHandle, look: &Look) -> Result<(), String> {
    let tray = build(app, look).map_err(|error| error.to_string())?;
    *TRAY.lock().unwrap_or_else(PoisonError::into_inner) = Some(tray);
    show(look);
    Ok(())
}

/// Shows a look.
pub(super) fn show(look: &Look) {
    if let Some(tray) = TRAY.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        tray.shown = look.clone();
        if let Err(error) = tray.show() {
            tracing::warn!("the tray could not be changed: {error}");
        }
    }
}

/// Whether there is a tray: these systems always have one.
pub(super) fn is_reachable() -> bool {
    TRAY.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

fn build(app: &AppHandle, look: &Look) -> tauri::Result<Tray> {
    let menu = Menu::new(app)?;
    let state = MenuItem::new(app, &look.tooltip, false, None::<&str>)?;
    menu.append(&state)?;
    let mut lines = Lines { state, plain: Vec::new(), marked: Vec::new() };
    for entry in MENU {
        match entry {
            Entry::Separator => menu.append(&PredefinedMenuItem::separator(app)?)?,
            Entry::Plain(action) => {
                let line = MenuItem::new(app, "", true, None::<&str>)?;
                menu.append(&line)?;
                lines.plain.push((action, line));
            }
            Entry::Choice(action) | Entry::Toggle(action) => {
                let line = CheckMenuItem::new(app, "", true, false, None::<&str>)?;
                menu.append(&line)?;
                lines.marked.push((action, line));
            }
        }
    }
    let icon = TrayIconBuilder::with_id("workly")
        .icon(picture(look.icon))
        .menu(&menu)
        .show_menu_on_left_click(cfg!(target_os = "macos"))
        .on_tray_icon_event(|tray, event| {
            let left = MouseButton::Left;
            if matches!(event, TrayIconEvent::Click { button, button_state: MouseButtonState::Up, .. } if button == left)
                && !cfg!(target_os = "macos")
            {
                actions::perform(tray.app_handle(), Action::Show);
            }
        })
        .on_menu_event(|app, event| {
            let clicked = TRAY.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|tray| {
                let plain = tray.lines.plain.iter().map(|(action, line)| (*action, line.id()));
                let marked = tray.lines.marked.iter().map(|(action, line)| (*action, line.id()));
                plain.chain(marked).find(|(_, id)| *id == event.id()).map(|(action, _)| action)
            });
            if let Some(action) = clicked {
                actions::perform(app, action);
                // A click changes the line's own mark, right or wrong.
                if let Some(tray) = TRAY.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                    let _ = tray.show();
                }
            }
        })
        .build(app)?;
    Ok(Tray { icon, lines, shown: look.clone() })
}

impl Tray {
    fn show(&self) -> tauri::Result<()> {
        let Self { icon, lines, shown } = self;
        icon.set_icon(Some(picture(shown.icon)))?;
        icon.set_tooltip(Some(&shown.tooltip))?;
        lines.state.set_text(&shown.tooltip)?;
        for (action, line) in &lines.plain {
            line.set_text(menu::text(*action, shown))?;
        }
        for (action, line) in &lines.marked {
            line.set_text(menu::text(*action, shown))?;
            line.set_checked(menu::is_marked(*action, shown))?;
        }
        Ok(())
    }
}

fn picture(icon: Icon) -> Image<'static> {
    match icon {
        Icon::Performance => include_image!("icons/tray/32/workly-performance.png"),
        Icon::Balanced => include_image!("icons/tray/32/workly-balanced.png"),
        Icon::Cpu => include_image!("icons/tray/32/workly-cpu.png"),
        Icon::Off => include_image!("icons/tray/32/workly-off.png"),
    }
}
