//! What supervisor and worker say to each other.
//!
//! The worker speaks first, with [`Reply::Hello`]. Then each [`Request`] is answered by any number of replies under
//! its id, the last of which is final ([`Reply::is_final`]). Commands queue; only [`Command::Cancel`],
//! [`Command::HandOver`], [`Command::Devices`] and [`Command::Ping`] are heard while another command runs. The end of
//! the worker's standard input means stop.
//!
//! What a worker says that does not belong to an open request, in its order and with figures that can be, ends it.
//!
//! A worker answers a command it does not know with a [`Reply::Failed`] and goes on, so that commands can be added
//! without breaking older workers. State too large for a frame travels in private files named in a command.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use workly_core::answer::StopReason;
use workly_core::chat::Message;
use workly_core::device::Device;
use workly_core::layer_plan::FootprintTable;
use workly_core::model::{ContextSize, KvType, ModelInfo};
use workly_core::problem::Problem;
use workly_core::sampling::Sampling;
use workly_core::text::AnswerText;

/// Version of this protocol; both sides must agree.
pub const PROTOCOL_VERSION: u32 = 2;

/// How often a busy worker shows that it is alive.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);

/// The id under which a worker speaks of itself: hello and heartbeats.
pub const OWN_ID: u64 = 0;

/// A command with the id its replies will carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Above [`OWN_ID`], never used twice for one worker.
    pub id: u64,
    /// What to do.
    pub command: Command,
}

/// What a worker can be told to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// List the devices of all loaded backends.
    Devices,
    /// Read a model and make room for its context; a model already loaded is unloaded first.
    Load(LoadRequest),
    /// Tell what a model would take of a GPU, without placing anything on it.
    Footprint(FootprintRequest),
    /// Tell what llama.cpp reads in a model's header, without reading a weight.
    Inspect {
        /// The GGUF file.
        path: PathBuf,
    },
    /// Write an answer with the loaded model.
    Generate(GenerateRequest),
    /// Go on with an answer that another worker began.
    Resume(ResumeRequest),
    /// Stop writing the answer of this id at the next token boundary, and hand it over: save what the file lacks of the
    /// KV cache and end that request with [`Reply::HandedOver`].
    HandOver {
        /// Id of the request that writes the answer.
        request: u64,
        /// The private file of the answer's checkpoints; another one gets all of the KV cache.
        state: PathBuf,
    },
    /// Take over what a file of checkpoints holds, so that an answer that comes need not compute it. It may still grow,
    /// and be taken over again: then only what is new is read.
    Restore {
        /// The file.
        state: PathBuf,
    },
    /// Stop the command of this id; that command's final reply tells the rest.
    Cancel {
        /// Id of the request to stop.
        request: u64,
    },
    /// Answer at once.
    Ping,
}

/// How to load a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadRequest {
    /// The GGUF file.
    pub path: PathBuf,
    /// Layers to place on the GPU, the output layer counted as one; more than there are means all.
    pub gpu_layers: u32,
    /// Name of the device that takes them; required where `gpu_layers` is not 0.
    pub device: Option<String>,
    /// Tokens of context.
    pub context: ContextSize,
    /// CPU threads; the most, where they follow the free cores.
    pub threads: u32,
    /// Compute with fewer threads while other programs keep cores busy. What an answer says may depend on them.
    #[serde(default)]
    pub follow_cores: bool,
    /// Number type of the KV cache.
    pub kv_type: KvType,
}

/// What to size up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FootprintRequest {
    /// The GGUF file.
    pub path: PathBuf,
    /// Name of the device that would take the layers.
    pub device: String,
    /// Tokens of context.
    pub context: ContextSize,
    /// Number type of the KV cache.
    pub kv_type: KvType,
}

/// What llama.cpp reads in a model's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelReading {
    /// Architecture, such as `llama`.
    pub architecture: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Bytes of all tensors.
    pub tensor_bytes: u64,
    /// Number of tensors.
    pub tensors: u32,
    /// Transformer layers, without the output layer.
    pub layers: u32,
    /// Tokens of context the model was trained on.
    pub trained_context_tokens: u32,
    /// Quantisation, such as `Q4_K_M`.
    pub quantization: String,
}

/// How to write an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerateRequest {
    /// The conversation so far, the question last.
    pub messages: Vec<Message>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens to write; `None`: until the model ends or the context is full.
    pub max_tokens: Option<u32>,
    /// Texts at which the answer ends.
    pub stop_strings: Vec<String>,
    /// Go on past the model's own end of answer.
    pub ignore_end: bool,
    /// A private file in which the KV cache is saved piece by piece as it grows (checkpoints). What it holds already of
    /// the prompt is not computed again. `None`: nothing is saved.
    #[serde(default)]
    pub state: Option<PathBuf>,
}

/// An answer between two workers: everything the next one needs, except the KV cache, which it can also compute anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnfinishedAnswer {
    /// Token ids of the prompt and of the answer so far, in order.
    pub history: Vec<i32>,
    /// How many of them the prompt has.
    pub prompt_tokens: u32,
    /// Prompt tokens that the first worker still had in its KV cache.
    pub cached_prompt_tokens: u32,
    /// Oldest turns left out of the prompt for lack of room.
    pub dropped_turns: u32,
    /// Tokens written so far.
    pub tokens: u32,
    /// Seconds of writing so far, without the time between workers.
    pub seconds: f64,
    /// Characters and stop strings that are not complete.
    pub text: AnswerText,
    /// Tokens whose text was withheld for that reason: index, id, text.
    pub withheld: Vec<(u32, i32, String)>,
}

/// How to go on with an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResumeRequest {
    /// The request that began the answer. What its file of checkpoints lacks, or all where it does not fit, is computed
    /// from the token ids.
    pub request: GenerateRequest,
    /// How far it is.
    pub answer: UnfinishedAnswer,
}

/// A reply with the id of the request it belongs to, or [`OWN_ID`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Id of the request.
    pub id: u64,
    /// What the worker says.
    pub reply: Reply,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// The worker is there. Always its first words.
    Hello {
        /// [`PROTOCOL_VERSION`] of the worker.
        protocol: u32,
        /// Version of Workly it belongs to.
        version: String,
    },
    /// The worker lives and is at work.
    Heartbeat {
        /// Grows with every piece of work done; a worker whose figure stands still makes no progress.
        progress: u64,
    },
    /// The devices there are.
    Devices {
        /// In the order of the backends.
        devices: Vec<Device>,
    },
    /// How much of the model is read.
    LoadProgress {
        /// 0 to 1.
        fraction: f32,
    },
    /// The model is ready.
    Loaded(ModelInfo),
    /// What the model would take.
    Footprints(FootprintTable),
    /// What llama.cpp reads in the header.
    Inspected(ModelReading),
    /// The prompt as the model sees it, before it is read: with it, an answer can go on without its worker.
    PromptTokens {
        /// Token ids, in order.
        tokens: Vec<i32>,
    },
    /// An answer was taken over.
    Resumed {
        /// Tokens that checkpoints spared; 0 where all must be computed anew.
        restored_tokens: u32,
        /// Milliseconds that taking over the last of them took.
        restored_in_ms: f64,
    },
    /// How much of the prompt is read.
    Prompt {
        /// Tokens read so far, cached ones included.
        done: u32,
        /// Tokens in all.
        total: u32,
        /// Oldest turns left out for lack of room.
        dropped_turns: u32,
    },
    /// A token was written.
    Token {
        /// Place in the answer, from 0.
        index: u32,
        /// Id in the model's vocabulary.
        id: i32,
        /// Text it completes; may be empty.
        text: String,
    },
    /// The KV cache was saved as far as this.
    Checkpointed {
        /// Tokens of the prompt and of the answer that the file holds.
        tokens: u32,
        /// Bytes of the file.
        bytes: u64,
    },
    /// The answer is complete.
    Done(Generated),
    /// The answer goes on elsewhere.
    HandedOver {
        /// How far it is.
        answer: UnfinishedAnswer,
        /// Bytes of the file that holds the KV cache; `None` where it could not be saved and must be computed anew.
        state_bytes: Option<u64>,
        /// Milliseconds that saving what it lacked took.
        saved_in_ms: f64,
    },
    /// Checkpoints were taken over.
    Restored {
        /// Tokens in the KV cache by now.
        tokens: u32,
    },
    /// Answer to a ping.
    Pong,
    /// The command failed; the worker goes on.
    Failed(Problem),
}

impl Reply {
    /// Whether no further reply to the same request follows.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Devices { .. }
            | Self::Loaded(_)
            | Self::Footprints(_)
            | Self::Inspected(_)
            | Self::Done(_)
            | Self::HandedOver { .. }
            | Self::Restored { .. }
            | Self::Pong
            | Self::Failed(_) => true,
            Self::Hello { .. }
            | Self::Heartbeat { .. }
            | Self::LoadProgress { .. }
            | Self::PromptTokens { .. }
            | Self::Resumed { .. }
            | Self::Prompt { .. }
            | Self::Token { .. }
            | Self::Checkpointed { .. } => false,
        }
    }
}

/// Figures of a finished answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generated {
    /// Tokens written.
    pub tokens: u32,
    /// Seconds from the first token to the last.
    pub seconds: f64,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Of those, tokens that were still in the KV cache.
    pub cached_prompt_tokens: u32,
    /// Why it ended.
    pub stop: StopReason,
}

impl Generated {
    /// Tokens per second without the prompt: the first token falls out of the prompt, so it does not count.
    pub fn tokens_per_second(&self) -> f64 {
        if self.seconds > 0.0 { f64::from(self.tokens.saturating_sub(1)) / self.seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way_through_json() {
        let request = Request { id: 3, command: Command::Cancel { request: 2 } };
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(json, r#"{"id":3,"command":{"type":"cancel","request":2}}"#);
        assert_eq!(serde_json::from_str::<Request>(&json).unwrap(), request);
    }

    #[test]
    fn the_first_token_does_not_count_for_the_speed() {
        let generated =
            Generated { tokens: 11, seconds: 2.0, prompt_tokens: 1, cached_prompt_tokens: 0, stop: StopReason::End };
        assert!((generated.tokens_per_second() - 5.0).abs() < 1e-9);
        assert!(Generated { tokens: 0, seconds: 0.0, ..generated }.tokens_per_second() < 1e-9);
    }
}
