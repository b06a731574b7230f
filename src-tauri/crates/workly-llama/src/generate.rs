//! Writing an answer, token by token, with what is still in the KV cache.

use std::path::Path;
use std::time::Instant;

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;
use workly_core::answer::StopReason;
use workly_core::chat::{ChatTemplate, FALLBACK_TEMPLATE, Fitted, Message, Role, fit};
use workly_core::model::ModelInfo;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::prompt_chunks::PromptChunks;
use workly_core::sampling::Sampler;
use workly_core::text::AnswerText;
use workly_engine::fault::FaultPoint;
use workly_engine::protocol::{GenerateRequest, Generated, Reply, ResumeRequest, UnfinishedAnswer};

use crate::fault;
use crate::inbox::{Interruption, Interruptions};
use crate::outbox::Outbox;

/// The one sequence of the KV cache.
const SEQUENCE: i32 = 0;
/// Share of the context kept free for an answer when old turns are dropped.
const ANSWER_SHARE: usize = 4;

/// A loaded model with its context and what the KV cache holds.
pub(crate) struct Conversation<'model> {
    context: LlamaContext<'model>,
    vocab: LlamaVocab<'model>,
    info: ModelInfo,
    template: ChatTemplate,
    chunks: PromptChunks,
    /// Tokens that never count as part of an answer.
    ends: Vec<i32>,
    /// The tokens in the KV cache, in order.
    cached: Vec<i32>,
}

/// Why computing stopped short.
enum Halt {
    Interrupted(Interruption),
    Full,
    Fault(Problem),
}

/// A request at work: how to tell of it, and whether it is still wanted.
pub(crate) struct Job<'a> {
    pub(crate) id: u64,
    pub(crate) outbox: &'a Outbox,
    pub(crate) interruptions: &'a Interruptions,
}

impl Job<'_> {
    fn say(&self, reply: Reply) {
        self.outbox.say(self.id, reply);
    }

    /// Tells tokens whose text is certain.
    fn say_tokens(&self, tokens: &mut Vec<(u32, i32, String)>) {
        for (index, id, text) in tokens.drain(..) {
            self.say(Reply::Token { index, id, text });
        }
    }

    fn progress(&self) {
        self.outbox.progress();
    }

    fn check(&self) -> Result<(), Halt> {
        match self.interruptions.of(self.id) {
            Some(interruption) => Err(Halt::Interrupted(interruption)),
            None => Ok(()),
        }
    }
}

impl<'model> Conversation<'model> {
    pub(crate) fn open(
        model: &'model LlamaModel,
        context: LlamaContext<'model>,
        info: ModelInfo,
        chunks: PromptChunks,
    ) -> Result<Self, Problem> {
        let vocab = model.vocab();
        let own = model.chat_template(None).ok().and_then(|template| template.to_string().ok());
        let source = own.as_deref().unwrap_or(FALLBACK_TEMPLATE);
        let template = ChatTemplate::parse(source, &text_of(&vocab, vocab.bos()), &text_of(&vocab, vocab.eos()))
            .map_err(|error| Problem::new(ProblemCode::TemplateFailed, error.to_string()))?;
        let ends = vocab.tokens().filter(|token| vocab.is_eog(*token)).map(|token| token.0).collect();
        let mut conversation = Self { context, vocab, info, template, chunks, ends, cached: Vec::new() };
        conversation.warm_up();
        Ok(conversation)
    }

    /// Computes one token for nothing, as llama.cpp's own programs do: the first one reads all weights into memory,
    /// and sets threads and buffers up.
    fn warm_up(&mut self) {
        // Whatever fails here fails again, with words, at the first answer.
        let _ = self.compute(&[self.vocab.bos().0.max(0)]);
        self.context.synchronize();
        self.forget();
    }

    pub(crate) const fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Writes an answer, telling each token.
    pub(crate) fn answer(&mut self, request: &GenerateRequest, job: &Job<'_>) -> Result<Reply, Problem> {
        check(request)?;
        let Fitted { prompt, dropped_turns } = self.prompt(request)?;
        let answer = UnfinishedAnswer {
            prompt_tokens: prompt.len() as u32,
            history: prompt,
            cached_prompt_tokens: 0,
            tokens: 0,
            seconds: 0.0,
            text: AnswerText::new(request.stop_strings.clone()),
            withheld: Vec::new(),
        };
        job.say(Reply::PromptTokens { tokens: answer.history.clone() });
        let total = answer.prompt_tokens;
        let tell = |done: usize| job.say(Reply::Prompt { done: done as u32, total, dropped_turns });
        self.go_on(request, answer, job, &tell)
    }

    /// Goes on with an answer that another worker began. The user has seen its prompt being read once already.
    pub(crate) fn resume(&mut self, resume: ResumeRequest, job: &Job<'_>) -> Result<Reply, Problem> {
        if let Some(path) = resume.state {
            let began = Instant::now();
            self.restore(&path);
            let restored_in_ms = began.elapsed().as_secs_f64() * 1_000.0;
            job.say(Reply::Resumed { restored_tokens: self.cached.len() as u32, restored_in_ms });
        }
        self.go_on(&resume.request, resume.answer, job, &|_| {})
    }

    /// Computes what of the history is not in the KV cache, then writes.
    fn go_on(
        &mut self,
        request: &GenerateRequest,
        mut answer: UnfinishedAnswer,
        job: &Job<'_>,
        tell: &impl Fn(usize),
    ) -> Result<Reply, Problem> {
        let kept = self.keep_common_prefix(&answer.history);
        if answer.tokens == 0 {
            answer.cached_prompt_tokens = kept as u32;
        }
        tell(kept);
        match self.read(&answer.history, job, tell) {
            Ok(()) => self.write(request, answer, job),
            Err(Halt::Interrupted(Interruption::Cancel)) => Ok(done(job, answer, StopReason::Cancelled)),
            Err(Halt::Interrupted(Interruption::HandOver(path))) => Ok(self.hand_over(answer, &path)),
            Err(Halt::Full) => Ok(done(job, answer, StopReason::Context)),
            Err(Halt::Fault(problem)) => Err(problem),
        }
    }

    /// The tokens of the prompt, without the oldest turns where the context is short.
    fn prompt(&self, request: &GenerateRequest) -> Result<Fitted<Vec<i32>>, Problem> {
        let room = self.context.n_ctx() as usize;
        let reserve = request.max_tokens.map_or(usize::MAX, |tokens| tokens as usize).clamp(1, room / ANSWER_SHARE);
        let fitted = fit(&request.messages, room - reserve, |messages| {
            let tokens = self.tokenize(messages)?;
            let count = tokens.len();
            Ok((tokens, count))
        })?;
        if fitted.prompt.len() >= room {
            return Err(Problem::new(
                ProblemCode::PromptTooLong,
                format!(
                    "The message takes {} tokens; the context has room for {room}. Shorten the message, or choose a \
                     larger context.",
                    fitted.prompt.len()
                ),
            ));
        }
        Ok(fitted)
    }

    fn tokenize(&self, messages: &[Message]) -> Result<Vec<i32>, Problem> {
        let text = self
            .template
            .render(messages)
            .map_err(|error| Problem::new(ProblemCode::TemplateFailed, error.to_string()))?;
        let mut tokens: Vec<i32> =
            self.vocab.tokenize(text.as_bytes(), false, true).into_iter().map(|token| token.0).collect();
        let beginning = self.vocab.bos().0;
        if self.vocab.should_add_bos() && tokens.first() != Some(&beginning) {
            tokens.insert(0, beginning);
        }
        Ok(tokens)
    }

    /// Drops from the KV cache what the prompt does not begin with; tells how many tokens stay. At least one token of
    /// the prompt is left to compute, because its logits begin the answer.
    fn keep_common_prefix(&mut self, prompt: &[i32]) -> usize {
        let common = self.cached.iter().zip(prompt).take_while(|(cached, wanted)| cached == wanted).count();
        let keep = common.min(prompt.len().saturating_sub(1));
        let first_gone = u32::try_from(keep).unwrap_or(u32::MAX);
        if self.context.kv_cache_seq_rm(SEQUENCE, Some(first_gone), None).is_ok() {
            self.cached.truncate(keep);
        } else {
            // Recurrent models cannot forget a part.
            self.forget();
        }
        self.cached.len()
    }

    fn forget(&mut self) {
        self.context.clear_kv_cache();
        self.cached.clear();
    }

    /// Computes what of the history is not cached, in chunks short enough that an interruption is heard.
    fn read(&mut self, history: &[i32], job: &Job<'_>, tell: &impl Fn(usize)) -> Result<(), Halt> {
        while self.cached.len() < history.len() {
            job.check()?;
            if fault::strikes(FaultPoint::Prompt) {
                return Err(Halt::Fault(self.failed("a fault asked for")));
            }
            let start = self.cached.len();
            let size = self.chunks.size() as usize;
            let end = (start + size).min(history.len());
            let began = Instant::now();
            self.compute(&history[start..end])?;
            if end - start == size {
                // Backends compute behind our back; reading the logits later would hide what the chunk took.
                self.context.synchronize();
                self.chunks.took(began.elapsed().as_secs_f64());
            }
            job.progress();
            tell(end);
        }
        Ok(())
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
            if job.interruptions.is_cancelled(job.id) {
                break StopReason::Cancelled;
            }
            if fault::strikes(FaultPoint::Token(answer.tokens)) {
                return Err(self.failed("a fault asked for"));
            }
            let position = self.cached.len() as u64;
            let chosen = sampler.choose(self.context.get_logits_ith(-1), &self.cached, position);
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
            if let Some(Interruption::HandOver(path)) = job.interruptions.of(job.id) {
                return Ok(self.hand_over(answer, &path));
            }
            match self.compute(&[token]) {
                Ok(()) => {}
                Err(Halt::Full) => break StopReason::Context,
                Err(Halt::Interrupted(_)) => break StopReason::Cancelled,
                Err(Halt::Fault(problem)) => return Err(problem),
            }
        };
        Ok(done(job, answer, stop))
    }

    /// Saves the KV cache for the worker that goes on. Where it cannot be saved, that worker computes it anew.
    fn hand_over(&mut self, answer: UnfinishedAnswer, path: &Path) -> Reply {
        let began = Instant::now();
        let state_bytes = self.save(path);
        Reply::HandedOver { answer, state_bytes, saved_in_ms: began.elapsed().as_secs_f64() * 1_000.0 }
    }

    /// Saves the KV cache between two answers.
    pub(crate) fn put_down(&self, path: &Path) -> Reply {
        Reply::Saved { state_bytes: if self.cached.is_empty() { None } else { self.save(path) } }
    }

    /// Takes a saved KV cache over between two answers.
    pub(crate) fn take_up(&mut self, path: &Path) -> Reply {
        self.restore(path);
        Reply::Restored { tokens: self.cached.len() as u32 }
    }

    fn save(&self, path: &Path) -> Option<u64> {
        let tokens: Vec<LlamaToken> = self.cached.iter().copied().map(LlamaToken).collect();
        self.context.state_seq_save_file(path, SEQUENCE, &tokens).ok().map(|bytes| bytes as u64)
    }

    /// Takes over a saved KV cache. One that does not fit is left alone: the tokens are computed anew.
    fn restore(&mut self, path: &Path) {
        self.forget();
        match self.context.state_seq_load_file(path, SEQUENCE, self.context.n_ctx() as usize) {
            Ok((tokens, _)) => self.cached = tokens.into_iter().map(|token| token.0).collect(),
            Err(_) => self.forget(),
        }
    }

    /// Computes tokens at the end of the cache; the last one's logits can be read afterwards.
    fn compute(&mut self, tokens: &[i32]) -> Result<(), Halt> {
        if self.cached.len() + tokens.len() > self.context.n_ctx() as usize {
            return Err(Halt::Full);
        }
        let mut batch = LlamaBatch::new(tokens.len(), 1);
        for (offset, token) in tokens.iter().enumerate() {
            let position = i32::try_from(self.cached.len() + offset).unwrap_or(i32::MAX);
            let is_last = offset + 1 == tokens.len();
            batch.add(LlamaToken(*token), position, &[SEQUENCE], is_last).map_err(|error| self.fault(&error))?;
        }
        match self.context.decode(&mut batch) {
            Ok(()) => {
                self.cached.extend_from_slice(tokens);
                Ok(())
            }
            Err(DecodeError::NoKvCacheSlot) => Err(Halt::Full),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// After a failed decode nobody knows what the cache holds.
    fn fault(&mut self, error: &dyn std::error::Error) -> Halt {
        Halt::Fault(self.failed(&error.to_string()))
    }

    fn failed(&mut self, details: &str) -> Problem {
        self.forget();
        Problem::new(ProblemCode::DecodeFailed, "The model could not compute the answer. Send the message again.")
            .with_details(details)
    }
}

/// Ends an answer: what was withheld is certain now.
fn done(job: &Job<'_>, mut answer: UnfinishedAnswer, stop: StopReason) -> Reply {
    let rest = answer.text.finish();
    if let Some((_, _, text)) = answer.withheld.last_mut() {
        text.push_str(&rest);
    }
    job.say_tokens(&mut answer.withheld);
    Reply::Done(Generated {
        tokens: answer.tokens,
        seconds: answer.seconds,
        prompt_tokens: answer.prompt_tokens,
        cached_prompt_tokens: answer.cached_prompt_tokens,
        stop,
    })
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

/// The text of a special token, as templates spell it.
fn text_of(vocab: &LlamaVocab<'_>, token: LlamaToken) -> String {
    vocab.text(token).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}
