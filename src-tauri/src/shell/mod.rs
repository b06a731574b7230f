//! Everything a person sees of Workly outside of its pages: the window's frame, the tray, notifications, and how the
//! program begins and ends. What the pages show is the feeds' and the commands'.

pub(crate) mod actions;
mod appearance;
pub(crate) mod autostart;
mod file_drop;
pub(crate) mod front;
pub(crate) mod lifecycle;
pub(crate) mod messages;
pub(crate) mod notices;
pub(crate) mod single;
#[cfg(target_os = "linux")]
pub(crate) mod stillness;
pub(crate) mod tray;
#[cfg(target_os = "linux")]
mod web_process;
pub(crate) mod window;
