//! llama.cpp behind the worker protocol: the only crate that links it.
//!
//! [`run_worker`] is the whole of a worker process. Everything that can go wrong inside llama.cpp may end that process;
//! nothing here tries to survive it.

mod backends;
mod checkpoint_file;
mod context;
mod devices;
mod dry_log;
mod fault;
mod footprint;
mod gguf;
mod inbox;
mod inspect;
mod interruptions;
mod job;
mod llama_log;
mod load;
mod model_file;
mod outbox;
mod process;
mod processor;
mod prompt;
mod sequence;
mod session;
mod target;
mod threads;
mod worker;

pub use backends::BackendSet;
pub use worker::{WorkerOptions, run_worker};
