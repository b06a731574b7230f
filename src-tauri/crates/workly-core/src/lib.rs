//! Workly's words and decisions: readings, profiles, conversations, sampling.
//!
//! Everything here is a pure function or plain data. No I/O, no clock, no async, no llama.cpp, no Tauri: time and
//! measurements come in as arguments, effects happen in the crates above.

pub mod answer;
pub mod chat;
pub mod checkpoint_pace;
pub mod context_fit;
pub mod crash_budget;
pub mod device;
pub mod fit;
pub mod fit_guess;
pub mod layer_plan;
pub mod model;
pub mod policy;
pub mod problem;
pub mod profile;
pub mod prompt_chunks;
pub mod reading;
pub mod sampling;
pub mod settings;
pub mod settings_keys;
pub mod simulate;
pub mod switch_plan;
pub mod text;
pub mod thread_follow;
pub mod thresholds;
pub mod why;
