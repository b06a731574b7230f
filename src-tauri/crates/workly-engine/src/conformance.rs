//! Whether a reply is one that its command may have, in its order and with figures that can be. Pure.
//!
//! A worker reads files from strangers, so what it says is believed no further than this. Whoever hears it behind here
//! may count with its figures.

use workly_core::device::Device;
use workly_core::layer_plan::{Footprint, FootprintTable};
use workly_core::model::ModelInfo;

use crate::protocol::{Command, Reply, UnfinishedAnswer};

/// Most tokens of a prompt; a frame has no room for many more.
pub(crate) const MOST_TOKENS: usize = 1 << 22;
/// Most bytes of text that one token completes: a stop string may have been held back.
pub(crate) const MOST_TOKEN_TEXT_BYTES: usize = 64 << 10;
/// Most layers of a model.
const MOST_LAYERS: u32 = 1 << 16;
/// Most bytes of anything: a pebibyte.
const MOST_BYTES: u64 = 1 << 50;
/// Most devices of a machine.
const MOST_DEVICES: usize = 1 << 10;
/// Longest time that a worker may have measured, seconds: a year.
const MOST_SECONDS: f64 = 366.0 * 86_400.0;

/// Something that a worker may not say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misreply {
    #[error("it answered something else than it was asked")]
    NotToThis,
    #[error("it told token {told} where token {next} was next")]
    OutOfOrder { told: u32, next: u32 },
    #[error("it told {0} twice")]
    Twice(&'static str),
    #[error("it told {0} that cannot be")]
    Impossible(&'static str),
    #[error("it spoke of request {0}, which is not open")]
    NotOpen(u64),
}

/// What may still be said to one command.
#[derive(Debug)]
pub(crate) struct Expected {
    kind: Kind,
    /// Index of the token that is next.
    next_token: u32,
    has_told_prompt: bool,
    has_resumed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Devices,
    Load,
    Footprint,
    Inspect,
    Generate,
    Resume,
    Restore,
    Ping,
    /// Nothing is said to it but that it failed.
    Aside,
}

impl Expected {
    pub(crate) fn of(command: &Command) -> Self {
        let (kind, next_token) = match command {
            Command::Devices => (Kind::Devices, 0),
            Command::Load(_) => (Kind::Load, 0),
            Command::Footprint(_) => (Kind::Footprint, 0),
            Command::Inspect { .. } => (Kind::Inspect, 0),
            Command::Generate(_) => (Kind::Generate, 0),
            Command::Resume(resume) => (Kind::Resume, next_of(&resume.answer)),
            Command::Restore { .. } => (Kind::Restore, 0),
            Command::Ping => (Kind::Ping, 0),
            Command::HandOver { .. } | Command::Cancel { .. } => (Kind::Aside, 0),
        };
        Self { kind, next_token, has_told_prompt: false, has_resumed: false }
    }

    /// Takes note of a reply.
    ///
    /// # Errors
    ///
    /// When it may not be said here.
    pub(crate) fn hear(&mut self, reply: &Reply) -> Result<(), Misreply> {
        let is_answer = matches!(self.kind, Kind::Generate | Kind::Resume);
        match (self.kind, reply) {
            (_, Reply::Failed(_)) | (Kind::Ping, Reply::Pong) | (Kind::Inspect, Reply::Inspected(_)) => Ok(()),
            (Kind::Devices, Reply::Devices { devices }) => possible(are_devices(devices), "devices"),
            (Kind::Load, Reply::LoadProgress { fraction }) => {
                possible((0.0..=1.0).contains(fraction), "a part of the model")
            }
            (Kind::Load, Reply::Loaded(model)) => possible(is_model(model), "figures of a model"),
            (Kind::Footprint, Reply::Footprints(table)) => possible(is_table(table), "a footprint"),
            (Kind::Restore, Reply::Restored { tokens }) => possible(is_count(*tokens), "a number of tokens"),
            (Kind::Generate, Reply::PromptTokens { tokens }) => {
                once(&mut self.has_told_prompt, "the prompt")?;
                possible(tokens.len() <= MOST_TOKENS, "a number of tokens")
            }
            (Kind::Resume, Reply::Resumed { restored_tokens, restored_in_ms }) => {
                once(&mut self.has_resumed, "that it took an answer over")?;
                possible(is_count(*restored_tokens) && is_time(restored_in_ms / 1_000.0), "figures of a handover")
            }
            (_, Reply::Prompt { done, total, .. }) if is_answer => {
                possible(done <= total && is_count(*total), "a part of the prompt")
            }
            (_, Reply::Token { index, text, .. }) if is_answer => self.token(*index, text),
            (_, Reply::Checkpointed { tokens, bytes }) if is_answer => {
                possible(is_count(*tokens) && is_state(Some(*bytes)), "a checkpoint")
            }
            (_, Reply::Done(figures)) if is_answer => possible(
                figures.tokens == self.next_token && is_count(figures.prompt_tokens) && is_time(figures.seconds),
                "figures of an answer",
            ),
            (_, Reply::HandedOver { answer, state_bytes, saved_in_ms }) if is_answer => possible(
                self.is_unfinished(answer) && is_state(*state_bytes) && is_time(saved_in_ms / 1_000.0),
                "an unfinished answer",
            ),
            _ => Err(Misreply::NotToThis),
        }
    }

    fn token(&mut self, told: u32, text: &str) -> Result<(), Misreply> {
        let next = self.next_token;
        if told != next {
            return Err(Misreply::OutOfOrder { told, next });
        }
        possible(is_count(told) && text.len() <= MOST_TOKEN_TEXT_BYTES, "a token")?;
        self.next_token += 1;
        Ok(())
    }

    /// Whether an answer that is handed over goes on where this one stands.
    fn is_unfinished(&self, answer: &UnfinishedAnswer) -> bool {
        let withheld = answer.withheld.iter().map(|(index, ..)| *index);
        withheld.eq(self.next_token..answer.tokens)
            && answer.tokens >= self.next_token
            && is_count(answer.prompt_tokens)
            && is_count(answer.tokens)
            && answer.history.len() == answer.prompt_tokens as usize + answer.tokens as usize
            && is_time(answer.seconds)
    }
}

/// The first token that a worker tells of an answer it takes over: one that was withheld, or a new one.
fn next_of(answer: &UnfinishedAnswer) -> u32 {
    answer.withheld.first().map_or(answer.tokens, |(index, ..)| *index)
}

const fn possible(can_be: bool, what: &'static str) -> Result<(), Misreply> {
    if can_be { Ok(()) } else { Err(Misreply::Impossible(what)) }
}

fn once(told: &mut bool, what: &'static str) -> Result<(), Misreply> {
    if std::mem::replace(told, true) { Err(Misreply::Twice(what)) } else { Ok(()) }
}

const fn is_count(tokens: u32) -> bool {
    tokens as usize <= MOST_TOKENS
}

fn is_time(seconds: f64) -> bool {
    (0.0..=MOST_SECONDS).contains(&seconds)
}

fn is_state(bytes: Option<u64>) -> bool {
    bytes.is_none_or(|bytes| bytes <= MOST_BYTES)
}

fn is_model(model: &ModelInfo) -> bool {
    model.layers <= MOST_LAYERS
        && model.gpu_layers <= model.layers + 1
        && model.size_bytes <= MOST_BYTES
        && is_count(model.context_tokens)
        && model.threads <= MOST_LAYERS
}

fn are_devices(devices: &[Device]) -> bool {
    // How much is free is not judged: where more is in use than a driver grants, backends tell nonsense in good faith.
    devices.len() <= MOST_DEVICES && devices.iter().all(|device| device.memory_total <= MOST_BYTES)
}

fn is_table(table: &FootprintTable) -> bool {
    let is_footprint = |footprint: &Footprint| {
        [footprint.weights, footprint.kv_cache, footprint.compute, footprint.backend].iter().all(|b| *b <= MOST_BYTES)
    };
    is_count(table.context_tokens)
        && table.by_layers.len() <= MOST_LAYERS as usize + 2
        && table.by_layers.iter().all(is_footprint)
}

#[cfg(test)]
mod tests;
