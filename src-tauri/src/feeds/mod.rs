//! What happens in the runtime, told to the window in the user's language: events, the monitor page's channel, the
//! library's list, the decisions.

pub(crate) mod decisions;
pub(crate) mod events;
pub(crate) mod library_feed;
pub(crate) mod monitor_feed;
pub(crate) mod tell;
