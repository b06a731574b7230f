//! Asking the model, and keeping what it says.
//!
//! Not here: how an answer is computed (`manager`), and how it lies on the disk (`workly_store`).

mod answering;
mod live;
mod model;

pub use answering::Chats;
pub use model::{AnswerSource, Model};
