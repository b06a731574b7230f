//! What Workly does, without a window: the model manager and the places where things lie.
//!
//! Not here: how a worker is supervised (`workly-engine`), and anything of Tauri.

pub mod arguments;
pub mod ask;
mod bring_up;
pub mod card;
pub mod catalogue;
pub mod catalogue_view;
pub mod chats;
mod cpu;
pub mod experience;
mod launcher;
pub mod library;
pub mod manager;
mod model_settings;
pub mod monitor;
pub mod places;
pub mod settings_file;
pub mod transfers;
pub mod whole_file;
