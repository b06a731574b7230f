//! What crosses between the desktop program and its window. The TypeScript is generated from here.
//!
//! The window asks for an [`AppSnapshot`], then listens to [`MODEL_CHANGED`]; an answer comes through a channel of
//! its own as [`AnswerEvent`]s.

use serde::{Deserialize, Serialize};
use ts_rs::{Config, TS};

use crate::chat::{Message, Role};
use crate::model::ModelInfo;
use crate::policy::{LayerPlan, ProfilePlan};
use crate::problem::{Problem, ProblemCode};
use crate::profile::{Profile, ProfileChoice};
use crate::sampling::Sampling;
use crate::settings::OverrideWish;
use crate::wire_chat::{self, CONVERSATION_CHANGED};
use crate::wire_models::{self, LIBRARY_CHANGED, MODELS_DRAGGED, TRANSFERS_CHANGED};
use crate::wire_monitor;
use crate::wire_settings::{self, SETTINGS_CHANGED};

/// Name of the event that carries a [`ModelSnapshot`] after each change.
pub const MODEL_CHANGED: &str = "model-changed";

/// What the model manager is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// No model is loaded.
    #[default]
    Stopped,
    /// A worker starts and reads the model.
    Loading,
    /// Waiting for a message.
    Ready,
    /// An answer is being written.
    Generating,
    /// The model moves to another profile; an answer being written goes on meanwhile.
    Switching,
    /// The model could not be loaded; the next message tries again.
    Failed,
}

/// The model manager at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
pub struct ModelSnapshot {
    /// What it is doing.
    pub state: ModelState,
    /// How much of the model is read, 0 to 1, while it loads.
    pub load_fraction: Option<f32>,
    /// The model, once loaded.
    pub model: Option<ModelInfo>,
    /// The profile the model runs in.
    pub profile: Option<Profile>,
    /// The profile that the model is on its way to.
    pub switching_to: Option<Profile>,
    /// How the present switch is carried out, or the last one was.
    pub strategy: Option<SwitchStrategy>,
    /// Why the model is where it is: the sentence of the last decision.
    pub why: Option<String>,
    /// What each profile would place on the card now, once that is known.
    pub plan: Option<LayerPlan>,
    /// The profile choice in force.
    pub choice: ProfileChoice,
    /// Whether Workly may switch by itself.
    pub auto_switching: bool,
    /// What the user asked for, for a while.
    pub override_kind: Option<OverrideWish>,
    /// Whether a CPU worker is ready to take over.
    pub standby_ready: bool,
    /// Tokens per second of the last or current answer, prompt excluded.
    pub tokens_per_second: Option<f64>,
    /// Something the user should know although it works: the GPU asked for is missing, say.
    pub notice: Option<String>,
    /// Why it failed.
    pub problem: Option<Problem>,
    /// Process of the worker, for diagnostics.
    pub worker_pid: Option<u32>,
}

/// All the window needs to draw itself for the first time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AppSnapshot {
    /// Version of Workly.
    pub version: String,
    /// The model manager.
    pub model: ModelSnapshot,
}

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

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
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

/// How an answer changed workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SwitchStrategy {
    /// To a worker on the CPU that was made ready while the old one went on.
    Standby,
    /// To a worker on the GPU that was made ready while the old one went on.
    SideBySide,
    /// From one plan on the GPU to another without room for both: over the CPU. Told once for each of the two steps.
    ViaCpu,
    /// The old worker ended before the new one was ready.
    Emergency,
    /// The old worker was gone, or its state did not fit: the tokens were computed anew.
    Replay,
}

/// A change of profile in the middle of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AnswerSwitch {
    /// The profile that wrote the tokens before.
    pub from: Profile,
    /// The profile that writes from here on.
    pub to: Profile,
    /// Why.
    pub reason: String,
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
    Silent {
        /// What happens and what to do.
        message: String,
    },
    /// The model process is back after a silence.
    Resumed,
    /// The answer goes on in another profile.
    Switched(AnswerSwitch),
    /// The answer is complete.
    Done(AnswerStats),
    /// The answer ended by a fault; the text so far stays.
    Failed(Problem),
}

/// TypeScript declarations of every type that crosses to the window.
pub fn typescript() -> String {
    let config = Config::new();
    let declarations = [
        Role::decl(&config),
        Message::decl(&config),
        Profile::decl(&config),
        ProfileChoice::decl(&config),
        OverrideWish::decl(&config),
        ProfilePlan::decl(&config),
        LayerPlan::decl(&config),
        ProblemCode::decl(&config),
        Problem::decl(&config),
        Sampling::decl(&config),
        ModelInfo::decl(&config),
        ModelState::decl(&config),
        ModelSnapshot::decl(&config),
        AppSnapshot::decl(&config),
        AnswerRequest::decl(&config),
        StopReason::decl(&config),
        AnswerStats::decl(&config),
        SwitchStrategy::decl(&config),
        AnswerSwitch::decl(&config),
        AnswerEvent::decl(&config),
    ];
    let mut source = format!(
        "// Generated from workly-core by `cargo xtask types`. Do not edit.\n\n\
         export const MODEL_CHANGED = \"{MODEL_CHANGED}\";\n\
         export const SETTINGS_CHANGED = \"{SETTINGS_CHANGED}\";\n\
         export const CONVERSATION_CHANGED = \"{CONVERSATION_CHANGED}\";\n\
         export const LIBRARY_CHANGED = \"{LIBRARY_CHANGED}\";\n\
         export const TRANSFERS_CHANGED = \"{TRANSFERS_CHANGED}\";\n\
         export const MODELS_DRAGGED = \"{MODELS_DRAGGED}\";\n"
    );
    let declarations = declarations
        .into_iter()
        .chain(wire_chat::declarations(&config))
        .chain(wire_settings::declarations(&config))
        .chain(wire_monitor::declarations(&config))
        .chain(wire_models::declarations(&config));
    for declaration in declarations {
        source.push_str("\nexport ");
        source.push_str(&declaration);
        source.push('\n');
    }
    source
}
