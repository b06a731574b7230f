//! What Workly does, without a window: the model manager, the monitor, conversations and settings.
//!
//! Not here: how a worker is supervised (`workly-engine`), and anything of Tauri.

pub mod arguments;
pub mod ask;
pub mod chats;
mod cpu;
mod launcher;
pub mod manager;
mod model_settings;
pub mod monitor;
pub mod settings_file;
