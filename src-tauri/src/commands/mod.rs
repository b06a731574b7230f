//! What the window may ask for: unpack, call, map the error.

pub(crate) mod chat;
pub(crate) mod conversations;
pub(crate) mod export;
pub(crate) mod link;
pub(crate) mod models;
pub(crate) mod monitor;
pub(crate) mod settings;
