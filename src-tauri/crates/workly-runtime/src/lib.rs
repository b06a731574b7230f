//! What Workly does, without a window: the model manager and the places where things lie.
//!
//! Not here: how a worker is supervised (`workly-engine`), and anything of Tauri.

pub mod arguments;
mod bring_up;
pub mod conversations;
mod cpu;
pub mod layer_plans;
pub mod manager;
pub mod monitor;
pub mod places;
