//! One answer on its way from the worker to whoever asked.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use workly_core::problem::Problem;
use workly_core::profile::Profile;
use workly_core::sampling::Sampling;
use workly_core::wire::{AnswerEvent, AnswerRequest, AnswerStats, StopReason};
use workly_engine::protocol::{GenerateRequest, Generated, Reply};

use super::switch::Handover;

/// What a person reads when the worker goes silent.
const SILENT_MESSAGE: &str =
    "The model process is not answering. It is given a few seconds to come back; you can also stop the answer.";

/// An answer asked for, and how far it is.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The same for every worker that writes a part of it.
    command: GenerateRequest,
    events: mpsc::UnboundedSender<AnswerEvent>,
    asked: Instant,
    first_token: Option<Duration>,
    tokens: u32,
    prompt_tokens: u32,
    last_token: Instant,
    /// The last change of workers, until it is told.
    handover: Option<Handover>,
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
        };
        Self {
            command,
            events,
            asked: Instant::now(),
            first_token: None,
            tokens: 0,
            prompt_tokens: 0,
            last_token: Instant::now(),
            handover: None,
        }
    }

    /// The command for the worker.
    pub(crate) fn command(&self) -> GenerateRequest {
        self.command.clone()
    }

    /// Whether whoever asked has gone away.
    pub(crate) async fn abandoned(&self) {
        self.events.closed().await;
    }

    /// Passes a reply on. Tells the figures of the answer when it was the last one.
    pub(crate) fn hear(&mut self, reply: Reply, profile: Profile) -> Option<AnswerStats> {
        match reply {
            Reply::Prompt { done, total, dropped_turns } => {
                self.prompt_tokens = total;
                self.tell(AnswerEvent::Prompt { done, total, dropped_turns });
            }
            Reply::Token { index, id, text } => {
                self.first_token.get_or_insert_with(|| self.asked.elapsed());
                self.tokens = index + 1;
                let gap = self.last_token.elapsed();
                self.last_token = Instant::now();
                if let Some(handover) = &mut self.handover {
                    handover.first_token.get_or_insert((index, gap));
                }
                self.tell_handover();
                self.tell(AnswerEvent::Token { index, id, text, profile });
            }
            Reply::Done(generated) => return Some(self.finish(&generated)),
            Reply::Failed(problem) => self.tell(AnswerEvent::Failed(problem)),
            other => self.tell(AnswerEvent::Failed(crate::bring_up::unexpected(&other))),
        }
        None
    }

    fn finish(&self, generated: &Generated) -> AnswerStats {
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

    /// Tokens per second since the first token, for display while the answer is written.
    pub(crate) fn speed(&self) -> Option<f64> {
        let writing = self.asked.elapsed().checked_sub(self.first_token?)?.as_secs_f64();
        (self.tokens > 1 && writing > 0.0).then(|| f64::from(self.tokens - 1) / writing)
    }

    /// The answer goes on with another worker.
    pub(crate) fn handed_over(&mut self, handover: Handover) {
        self.handover = Some(handover);
    }

    /// The old worker is gone, this long after the decision.
    pub(crate) fn released(&mut self, after: Duration) {
        if let Some(handover) = &mut self.handover {
            handover.released = Some(after);
        }
        self.tell_handover();
    }

    /// Tells of a change of workers once all its figures are known.
    fn tell_handover(&mut self) {
        if let Some(switch) = self.handover.as_ref().and_then(Handover::complete) {
            self.handover = None;
            self.tell(AnswerEvent::Switched(switch));
        }
    }

    pub(crate) fn silent(&self) {
        self.tell(AnswerEvent::Silent { message: SILENT_MESSAGE.to_owned() });
    }

    pub(crate) fn resumed(&self) {
        self.tell(AnswerEvent::Resumed);
    }

    /// The answer ended by a fault.
    pub(crate) fn fail(&self, problem: Problem) {
        self.tell(AnswerEvent::Failed(problem));
    }

    /// The user stopped it, and the worker could not be asked for the figures.
    pub(crate) fn stopped(&self) {
        self.tell(AnswerEvent::Done(AnswerStats {
            tokens: self.tokens,
            tokens_per_second: self.speed().unwrap_or_default(),
            prompt_tokens: self.prompt_tokens,
            cached_prompt_tokens: 0,
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
