//! The models of this machine: which there are and how they fit (`library`), which Workly proposes (`catalogue`), how
//! they come in (`transfers`), and what was learned of them while they ran (`experience`).
//!
//! Not here: running one (`workly-runtime`), and the format of their files (`workly-gguf`).

pub mod catalogue;
pub mod catalogue_view;
pub mod experience;
mod file_name;
pub mod library;
pub mod memory;
pub mod transfers;
