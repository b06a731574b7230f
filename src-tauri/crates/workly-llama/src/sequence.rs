//! The one sequence of a context's KV cache: what it holds, computing more of it, saving it and taking it over.

use std::path::Path;
use std::time::Instant;

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::prompt_chunks::PromptChunks;
use workly_engine::fault::FaultPoint;

use crate::fault;
use crate::job::{Halt, Job};

/// Its number.
const SEQUENCE: i32 = 0;
/// What `llama_decode` returns when it cannot allocate.
const NO_MEMORY: i32 = -2;

/// A context with the tokens in its KV cache.
pub(crate) struct Sequence<'model> {
    context: LlamaContext<'model>,
    chunks: PromptChunks,
    /// The tokens in the KV cache, in order.
    cached: Vec<i32>,
}

impl<'model> Sequence<'model> {
    /// `chunks`: sizes in which a prompt is computed.
    pub(crate) const fn new(context: LlamaContext<'model>, chunks: PromptChunks) -> Self {
        Self { context, chunks, cached: Vec::new() }
    }

    /// Computes one token for nothing, as llama.cpp's own programs do: the first one reads all weights into memory,
    /// and sets threads and buffers up.
    pub(crate) fn warm_up(&mut self, token: i32) {
        // Whatever fails here fails again, with words, at the first answer.
        let _ = self.compute(&[token]);
        self.context.synchronize();
        self.forget();
    }

    /// Tokens there is room for.
    pub(crate) fn room(&self) -> usize {
        self.context.n_ctx() as usize
    }

    /// The tokens in the KV cache.
    pub(crate) fn tokens(&self) -> &[i32] {
        &self.cached
    }

    /// What the model makes of the last token, by token of the vocabulary.
    pub(crate) fn logits(&self) -> &[f32] {
        self.context.get_logits_ith(-1)
    }

    /// Drops from the KV cache what the prompt does not begin with; tells how many tokens stay. At least one token of
    /// the prompt is left to compute, because its logits begin the answer.
    pub(crate) fn keep_common_prefix(&mut self, prompt: &[i32]) -> usize {
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

    /// Computes what of the history is not cached, in chunks short enough that an interruption is heard. `tell`: how
    /// much of it is computed now.
    pub(crate) fn read(&mut self, history: &[i32], job: &Job<'_>, tell: &impl Fn(usize)) -> Result<(), Halt> {
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

    /// Computes tokens at the end of the cache; the last one's logits can be read afterwards.
    pub(crate) fn compute(&mut self, tokens: &[i32]) -> Result<(), Halt> {
        if self.cached.len() + tokens.len() > self.room() {
            return Err(Halt::Full);
        }
        let mut batch = LlamaBatch::new(tokens.len(), 1);
        for (offset, token) in tokens.iter().enumerate() {
            let position = i32::try_from(self.cached.len() + offset).unwrap_or(i32::MAX);
            let is_last = offset + 1 == tokens.len();
            batch
                .add(LlamaToken(*token), position, &[SEQUENCE], is_last)
                .map_err(|error| Halt::Fault(self.failed(&error.to_string())))?;
        }
        match self.context.decode(&mut batch) {
            Ok(()) => {
                self.cached.extend_from_slice(tokens);
                Ok(())
            }
            Err(DecodeError::NoKvCacheSlot) => Err(Halt::Full),
            Err(error) => {
                // After a failed decode nobody knows what the cache holds.
                self.forget();
                Err(Halt::Fault(explain(&error)))
            }
        }
    }

    /// The problem of an answer that could not be computed.
    pub(crate) fn failed(&mut self, details: &str) -> Problem {
        self.forget();
        not_computed(details)
    }

    /// Saves the KV cache; bytes of the file. `None` where it could not be saved.
    pub(crate) fn save(&self, path: &Path) -> Option<u64> {
        let tokens: Vec<LlamaToken> = self.cached.iter().copied().map(LlamaToken).collect();
        self.context.state_seq_save_file(path, SEQUENCE, &tokens).ok().map(|bytes| bytes as u64)
    }

    /// Takes over a saved KV cache. One that does not fit is left alone: the tokens are computed anew.
    pub(crate) fn restore(&mut self, path: &Path) {
        self.forget();
        match self.context.state_seq_load_file(path, SEQUENCE, self.room()) {
            Ok((tokens, _)) => self.cached = tokens.into_iter().map(|token| token.0).collect(),
            Err(_) => self.forget(),
        }
    }
}

/// What a failed decode means.
fn explain(error: &DecodeError) -> Problem {
    match error {
        DecodeError::Unknown(NO_MEMORY) => Problem::new(
            ProblemCode::OutOfMemory,
            "There is not enough memory to compute the answer. Close other programs, or choose a smaller context.",
        )
        .with_details(error.to_string()),
        _ => not_computed(&error.to_string()),
    }
}

fn not_computed(details: &str) -> Problem {
    Problem::new(ProblemCode::DecodeFailed, "The model could not compute the answer. Send the message again.")
        .with_details(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_allocation_is_told_as_lack_of_memory_and_other_failures_are_not() {
        let code = |result: i32| explain(&DecodeError::from(std::num::NonZeroI32::new(result).unwrap())).code;
        assert_eq!(code(-2), ProblemCode::OutOfMemory);
        for other in [-1, -3, 2] {
            assert_eq!(code(other), ProblemCode::DecodeFailed);
        }
    }
}
