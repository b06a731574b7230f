//! What the tray's menu holds, line by line, for every system.

use workly_core::profile::{Profile, ProfileChoice};
use workly_core::settings::OverrideWish;

use super::look::Look;
use crate::shell::actions::Action;

/// A line of the menu below its first, which tells the state and cannot be clicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Asks for something.
    Plain(Action),
    /// One of several, of which one is marked.
    Choice(Action),
    /// Is marked or not.
    Toggle(Action),
    Separator,
}

/// The menu from top to bottom.
pub(super) const MENU: [Entry; 13] = [
    Entry::Plain(Action::Show),
    Entry::Separator,
    Entry::Choice(Action::Choose(ProfileChoice::Auto)),
    Entry::Choice(Action::Choose(ProfileChoice::Fixed(Profile::Performance))),
    Entry::Choice(Action::Choose(ProfileChoice::Fixed(Profile::Balanced))),
    Entry::Choice(Action::Choose(ProfileChoice::Fixed(Profile::CpuFallback))),
    Entry::Separator,
    Entry::Toggle(Action::ToggleAutoSwitching),
    Entry::Separator,
    Entry::Plain(Action::ToggleOverride(OverrideWish::Hold)),
    Entry::Plain(Action::ToggleOverride(OverrideWish::GiveUp)),
    Entry::Separator,
    Entry::Plain(Action::Quit),
];

/// The words on a line.
pub(super) fn text(action: Action, look: &Look) -> &str {
    match action {
        Action::Show => look.words.show,
        Action::Choose(ProfileChoice::Auto) => look.words.automatic,
        Action::Choose(ProfileChoice::Fixed(profile)) => look.words.profile(profile),
        Action::ToggleAutoSwitching => look.words.auto_switching,
        Action::ToggleOverride(OverrideWish::Hold) => &look.hold,
        Action::ToggleOverride(OverrideWish::GiveUp) => &look.give_up,
        Action::Quit => look.words.quit,
    }
}

/// Whether a line that can be marked is.
pub(super) fn is_marked(action: Action, look: &Look) -> bool {
    match action {
        Action::Choose(choice) => choice == look.choice,
        Action::ToggleAutoSwitching => look.auto_switching,
        Action::Show | Action::ToggleOverride(_) | Action::Quit => false,
    }
}
