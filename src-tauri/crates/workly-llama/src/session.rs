//! A model that is ready: writing answers, token by token, with what is still in the KV cache.

use std::path::Path;
use std::time::Instant;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;
use workly_core::answer::StopReason;
use workly_core::chat::Role;
use workly_core::model::ModelInfo;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::prompt_chunks::PromptChunks;
use workly_core::sampling::Sampler;
use workly_core::text::AnswerText;
use workly_engine::fault::FaultPoint;
use workly_engine::protocol::{GenerateRequest, Generated, Reply, ResumeRequest, UnfinishedAnswer};

use crate::context::Context;
use crate::fault;
use crate::interruptions::Interruption;
use crate::job::{Halt, Job};
use crate::prompt::{Prompt, Prompter};
use crate::sequence::Sequence;
use crate::threads::Threads;

/// A loaded model with its context.
pub(crate) struct Session<'model> {
    sequence: Sequence<'model>,
    prompter: Prompter<'model>,
    vocab: LlamaVocab<'model>,
    info: ModelInfo,
    /// Tokens that never count as part of an answer.
    ends: Vec<i32>,
}

impl<'model> Session<'model> {
    pub(crate) fn open(
        model: &'model LlamaModel,
        context: Context<'model>,
        info: ModelInfo,
        chunks: PromptChunks,
        threads: Threads,
    ) -> Result<Self, Problem> {
        let vocab = model.vocab();
        let prompter = Prompter::new(model)?;
        let ends = vocab.tokens().filter(|token| vocab.is_eog(*token)).map(|token| token.0).collect();
        let mut sequence = Sequence::new(context, chunks, threads);
        sequence.warm_up(vocab.bos().0.max(0));
        Ok(Self { sequence, prompter, vocab, info, ends })
    }

    pub(crate) const fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Writes an answer, telling each token.
    pub(crate) fn answer(&mut self, request: &GenerateRequest, job: &Job<'_>) -> Result<Reply, Problem> {
        check(request)?;
        let mut answer = UnfinishedAnswer {
            history: Vec::new(),
            prompt_tokens: 0,
            cached_prompt_tokens: 0,
            dropped_turns: 0,
            tokens: 0,
            seconds: 0.0,
            text: AnswerText::new(request.stop_strings.clone()),
            withheld: Vec::new(),
        };
        match self.prompter.prompt(request, self.sequence.room(), job) {
            Ok(Prompt { tokens, dropped_turns }) => {
                answer.prompt_tokens = tokens.len() as u32;
                answer.history = tokens;
                answer.dropped_turns = dropped_turns;
            }
            Err(halt) => return self.halted(halt, answer, job),
        }
        job.say(Reply::PromptTokens { tokens: answer.history.clone() });
        self.sequence.keep_in(request.state.as_deref());
        self.sequence.take_over(&answer.history);
        answer.cached_prompt_tokens = self.sequence.keep_common_prefix(&answer.history) as u32;
        self.go_on(request, answer, job)
    }

    /// Goes on with an answer that another worker began.
    pub(crate) fn resume(&mut self, resume: ResumeRequest, job: &Job<'_>) -> Result<Reply, Problem> {
        let began = Instant::now();
        self.sequence.keep_in(resume.request.state.as_deref());
        self.sequence.take_over(&resume.answer.history);
        let restored_in_ms = began.elapsed().as_secs_f64() * 1_000.0;
        let restored_tokens = self.sequence.keep_common_prefix(&resume.answer.history) as u32;
        job.say(Reply::Resumed { restored_tokens, restored_in_ms });
        self.go_on(&resume.request, resume.answer, job)
    }

    /// Computes what of the history is not in the KV cache, then writes.
    fn go_on(&mut self, request: &GenerateRequest, answer: UnfinishedAnswer, job: &Job<'_>) -> Result<Reply, Problem> {
        let UnfinishedAnswer { prompt_tokens: total, dropped_turns, tokens, .. } = answer;
        let tell = |done: usize| {
            // Once an answer is begun, its prompt has been seen being read.
            if tokens == 0 {
                job.say(Reply::Prompt { done: done as u32, total, dropped_turns });
            }
        };
        tell(self.sequence.tokens().len());
        match self.sequence.read(&answer.history, job, &tell) {
            Ok(()) => self.write(request, answer, job),
            Err(halt) => self.halted(halt, answer, job),
        }
    }

    /// Writes until there is a reason to stop.
    fn write(
        &mut self,
        request: &GenerateRequest,
        mut answer: UnfinishedAnswer,
        job: &Job<'_>,
    ) -> Result<Reply, Problem> {
        let banned = if request.ignore_end { self.ends.clone() } else { Vec::new() };
        let mut sampler = Sampler::new(request.sampling.clone(), banned);
        let limit = request.max_tokens.unwrap_or(u32::MAX);
        let seconds_before = answer.seconds;
        // The time to an answer's first token is the prompt's.
        let mut began = (answer.tokens > 0).then(Instant::now);
        let stop = loop {
            if answer.tokens >= limit {
                break StopReason::Length;
            }
            if job.is_cancelled() {
                break StopReason::Cancelled;
            }
            if fault::strikes(FaultPoint::Token(answer.tokens)) {
                return Err(self.sequence.failed("a fault asked for"));
            }
            let position = self.sequence.tokens().len() as u64;
            let chosen = sampler.choose(self.sequence.logits(), self.sequence.tokens(), position);
            let Some(token) = chosen.filter(|token| !self.ends.contains(token)) else { break StopReason::End };
            let added = answer.text.push(&piece(&self.vocab, LlamaToken(token)));
            answer.withheld.push((answer.tokens, token, added.text));
            answer.history.push(token);
            answer.tokens += 1;
            if !answer.text.is_holding() {
                job.say_tokens(&mut answer.withheld);
            }
            answer.seconds = seconds_before + began.get_or_insert_with(Instant::now).elapsed().as_secs_f64();
            if added.stopped {
                break StopReason::StopString;
            }
            // The worker that goes on computes this token: what it took to choose it is not thrown away.
            if let Err(halt) = job.check().and_then(|()| self.sequence.write(token, job)) {
                return self.halted(halt, answer, job);
            }
            if answer.tokens == 1 {
                // The prompt, above all, is not to be computed twice.
                self.sequence.checkpoint(job);
            } else {
                self.sequence.checkpoint_if_due(job);
            }
        };
        Ok(self.done(job, answer, stop))
    }

    /// What an answer ends with that stops short.
    fn halted(&mut self, halt: Halt, answer: UnfinishedAnswer, job: &Job<'_>) -> Result<Reply, Problem> {
        match halt {
            Halt::Interrupted(Interruption::Cancel) => Ok(self.done(job, answer, StopReason::Cancelled)),
            Halt::Interrupted(Interruption::HandOver(path)) => Ok(self.hand_over(answer, &path, job)),
            Halt::Full => Ok(self.done(job, answer, StopReason::Context)),
            Halt::Fault(problem) => Err(problem),
        }
    }

    /// Saves what is not saved yet for the worker that goes on. Where it cannot be saved, that worker computes it anew.
    fn hand_over(&mut self, answer: UnfinishedAnswer, path: &Path, job: &Job<'_>) -> Reply {
        let began = Instant::now();
        self.sequence.keep_in(Some(path));
        let state_bytes = self.sequence.checkpoint(job);
        self.sequence.keep_in(None);
        // Meanwhile it may have been stopped: then nobody goes on.
        if job.is_cancelled() {
            return self.done(job, answer, StopReason::Cancelled);
        }
        Reply::HandedOver { answer, state_bytes, saved_in_ms: began.elapsed().as_secs_f64() * 1_000.0 }
    }

    /// Ends an answer: what was withheld is certain now. The next worker to be asked has all of it saved.
    fn done(&mut self, job: &Job<'_>, mut answer: UnfinishedAnswer, stop: StopReason) -> Reply {
        let rest = answer.text.finish();
        if let Some((_, _, text)) = answer.withheld.last_mut() {
            text.push_str(&rest);
        }
        job.say_tokens(&mut answer.withheld);
        self.sequence.checkpoint(job);
        self.sequence.keep_in(None);
        Reply::Done(Generated {
            tokens: answer.tokens,
            seconds: answer.seconds,
            prompt_tokens: answer.prompt_tokens,
            cached_prompt_tokens: answer.cached_prompt_tokens,
            stop,
        })
    }

    /// Takes over what a file of checkpoints holds, for an answer that may come.
    pub(crate) fn restore(&mut self, path: &Path) -> Reply {
        self.sequence.restore(path);
        Reply::Restored { tokens: self.sequence.tokens().len() as u32 }
    }
}

fn check(request: &GenerateRequest) -> Result<(), Problem> {
    let asks = request.messages.last().is_some_and(|message| message.role == Role::User);
    let is_blank = request.messages.last().is_none_or(|message| message.content.trim().is_empty());
    if !asks || is_blank {
        return Err(Problem::new(ProblemCode::EmptyPrompt, "The message is empty. Write something to answer."));
    }
    request.sampling.check().map_err(|error| Problem::new(ProblemCode::InvalidSetting, format!("{error}.")))
}

/// The bytes a token adds to a text; control tokens add none.
fn piece(vocab: &LlamaVocab<'_>, token: LlamaToken) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16);
    vocab.token_to_piece_into(token, &mut bytes, false, None);
    bytes
}
