//! The switch under way: beginning it, making the next worker ready, carrying the answer over, and what follows when a
//! worker is lost on the way.
//!
//! Not here: when to switch (`policy_driver`, and `workly_core::policy` behind it), and how a worker is started
//! (`workers`).

pub(crate) mod arriving;
pub(crate) mod beginning;
pub(crate) mod recovery;
pub(crate) mod retries;
pub(crate) mod switch;
