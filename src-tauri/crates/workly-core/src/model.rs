//! What is known of a model once it is loaded, and what is asked for when loading it.

use serde::{Deserialize, Serialize};

/// Tokens of context offered when nothing else was asked for; a model trained on less gets less.
pub const DEFAULT_CONTEXT_TOKENS: u32 = 4096;

/// How many tokens of context to make room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextSize {
    /// This many, but no more than the model was trained on.
    UpTo(u32),
    /// This many, even past what the model was trained on.
    Exactly(u32),
}

impl Default for ContextSize {
    fn default() -> Self {
        Self::UpTo(DEFAULT_CONTEXT_TOKENS)
    }
}

impl ContextSize {
    /// Tokens of context for a model trained on `trained` tokens (0: the file does not say).
    pub fn resolve(self, trained: u32) -> u32 {
        match self {
            Self::UpTo(wanted) if trained > 0 => wanted.min(trained),
            Self::UpTo(wanted) | Self::Exactly(wanted) => wanted,
        }
    }
}

/// Number type of the KV cache, keys and values alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum KvType {
    /// 16-bit floats: llama.cpp's default.
    #[default]
    F16,
    /// 8-bit blocks: about half the memory.
    Q8_0,
    /// 4-bit blocks: about a quarter of the memory, at some loss.
    Q4_0,
}

impl KvType {
    /// Bytes that `elements` numbers take in this type (ggml block sizes: 34 and 18 bytes per 32 numbers).
    pub const fn bytes(self, elements: u64) -> u64 {
        match self {
            Self::F16 => elements * 2,
            Self::Q8_0 => elements.div_ceil(32) * 34,
            Self::Q4_0 => elements.div_ceil(32) * 18,
        }
    }
}

/// A loaded model, as its file's header describes it and as it was loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ModelInfo {
    /// The file's name without its ending.
    pub name: String,
    /// Architecture, such as `llama` or `gemma3`.
    pub architecture: String,
    /// Number of parameters.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub parameters: u64,
    /// Size of the weights in bytes.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub size_bytes: u64,
    /// Transformer layers, without the output layer.
    pub layers: u32,
    /// Tokens of context the model was trained on; 0 where the file does not say.
    pub trained_context_tokens: u32,
    /// Tokens of context there is room for now.
    pub context_tokens: u32,
    /// Layers on the GPU, the output layer counted as one.
    pub gpu_layers: u32,
    /// The GPU that holds them, such as `llvmpipe (LLVM 15.0.6, 256 bits)`.
    pub gpu_device: Option<String>,
    /// CPU threads that compute.
    pub threads: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_for_context_stops_at_what_the_model_was_trained_on() {
        assert_eq!(ContextSize::UpTo(4096).resolve(2048), 2048);
        assert_eq!(ContextSize::UpTo(4096).resolve(8192), 4096);
        assert_eq!(ContextSize::UpTo(4096).resolve(0), 4096);
        assert_eq!(ContextSize::Exactly(4096).resolve(2048), 4096);
    }

    #[test]
    fn quantised_caches_are_counted_in_whole_blocks() {
        assert_eq!(KvType::F16.bytes(64), 128);
        assert_eq!(KvType::Q8_0.bytes(33), 68);
        assert_eq!(KvType::Q4_0.bytes(32), 18);
    }
}
