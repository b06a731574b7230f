//! A llama.cpp context: the KV cache of a model, and computing with it.
//!
//! llama-cpp-2 has one too, and keeps the pointer to itself; with it, how many threads compute and the stop within a
//! piece of work, both of which an answer beside a game needs.
#![expect(unsafe_code, reason = "llama.cpp's context is reached through its C interface")]

use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::{NonNull, null_mut};

use llama_cpp_2::model::LlamaModel;
use llama_cpp_sys_2 as sys;
use workly_core::model::KvType;

/// Tokens that llama.cpp computes at once at the most; also the most a prompt chunk may have.
const BATCH_TOKENS: u32 = 512;
/// The sequence that conversations are in.
const SEQUENCE: i32 = 0;
/// The sequence that a part of one is copied to, to be saved or taken over alone. Copies share their cells.
const PART: i32 = 1;

/// What a context is made of, which a dry run must share to be exact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Tokens of context; 0: what the model was trained on.
    pub(crate) tokens: u32,
    /// CPU threads to begin with.
    pub(crate) threads: u32,
    /// Number type of the KV cache.
    pub(crate) kv_type: KvType,
}

/// Why tokens were not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotComputed {
    /// The KV cache has no room for them.
    NoRoom,
    /// It was asked to stop; the KV cache is as it was before.
    Stopped,
    /// llama.cpp failed with this number; nobody knows what the KV cache holds.
    Failed(i32),
}

/// Asked again and again while tokens are computed on the CPU: whether to stop.
pub(crate) type WantsStop<'a> = &'a (dyn Fn() -> bool + Sync);

/// A context of a model.
pub(crate) struct Context<'model> {
    raw: NonNull<sys::llama_context>,
    /// Numbers in one token's logits.
    vocabulary: usize,
    /// Where llama.cpp finds whom to ask; it knows the place, which must not move.
    asked: Box<Cell<Option<WantsStop<'static>>>>,
    has_parts: bool,
    model: PhantomData<&'model LlamaModel>,
}

impl<'model> Context<'model> {
    /// Makes room for a context; `None` where llama.cpp refuses, which its log explains.
    pub(crate) fn open(model: &'model LlamaModel, shape: Shape) -> Option<Self> {
        let asked: Box<Cell<Option<WantsStop<'static>>>> = Box::default();
        let mut params = params(shape);
        params.abort_callback = Some(wants_stop);
        params.abort_callback_data = (&raw const *asked).cast_mut().cast();
        // SAFETY: the type is `repr(transparent)` over the pointer, and so is what it is transparent over.
        let model: *mut sys::llama_model = unsafe { std::mem::transmute_copy(model) };
        // SAFETY: the model lives.
        let has_parts = !unsafe { sys::llama_model_is_recurrent(model) || sys::llama_model_is_hybrid(model) };
        if has_parts {
            params.n_seq_max = 2;
        }
        // SAFETY: the model outlives the context by the lifetime of this type; the parameters are llama.cpp's own but
        // for what is set here, and the cell behind the callback lives as long as the context.
        let raw = NonNull::new(unsafe { sys::llama_init_from_model(model, params) })?;
        // SAFETY: a loaded model has a vocabulary.
        let vocabulary = unsafe { sys::llama_vocab_n_tokens(sys::llama_model_get_vocab(model)) };
        let vocabulary = usize::try_from(vocabulary).unwrap_or(0);
        Some(Self { raw, vocabulary, asked, has_parts, model: PhantomData })
    }

    /// Tokens there is room for.
    pub(crate) fn tokens(&self) -> u32 {
        // SAFETY: the context lives.
        unsafe { sys::llama_n_ctx(self.raw.as_ptr()) }
    }

    /// Computes with so many CPU threads from now on.
    pub(crate) fn use_threads(&mut self, threads: u32) {
        let threads = i32::try_from(threads.max(1)).unwrap_or(i32::MAX);
        // SAFETY: the context lives, and nothing is computed now.
        unsafe { sys::llama_set_n_threads(self.raw.as_ptr(), threads, threads) }
    }

    /// Computes tokens from a position on. The logits of the last one can be read afterwards.
    pub(crate) fn compute(
        &mut self,
        position: usize,
        tokens: &[i32],
        wants_stop: WantsStop<'_>,
    ) -> Result<(), NotComputed> {
        let count = tokens.len();
        let mut tokens = tokens.to_vec();
        let mut positions: Vec<i32> = (position..).map_while(|place| i32::try_from(place).ok()).take(count).collect();
        if positions.len() < count {
            return Err(NotComputed::NoRoom);
        }
        let mut own = SEQUENCE;
        let mut sequences = vec![&raw mut own; count];
        let mut sequence_counts = vec![1_i32; count];
        let mut wanted = vec![0_i8; count];
        if let Some(last) = wanted.last_mut() {
            *last = 1;
        }
        let batch = sys::llama_batch {
            n_tokens: i32::try_from(count).unwrap_or(i32::MAX),
            token: tokens.as_mut_ptr(),
            embd: null_mut(),
            pos: positions.as_mut_ptr(),
            n_seq_id: sequence_counts.as_mut_ptr(),
            seq_id: sequences.as_mut_ptr(),
            logits: wanted.as_mut_ptr(),
        };
        // SAFETY: the lifetime is longer than the reference's; it is taken away again before this returns.
        let wants_stop: WantsStop<'static> = unsafe { std::mem::transmute(wants_stop) };
        self.asked.set(Some(wants_stop));
        // SAFETY: every array of the batch has `n_tokens` elements and lives until the call returns.
        let result = unsafe { sys::llama_decode(self.raw.as_ptr(), batch) };
        self.asked.set(None);
        match result {
            0 => Ok(()),
            1 => Err(NotComputed::NoRoom),
            2 => Err(NotComputed::Stopped),
            other => Err(NotComputed::Failed(other)),
        }
    }

    /// Waits until the backends have done what was asked of them.
    pub(crate) fn synchronize(&mut self) {
        // SAFETY: the context lives.
        unsafe { sys::llama_synchronize(self.raw.as_ptr()) }
    }

    /// What the model makes of the last token computed, by token of the vocabulary; empty before anything was.
    pub(crate) fn logits(&self) -> &[f32] {
        // SAFETY: llama.cpp checks the index and returns null where there is nothing; what it returns otherwise has a
        // number for each token and lives until the next computation, which needs `&mut self`.
        unsafe {
            let logits = sys::llama_get_logits_ith(self.raw.as_ptr(), -1);
            if logits.is_null() { &[] } else { std::slice::from_raw_parts(logits, self.vocabulary) }
        }
    }

    /// Drops everything from a position on. False where the model cannot forget a part.
    pub(crate) fn forget_from(&mut self, position: usize) -> bool {
        let position = i32::try_from(position).unwrap_or(i32::MAX);
        // SAFETY: the context lives, and its memory with it.
        unsafe { sys::llama_memory_seq_rm(sys::llama_get_memory(self.raw.as_ptr()), SEQUENCE, position, -1) }
    }

    /// Drops everything.
    pub(crate) fn forget_all(&mut self) {
        // SAFETY: the context lives, and its memory with it.
        unsafe { sys::llama_memory_clear(sys::llama_get_memory(self.raw.as_ptr()), true) }
    }

    /// How many positions the KV cache holds.
    pub(crate) fn length(&self) -> usize {
        // SAFETY: the context lives, and its memory with it.
        let last = unsafe { sys::llama_memory_seq_pos_max(sys::llama_get_memory(self.raw.as_ptr()), SEQUENCE) };
        usize::try_from(last + 1).unwrap_or(0)
    }

    /// Whether a part of the KV cache can be saved alone. What recurrent models remember has no parts.
    pub(crate) const fn has_parts(&self) -> bool {
        self.has_parts
    }

    /// What the KV cache holds at these positions, for [`Self::put`]; without parts, all that it holds. `None` where
    /// llama.cpp cannot tell.
    pub(crate) fn part(&mut self, positions: &Range<usize>) -> Option<Vec<u8>> {
        let (first, last) = (i32::try_from(positions.start).ok()?, i32::try_from(positions.end).ok()?);
        let raw = self.raw.as_ptr();
        // SAFETY: the context lives; the part's sequence exists where there are parts, and the buffer has as many bytes as
        // said.
        unsafe {
            let memory = sys::llama_get_memory(raw);
            let sequence = if self.has_parts { PART } else { SEQUENCE };
            if self.has_parts {
                sys::llama_memory_seq_cp(memory, SEQUENCE, PART, first, last);
            }
            let mut data = vec![0; sys::llama_state_seq_get_size(raw, sequence)];
            let bytes = sys::llama_state_seq_get_data(raw, data.as_mut_ptr(), data.len(), sequence);
            if self.has_parts {
                sys::llama_memory_seq_rm(memory, PART, -1, -1);
            }
            (bytes > 0 && bytes == data.len()).then_some(data)
        }
    }

    /// Puts into the KV cache what [`Self::part`] gave, of this context or of another one of the same shape; without
    /// parts, in the place of all. False where it does not fit: then the rest is as it was.
    pub(crate) fn put(&mut self, data: &[u8]) -> bool {
        let raw = self.raw.as_ptr();
        // SAFETY: the context lives; llama.cpp reads no further than said.
        unsafe {
            let sequence = if self.has_parts { PART } else { SEQUENCE };
            let is_put = sys::llama_state_seq_set_data(raw, data.as_ptr(), data.len(), sequence) > 0;
            if self.has_parts {
                let memory = sys::llama_get_memory(raw);
                if is_put {
                    sys::llama_memory_seq_cp(memory, PART, SEQUENCE, -1, -1);
                }
                sys::llama_memory_seq_rm(memory, PART, -1, -1);
            }
            is_put
        }
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // SAFETY: made by llama.cpp, and not used after this.
        unsafe { sys::llama_free(self.raw.as_ptr()) }
    }
}

/// llama.cpp asks after each step of a graph, on the thread that computes it.
unsafe extern "C" fn wants_stop(data: *mut c_void) -> bool {
    // SAFETY: the cell that `open` gave, which lives as long as the context; only the computing thread uses it.
    let asked = unsafe { &*data.cast::<Cell<Option<WantsStop<'static>>>>() };
    asked.get().is_some_and(|wants_stop| wants_stop())
}

/// Flash attention and the whole cache of layers with a sliding window are fixed on: the KV cache of every worker must
/// have the same layout, or state cannot move; and footprints are estimated for just this.
fn params(shape: Shape) -> sys::llama_context_params {
    let threads = i32::try_from(shape.threads.max(1)).unwrap_or(i32::MAX);
    let kv_type = match shape.kv_type {
        KvType::F16 => sys::GGML_TYPE_F16,
        KvType::Q8_0 => sys::GGML_TYPE_Q8_0,
        KvType::Q4_0 => sys::GGML_TYPE_Q4_0,
    };
    // SAFETY: takes nothing.
    let mut params = unsafe { sys::llama_context_default_params() };
    params.n_ctx = shape.tokens;
    params.n_batch = BATCH_TOKENS;
    params.n_ubatch = BATCH_TOKENS;
    params.n_threads = threads;
    params.n_threads_batch = threads;
    params.flash_attn_type = sys::LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.swa_full = true;
    // All sequences share the cells: a part is a copy that takes no room.
    params.kv_unified = true;
    params.type_k = kv_type;
    params.type_v = kv_type;
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sliding_window_is_cached_whole_as_footprints_are_estimated_for() {
        let params = params(Shape { tokens: 1_024, threads: 1, kv_type: KvType::F16 });
        assert!(params.swa_full);
        assert_eq!(params.n_ctx, 1_024);
    }
}
