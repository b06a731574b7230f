//! Reads the headers of GGUF model files: what a model is, without llama.cpp and without its weights.
//!
//! A file may be hostile. Every count, length and offset is checked against the file's length before it is believed,
//! what is kept in memory and how far is read are bounded whatever the file says, and every refusal is a sentence.
//! Of the readers that others keep, candle's and `gguf-rs` allocate what a length in the file says, and `gguf` wants the
//! whole file in memory: none of them is used.
//!
//! [`Header`] is one file, [`Model`] a model with all the parts of a split file. Not here: whether llama.cpp can run the
//! architecture, and whether the weights are sound.

mod error;
mod file_type;
mod getters;
mod header;
mod model;
mod regular;
mod source;
mod split_name;
mod tensor;
mod value;
#[cfg(feature = "writer")]
mod writer;

pub use error::{Fault, GgufError};
pub use header::{Header, MAGIC, SplitInfo};
pub use model::Model;
pub use regular::open_regular;
pub use split_name::{SplitName, part_of_name, part_path};
pub use tensor::{Tensor, TensorType};
pub use value::{Kind, Value};
#[cfg(feature = "writer")]
pub use writer::Writer;
