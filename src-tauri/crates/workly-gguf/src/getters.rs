//! What people and Workly ask of a header, by llama.cpp's names for it.

use std::collections::BTreeMap;

use crate::file_type;
use crate::header::Header;
use crate::tensor::Tensor;
use crate::value::Value;

impl Header {
    /// Text of a key; empty text is none.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).and_then(Value::as_text).filter(|text| !text.trim().is_empty())
    }

    /// A number that counts something, of a key.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.metadata.get(key).and_then(Value::as_u64)
    }

    /// Architecture, such as `llama` or `gemma3`.
    pub fn architecture(&self) -> Option<&str> {
        self.text("general.architecture")
    }

    /// A value of the architecture's own: `attention.head_count` is `llama.attention.head_count`.
    pub fn own(&self, key: &str) -> Option<&Value> {
        self.metadata.get(&format!("{}.{key}", self.architecture()?))
    }

    /// A number of the architecture's own.
    pub fn own_number(&self, key: &str) -> Option<u64> {
        self.own(key).and_then(Value::as_u64)
    }

    /// A number of the architecture's own that may differ from layer to layer.
    pub fn of_layer(&self, key: &str, layer: u32) -> Option<u64> {
        match self.own(key)? {
            Value::Array { kept, .. } => kept.get(layer as usize).and_then(Value::as_u64),
            value => value.as_u64(),
        }
    }

    /// The name its maker gave the model.
    pub fn name(&self) -> Option<&str> {
        self.text("general.name")
    }

    /// The licence, as the file names it.
    pub fn license(&self) -> Option<&str> {
        self.text("general.license").or_else(|| self.text("general.license.name"))
    }

    /// The chat template.
    pub fn chat_template(&self) -> Option<&str> {
        self.text("tokenizer.chat_template")
    }

    /// Whether there is a chat template, even one too long to be kept.
    pub fn has_chat_template(&self) -> bool {
        let key = "tokenizer.chat_template";
        self.text(key).is_some() || matches!(self.metadata.get(key), Some(Value::LongText { .. }))
    }

    /// Transformer layers, without the output layer and those that only guess ahead: as the file says, else as the
    /// tensors are named.
    pub fn layers(&self) -> u32 {
        let count = |key| self.own_number(key).and_then(|count| u32::try_from(count).ok());
        let named = || self.tensors.iter().filter_map(Tensor::layer).max().map_or(0, |last| last.saturating_add(1));
        count("block_count").unwrap_or_else(named).saturating_sub(count("nextn_predict_layers").unwrap_or(0))
    }

    /// Tokens of context the model was trained on.
    pub fn trained_context(&self) -> Option<u32> {
        self.own_number("context_length").and_then(|tokens| u32::try_from(tokens).ok())
    }

    /// Quantisation, such as `Q4_K_M`.
    pub fn quantization(&self) -> &'static str {
        let named = self.number("general.file_type").and_then(file_type::named);
        named.unwrap_or_else(|| file_type::guessed(&self.tensors))
    }

    /// Number of parameters, counted from the tensors.
    pub fn parameters(&self) -> u64 {
        self.tensors.iter().map(Tensor::elements).fold(0, u64::saturating_add)
    }

    /// Bytes of all tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).fold(0, u64::saturating_add)
    }

    /// Bytes of the tensors of each layer that has any, and under `None` of those that belong to no layer.
    pub fn bytes_by_layer(&self) -> BTreeMap<Option<u32>, u64> {
        let mut by_layer: BTreeMap<Option<u32>, u64> = BTreeMap::new();
        for tensor in &self.tensors {
            let bytes = by_layer.entry(tensor.layer()).or_default();
            *bytes = bytes.saturating_add(tensor.bytes);
        }
        by_layer
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Tokens of the vocabulary.
    pub fn vocabulary(&self) -> Option<u64> {
        match self.metadata.get("tokenizer.ggml.tokens") {
            Some(Value::Array { count, .. }) => Some(*count),
            _ => self.own_number("vocab_size"),
        }
    }
}
