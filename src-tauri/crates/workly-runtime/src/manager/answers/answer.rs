//! One answer on its way from the worker to whoever asked. It keeps the token ids, so that it can go on without the
//! worker that wrote them.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use workly_core::answer::StopReason;
use workly_core::chat::Message;
use workly_core::problem::Problem;
use workly_core::profile::Profile;
use workly_core::reading::ProcessUse;
use workly_core::sampling::Sampling;
use workly_core::text::AnswerText;
use workly_engine::protocol::{GenerateRequest, Generated, Reply, UnfinishedAnswer};
use workly_wire::answer::{AnswerEvent, AnswerRequest, AnswerStats};

use super::handover::{Handover, Released};
use super::is_a_fault;
use super::life::{Heard, WorkerId};
use crate::manager::workers::startup::unexpected;

/// An answer asked for, and how far it is.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The same for every worker that writes a part of it.
    command: GenerateRequest,
    events: mpsc::UnboundedSender<AnswerEvent>,
    asked: Instant,
    first_token: Option<Duration>,
    last_token: Instant,
    /// Time between tokens, without that between workers.
    writing: Duration,
    tokens: u32,
    /// Where its tokens were written, if that was one place.
    written: Written,
    prompt_tokens: u32,
    /// Of those, tokens that the first worker still had in its KV cache, once it tells.
    cached_prompt_tokens: Option<u32>,
    /// Oldest turns left out of the prompt for lack of room.
    dropped_turns: u32,
    /// Token ids of the prompt and of all tokens that were told; empty until the prompt is known.
    history: Vec<i32>,
    /// Changes of workers that are not told yet, oldest first.
    handovers: VecDeque<Handover>,
}

/// Where the tokens of an answer were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// There are none.
    Nowhere,
    /// By one worker in this profile.
    In(Profile),
    /// By several workers.
    InSeveral,
}

impl Answer {
    pub(crate) fn new(request: AnswerRequest, events: mpsc::UnboundedSender<AnswerEvent>) -> Self {
        let sampling = request.sampling.unwrap_or_else(|| Sampling { seed: random_seed(), ..Sampling::default() });
        let command = GenerateRequest {
            messages: request.messages,
            sampling,
            max_tokens: request.max_tokens,
            stop_strings: request.stop_strings,
            ignore_end: request.ignore_end,
            state: None,
        };
        Self {
            command,
            events,
            asked: Instant::now(),
            first_token: None,
            last_token: Instant::now(),
            writing: Duration::ZERO,
            tokens: 0,
            written: Written::Nowhere,
            prompt_tokens: 0,
            cached_prompt_tokens: None,
            dropped_turns: 0,
            history: Vec::new(),
            handovers: VecDeque::new(),
        }
    }

    /// The command for a worker that writes a part of it, with the file of its checkpoints.
    pub(super) fn command(&self, state: Option<PathBuf>) -> GenerateRequest {
        GenerateRequest { state, ..self.command.clone() }
    }

    /// What it is the answer to.
    pub(super) fn messages(&self) -> &[Message] {
        &self.command.messages
    }

    /// How far it is, told from what was heard. Between two tokens that were told nothing is held back: a worker tells
    /// tokens only once their text is certain.
    pub(super) fn unfinished(&self) -> Option<UnfinishedAnswer> {
        (!self.history.is_empty()).then(|| UnfinishedAnswer {
            history: self.history.clone(),
            prompt_tokens: self.prompt_tokens,
            cached_prompt_tokens: self.cached_prompt_tokens.unwrap_or(0),
            dropped_turns: self.dropped_turns,
            tokens: self.tokens,
            seconds: self.writing.as_secs_f64(),
            text: AnswerText::new(self.command.stop_strings.clone()),
            withheld: Vec::new(),
        })
    }

    /// Tokens in the context by now.
    pub(super) fn context_tokens(&self) -> u32 {
        self.prompt_tokens + self.tokens
    }

    /// What a reply means to the life of the answer; an error where it is none that its worker may give.
    ///
    /// # Errors
    ///
    /// The worker does not speak the protocol: a token is not the next one, or the reply belongs to another command.
    pub(super) fn judge(&self, reply: &Reply) -> Result<Heard, Problem> {
        match reply {
            Reply::Token { index, .. } if *index != self.tokens => Err(unexpected(reply)),
            Reply::PromptTokens { .. } if self.tokens > 0 => Err(unexpected(reply)),
            Reply::PromptTokens { .. }
            | Reply::Prompt { .. }
            | Reply::Resumed { .. }
            | Reply::Token { .. }
            | Reply::Checkpointed { .. } => Ok(Heard::Progress),
            Reply::HandedOver { .. } => Ok(Heard::HandedOver),
            Reply::Done(_) => Ok(Heard::Done),
            Reply::Failed(problem) if is_a_fault(problem.code) => Ok(Heard::Fault),
            Reply::Failed(_) => Ok(Heard::Failed),
            _ => Err(unexpected(reply)),
        }
    }

    /// Passes a reply on. Tells the figures of the answer when it was the last one.
    pub(super) fn hear(&mut self, reply: Reply, profile: Profile) -> Option<AnswerStats> {
        match reply {
            Reply::PromptTokens { tokens } => {
                self.prompt_tokens = tokens.len() as u32;
                self.history = tokens;
            }
            Reply::Prompt { done, total, dropped_turns } => {
                self.cached_prompt_tokens.get_or_insert(done);
                self.dropped_turns = dropped_turns;
                self.tell(AnswerEvent::Prompt { done, total, dropped_turns });
            }
            Reply::Resumed { restored_tokens, restored_in_ms } => {
                if let Some(handover) = self.handovers.back_mut() {
                    handover.restored = Some((restored_tokens, restored_in_ms));
                }
            }
            Reply::Token { index, id, text } => self.token(index, id, text, profile),
            // It concerns the worker that may go on with it, and nobody else.
            Reply::Checkpointed { .. } => {}
            Reply::Done(generated) => return Some(self.finish(&generated)),
            Reply::Failed(problem) => self.tell(AnswerEvent::Failed(problem)),
            other => self.tell(AnswerEvent::Failed(unexpected(&other))),
        }
        None
    }

    fn token(&mut self, index: u32, id: i32, text: String, profile: Profile) {
        self.first_token.get_or_insert_with(|| self.asked.elapsed());
        let gap = self.last_token.elapsed();
        self.last_token = Instant::now();
        match self.handovers.back_mut().filter(|handover| handover.first_token.is_none()) {
            Some(handover) => handover.first_token = Some((index, gap)),
            None if self.tokens > 0 => self.writing += gap,
            None => {}
        }
        self.tokens += 1;
        if self.written == Written::Nowhere {
            self.written = Written::In(profile);
        }
        self.history.push(id);
        self.tell_handovers();
        self.tell(AnswerEvent::Token { index, id, text, profile });
    }

    fn finish(&mut self, generated: &Generated) -> AnswerStats {
        self.tell_handovers_as_they_are();
        let stats = AnswerStats {
            tokens: generated.tokens,
            tokens_per_second: generated.tokens_per_second(),
            prompt_tokens: generated.prompt_tokens,
            cached_prompt_tokens: generated.cached_prompt_tokens,
            time_to_first_token_ms: self.first_token.unwrap_or_default().as_secs_f64() * 1_000.0,
            stop: generated.stop,
        };
        self.tell(AnswerEvent::Done(stats.clone()));
        stats
    }

    /// The profile that all of it was written in, by one worker.
    pub(super) fn written_in(&self) -> Option<Profile> {
        if let Written::In(profile) = self.written { Some(profile) } else { None }
    }

    /// Tokens per second since the first token, for display while the answer is written.
    pub(super) fn speed(&self) -> Option<f64> {
        let writing = self.writing.as_secs_f64();
        (self.tokens > 1 && writing > 0.0).then(|| f64::from(self.tokens - 1) / writing)
    }

    /// The answer goes on with another worker.
    pub(super) fn handed_over(&mut self, handover: Handover) {
        if self.written != Written::Nowhere {
            self.written = Written::InSeveral;
        }
        self.handovers.push_back(handover);
    }

    /// The worker of this number is gone, so long after it was decided to leave it.
    pub(super) fn released(&mut self, worker: WorkerId, after: Duration) {
        for handover in self.handovers.iter_mut().filter(|handover| handover.left.worker == worker) {
            if handover.left.released == Released::Pending {
                handover.left.released = Released::After(after);
            }
        }
        self.tell_handovers();
    }

    /// Names those who caused the decisions that are not told yet.
    pub(super) fn blame(&mut self, culprits: &[ProcessUse]) {
        self.handovers.iter_mut().for_each(|handover| handover.reason.blame(culprits));
        self.tell_handovers();
    }

    /// Tells of changes of workers once all their figures are known, in order.
    fn tell_handovers(&mut self) {
        while let Some(switch) = self.handovers.front().and_then(Handover::complete) {
            self.handovers.pop_front();
            self.tell(AnswerEvent::Switched(switch));
        }
    }

    /// The answer ends: what is known by now must do.
    fn tell_handovers_as_they_are(&mut self) {
        for handover in std::mem::take(&mut self.handovers) {
            if let Some(switch) = handover.so_far() {
                self.tell(AnswerEvent::Switched(switch));
            }
        }
    }

    pub(super) fn silent(&self) {
        self.tell(AnswerEvent::Silent);
    }

    pub(super) fn resumed(&self) {
        self.tell(AnswerEvent::Resumed);
    }

    /// The answer ended by a fault.
    pub(crate) fn fail(&mut self, problem: Problem) {
        self.tell_handovers_as_they_are();
        self.tell(AnswerEvent::Failed(problem));
    }

    /// The user stopped it, and the worker could not be asked for the figures.
    pub(super) fn stopped(&mut self) {
        self.tell_handovers_as_they_are();
        self.tell(AnswerEvent::Done(AnswerStats {
            tokens: self.tokens,
            tokens_per_second: self.speed().unwrap_or_default(),
            prompt_tokens: self.prompt_tokens,
            cached_prompt_tokens: self.cached_prompt_tokens.unwrap_or(0),
            time_to_first_token_ms: self.first_token.unwrap_or_default().as_secs_f64() * 1_000.0,
            stop: StopReason::Cancelled,
        }));
    }

    fn tell(&self, event: AnswerEvent) {
        // Whoever asked may have gone away; `abandoned` takes care of that.
        let _ = self.events.send(event);
    }
}

/// A seed that nobody can guess.
pub fn random_seed() -> u32 {
    // The standard library's hash keys come from the system's randomness.
    RandomState::new().hash_one(0_u8) as u32
}
