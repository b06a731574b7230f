//! The one sequence of a context's KV cache: what it holds, computing more of it, saving it and taking it over.

use std::io;
use std::path::Path;
use std::time::Instant;

use workly_core::checkpoint_pace::CheckpointPace;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::prompt_chunks::PromptChunks;
use workly_engine::fault::FaultPoint;

use crate::checkpoint_file::CheckpointFile;
use crate::context::{Context, NotComputed, WantsStop};
use crate::fault;
use crate::interruptions::Interruption;
use crate::job::{Halt, Job};
use crate::threads::Threads;

/// Most tokens in a piece of a checkpoint: what is saved passes through memory once more, and of layers with a sliding
/// window llama.cpp saves no more than a window, the smallest of which have so many tokens.
const PIECE_TOKENS: usize = 128;
/// What `llama_decode` returns when it cannot allocate.
const NO_MEMORY: i32 = -2;

/// A context with the tokens in its KV cache.
pub(crate) struct Sequence<'model> {
    context: Context<'model>,
    chunks: PromptChunks,
    threads: Threads,
    /// The tokens in the KV cache, in order.
    cached: Vec<i32>,
    /// Where it is saved as it grows.
    checkpoints: Option<CheckpointFile>,
    pace: CheckpointPace,
    /// Until when time was counted as work.
    worked_until: Instant,
}

impl<'model> Sequence<'model> {
    /// `chunks`: sizes in which a prompt is computed.
    pub(crate) fn new(context: Context<'model>, chunks: PromptChunks, threads: Threads) -> Self {
        let (checkpoints, pace) = (None, CheckpointPace::default());
        Self { context, chunks, threads, cached: Vec::new(), checkpoints, pace, worked_until: Instant::now() }
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
        let common = common(&self.cached, prompt);
        let keep = common.min(prompt.len().saturating_sub(1));
        if self.context.forget_from(keep) {
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
            self.checkpoint_if_due(job);
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
        let computed = self.context.compute(self.cached.len(), tokens, wants_stop);
        if computed == Err(NotComputed::Stopped) && self.context.length() != self.cached.len() {
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

    /// Saves the KV cache in this file from now on; `None`: nowhere. One that is no longer needed takes no memory once
    /// nobody has it open.
    pub(crate) fn keep_in(&mut self, path: Option<&Path>) {
        self.worked_until = Instant::now();
        self.checkpoints = path.and_then(|path| CheckpointFile::open(path).inspect_err(not_saved).ok());
    }

    /// Takes over what this worker's file of checkpoints holds of a history, where that is more than the KV cache has.
    pub(crate) fn take_over(&mut self, history: &[i32]) {
        if let Some(file) = self.checkpoints.take() {
            self.take_from(&file, history);
            self.checkpoints = Some(file);
        }
    }

    /// Takes over what a file of checkpoints holds, which another worker may still write.
    pub(crate) fn restore(&mut self, path: &Path) {
        if let Ok(file) = CheckpointFile::open_to_read(path) {
            self.take_from(&file, file.tokens());
        }
    }

    fn take_from(&mut self, file: &CheckpointFile, history: &[i32]) {
        let (own, theirs) = (common(&self.cached, history), common(file.tokens(), history));
        if theirs <= own {
            return;
        }
        let wanted = file.pieces().iter().filter(|piece| piece.places.end > own && piece.places.start < theirs);
        for piece in wanted {
            let Ok(data) = file.read(piece) else { return };
            let start = piece.places.start;
            if self.cached.len() > start {
                if start == 0 || !self.context.forget_from(start) {
                    self.forget();
                }
                self.cached.truncate(start);
            }
            if self.cached.len() != start || !self.context.put(&data) {
                return;
            }
            self.cached.extend_from_slice(&file.tokens()[piece.places.clone()]);
        }
    }

    /// Saves what of the KV cache is not saved yet, where it is time to.
    pub(crate) fn checkpoint_if_due(&mut self, job: &Job<'_>) {
        // All that passes while an answer is written, since a GPU computes behind our back.
        self.pace.worked(self.worked_until.elapsed().as_secs_f64());
        self.worked_until = Instant::now();
        if self.pace.is_due() {
            self.checkpoint(job);
        }
    }

    /// Saves what of the KV cache is not saved yet; bytes of the file. `None` where it is saved nowhere.
    pub(crate) fn checkpoint(&mut self, job: &Job<'_>) -> Option<u64> {
        let began = Instant::now();
        let mut file = self.checkpoints.take()?;
        if let Err(error) = self.save_in(&mut file, job) {
            // A lost worker's tokens are computed anew, as they would be without.
            not_saved(&error);
            return None;
        }
        self.pace.saved(began.elapsed().as_secs_f64());
        self.worked_until = Instant::now();
        let bytes = file.bytes();
        job.say_checkpoint(file.tokens().len(), bytes);
        self.checkpoints = Some(file);
        Some(bytes)
    }

    fn save_in(&mut self, file: &mut CheckpointFile, job: &Job<'_>) -> io::Result<()> {
        if !self.context.has_parts() {
            let is_saved = file.tokens() == self.cached;
            file.cut(if is_saved { usize::MAX } else { 0 })?;
        }
        file.cut(common(file.tokens(), &self.cached))?;
        while file.tokens().len() < self.cached.len() {
            let start = file.tokens().len();
            let most = if self.context.has_parts() { PIECE_TOKENS } else { usize::MAX };
            let places = start..start.saturating_add(most).min(self.cached.len());
            let data = self.context.part(&places).ok_or_else(|| io::Error::other("llama.cpp gives no state"))?;
            file.append(&self.cached[places], &data)?;
            job.progress();
        }
        Ok(())
    }
}

/// How many tokens two histories begin with alike.
fn common(one: &[i32], other: &[i32]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

fn not_saved(error: &io::Error) {
    tracing::warn!("the KV cache cannot be saved: {error}");
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
