//! How an answer ends.

use serde::{Deserialize, Serialize};

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model ended it.
    End,
    /// A stop string was reached.
    StopString,
    /// The number of tokens asked for was reached.
    Length,
    /// The context is full.
    Context,
    /// The user stopped it.
    Cancelled,
}
