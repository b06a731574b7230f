//! An answer as it is asked for, and what is told of it while it is written.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use workly_core::answer::StopReason;
use workly_core::chat::Message;
use workly_core::problem::Problem;
use workly_core::profile::Profile;
use workly_core::sampling::Sampling;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::Why;

/// A request for an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AnswerRequest {
    /// The conversation so far, the question last.
    pub messages: Vec<Message>,
    /// How tokens are chosen; left out: Workly's defaults with a seed of its own.
    #[serde(default)]
    #[ts(optional)]
    pub sampling: Option<Sampling>,
    /// Most tokens to write; left out: until the model ends or the context is full.
    #[serde(default)]
    #[ts(optional)]
    pub max_tokens: Option<u32>,
    /// Texts at which the answer ends.
    #[serde(default)]
    pub stop_strings: Vec<String>,
    /// Go on past the model's own end of answer.
    #[serde(default)]
    pub ignore_end: bool,
}

/// Figures of a finished answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AnswerStats {
    /// Tokens written.
    pub tokens: u32,
    /// Tokens per second, prompt excluded.
    pub tokens_per_second: f64,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Of those, tokens that were still in the KV cache.
    pub cached_prompt_tokens: u32,
    /// Milliseconds from the request to the first token.
    pub time_to_first_token_ms: f64,
    /// Why it ended.
    pub stop: StopReason,
}

/// A change of profile in the middle of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AnswerSwitch {
    /// The profile that wrote the tokens before.
    pub from: Profile,
    /// The profile that writes from here on.
    pub to: Profile,
    /// Why.
    pub why: Why,
    /// How the answer got there.
    pub strategy: SwitchStrategy,
    /// Index of the first token of the new worker.
    pub at_token: u32,
    /// Milliseconds from the old worker's last token to the new worker's first.
    pub gap_ms: f64,
    /// Milliseconds from the decision to the end of the GPU process; none where none ended.
    pub vram_released_ms: Option<f64>,
    /// Bytes of KV cache that were carried over; none where the tokens were computed anew.
    #[ts(type = "number | null")]
    pub state_bytes: Option<u64>,
    /// Milliseconds that saving them took.
    pub saved_in_ms: Option<f64>,
    /// Milliseconds that taking them over took.
    pub restored_in_ms: Option<f64>,
}

/// What happens while an answer is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AnswerEvent {
    /// The prompt is being read.
    Prompt {
        /// Tokens read so far, cached ones included.
        done: u32,
        /// Tokens in all.
        total: u32,
        /// How many of the oldest turns were left out for lack of room.
        dropped_turns: u32,
    },
    /// A token was written.
    Token {
        /// Place in the answer, from 0.
        index: u32,
        /// The token's id in the model's vocabulary.
        id: i32,
        /// Text it completes; may be empty.
        text: String,
        /// The profile that computed it.
        profile: Profile,
    },
    /// The model process has been silent for a while; it may come back.
    Silent,
    /// The model process is back after a silence.
    Resumed,
    /// The answer goes on in another profile.
    Switched(AnswerSwitch),
    /// The answer is complete.
    Done(AnswerStats),
    /// The answer ended by a fault; the text so far stays.
    Failed(Problem),
}
