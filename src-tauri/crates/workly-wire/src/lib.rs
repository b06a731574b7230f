//! What crosses to the window and to programs: the types, and their TypeScript.
//!
//! Plain data. The window asks for an [`model::AppSnapshot`], then listens to events that carry the whole of what
//! changed; an answer comes through a channel of its own as [`answer::AnswerEvent`]s. What is decided, and the words
//! those types are made of, are `workly-core`'s, which knows neither the window nor TypeScript.

pub mod answer;
pub mod chat;
pub mod model;
pub mod models;
pub mod monitor;
pub mod settings;
mod typescript;
pub mod words;

pub use typescript::typescript;
