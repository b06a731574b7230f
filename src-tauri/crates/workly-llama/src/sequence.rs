//! The one sequence of a context's KV cache: what it holds, computing more of it, saving it and taking it over.

use std::path::Path;
use std::time::Instant;

use workly_core::problem::{Problem, ProblemCode};
use workly_core::prompt_chunks::PromptChunks;
use workly_engine::fault::FaultPoint;

use crate::context::{Context, NotComputed, WantsStop};
use crate::fault;
use crate::interruptions::Interruption;
use crate::job::{Halt, Job};
use crate::threads::Threads;

/// Its number.
const SEQUENCE: i32 = 0;
/// What `llama_decode` returns when it cannot allocate.
const NO_MEMORY: i32 = -2;

/// A context with the tokens in its KV cache.
pub(crate) struct Sequence<'model> {
    context: Context<'model>,
    chunks: PromptChunks,
    threads: Threads,
    /// The tokens in the KV cache, in order.
    cached: Vec<i32>,
}

impl<'model> Sequence<'model> {
    /// `chunks`: sizes in which a prompt is computed.
    pub(crate) const fn new(context: Context<'model>, chunks: PromptChunks, threads: Threads) -> Self {
        Self { context, chunks, threads, cached: Vec::new() }
    }

    /// Computes one token for nothing, as llama.cpp's own programs do: the first one reads all weights into memory,
    /// and sets threads and buffers up.
    pub(crate) fn warm_up(&mut self, token: i32) {
        // Whatever fails here fails again, with words, at the first answer.
        let _ = self.compute(&[token], &|| false);
        self.context.synchronize();
        self.forget();
    }

    /// Tokens there is room for.
    pub(crate) fn room(&self) -> usize {
        self.context.tokens() as usize
    }

    /// The tokens in the KV cache.
    pub(crate) fn tokens(&self) -> &[i32] {
        &self.cached
    }

    /// What the model makes of the last token, by token of the vocabulary.
    pub(crate) fn logits(&self) -> &[f32] {
        self.context.logits()
    }

    /// Drops from the KV cache what the prompt does not begin with; tells how many tokens stay. At least one token of
    /// the prompt is left to compute, because its logits begin the answer.
    pub(crate) fn keep_common_prefix(&mut self, prompt: &[i32]) -> usize {
        let common = self.cached.iter().zip(prompt).take_while(|(cached, wanted)| cached == wanted).count();
        let keep = common.min(prompt.len().saturating_sub(1));
        if self.context.forget_from(SEQUENCE, keep) {
            self.cached.truncate(keep);
        } else {
            // Recurrent models cannot forget a part.
            self.forget();
        }
        self.cached.len()
    }

    fn forget(&mut self) {
        self.context.forget_all();
        self.cached.clear();
    }

    /// Computes what of the history is not cached, in chunks. An interruption is heard between them, and on the CPU
    /// within them, where the chunk is given up. `tell`: how much of it is computed now.
    pub(crate) fn read(&mut self, history: &[i32], job: &Job<'_>, tell: &impl Fn(usize)) -> Result<(), Halt> {
        self.threads.begin();
        while self.cached.len() < history.len() {
            job.check()?;
            if fault::strikes(FaultPoint::Prompt) {
                return Err(Halt::Fault(self.failed("a fault asked for")));
            }
            let start = self.cached.len();
            let size = self.chunks.size() as usize;
            let end = (start + size).min(history.len());
            let began = Instant::now();
            match self.compute(&history[start..end], &|| job.is_interrupted()) {
                Ok(()) => {}
                // What interrupts it is found at the beginning of the next round.
                Err(NotComputed::Stopped) => continue,
                Err(other) => return Err(self.halt(other)),
            }
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

    /// Computes one token of an answer, at the end of the cache; its logits can be read afterwards.
    pub(crate) fn write(&mut self, token: i32, job: &Job<'_>) -> Result<(), Halt> {
        match self.compute(&[token], &|| job.is_cancelled()) {
            Err(NotComputed::Stopped) => Err(Halt::Interrupted(Interruption::Cancel)),
            Err(other) => Err(self.halt(other)),
            Ok(()) => Ok(()),
        }
    }

    /// Computes tokens at the end of the cache; the last one's logits can be read afterwards.
    fn compute(&mut self, tokens: &[i32], wants_stop: WantsStop<'_>) -> Result<(), NotComputed> {
        if self.cached.len() + tokens.len() > self.room() {
            return Err(NotComputed::NoRoom);
        }
        let began = Instant::now();
        let computed = self.context.compute(SEQUENCE, self.cached.len(), tokens, wants_stop);
        if computed == Err(NotComputed::Stopped) && self.context.length(SEQUENCE) != self.cached.len() {
            // Recurrent models cannot forget the part that was begun.
            self.forget();
        }
        computed?;
        self.cached.extend_from_slice(tokens);
        if let Some(threads) = self.threads.worked(tokens.len(), began.elapsed()) {
            self.context.use_threads(threads);
        }
        Ok(())
    }

    /// What tokens that were not computed mean to an answer.
    fn halt(&mut self, why: NotComputed) -> Halt {
        match why {
            NotComputed::NoRoom => Halt::Full,
            // Nobody asked for it who is still there.
            NotComputed::Stopped => Halt::Interrupted(Interruption::Cancel),
            NotComputed::Failed(number) => {
                // After a failed decode nobody knows what the cache holds.
                self.forget();
                Halt::Fault(explain(number))
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
        self.context.save(path, SEQUENCE, &self.cached)
    }

    /// Takes over a saved KV cache. One that does not fit is left alone: the tokens are computed anew.
    pub(crate) fn restore(&mut self, path: &Path) {
        self.forget();
        match self.context.restore(path, SEQUENCE) {
            Some(tokens) => self.cached = tokens,
            None => self.forget(),
        }
    }
}

/// What a failed decode means.
fn explain(number: i32) -> Problem {
    let details = format!("llama_decode returned {number}");
    match number {
        NO_MEMORY => Problem::new(
            ProblemCode::OutOfMemory,
            "There is not enough memory to compute the answer. Close other programs, or choose a smaller context.",
        )
        .with_details(details),
        _ => not_computed(&details),
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
        assert_eq!(explain(-2).code, ProblemCode::OutOfMemory);
        for other in [-1, -3] {
            assert_eq!(explain(other).code, ProblemCode::DecodeFailed);
        }
    }
}
