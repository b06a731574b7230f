//! The worker: how it is spoken to, supervised, and how its end is told apart.
//!
//! A worker is the process that holds a model. It may die at any time; nothing else dies with it. This crate knows no
//! llama.cpp: what runs inside a worker is `workly-llama`'s, and what to do when one ends is `workly-runtime`'s.

mod call;
mod conformance;
pub mod end;
pub mod fault;
pub mod frame;
pub mod lifeline;
mod open_calls;
mod process;
mod process_work;
mod program;
pub mod protocol;
mod spawner;
mod stderr_tail;
mod supervision;
mod watch;
pub mod worker;
