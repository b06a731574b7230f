//! Twenty small models of different architectures and quantisations: sound headers, weights that are all nought.

use workly_gguf::{TensorType, Writer};

/// A model: its architecture, what its tensors are, and what the header calls it (`llama_ftype`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) architecture: &'static str,
    pub(crate) matrices: &'static str,
    pub(crate) file_type: Option<u32>,
    /// Its name, as people and llama.cpp write it.
    pub(crate) quantization: &'static str,
    pub(crate) layers: u32,
}

const fn recipe(
    architecture: &'static str,
    matrices: &'static str,
    file_type: Option<u32>,
    quantization: &'static str,
    layers: u32,
) -> Recipe {
    Recipe { architecture, matrices, file_type, quantization, layers }
}

pub(crate) const RECIPES: [Recipe; 20] = [
    recipe("llama", "Q4_K", Some(15), "Q4_K_M", 4),
    recipe("llama", "Q4_0", Some(2), "Q4_0", 7),
    recipe("llama", "F16", Some(1), "F16", 2),
    recipe("qwen2", "Q5_K", Some(17), "Q5_K_M", 3),
    recipe("qwen2", "Q8_0", None, "Q8_0", 5),
    recipe("qwen3", "Q6_K", Some(18), "Q6_K", 6),
    recipe("gemma", "Q4_K", Some(14), "Q4_K_S", 3),
    recipe("gemma2", "Q3_K", Some(13), "Q3_K_L", 4),
    recipe("gemma3", "Q5_0", Some(8), "Q5_0", 6),
    recipe("phi3", "Q2_K", Some(10), "Q2_K", 3),
    recipe("olmo2", "IQ4_XS", Some(30), "IQ4_XS", 4),
    recipe("starcoder2", "Q4_1", Some(3), "Q4_1", 3),
    recipe("internlm2", "IQ4_NL", Some(25), "IQ4_NL", 5),
    recipe("command-r", "BF16", Some(32), "BF16", 2),
    recipe("exaone", "Q5_1", Some(9), "Q5_1", 3),
    recipe("smollm3", "IQ3_XXS", Some(23), "IQ3_XXS", 4),
    recipe("gpt2", "F32", Some(0), "F32", 2),
    recipe("stablelm", "Q3_K", None, "Q3_K_M", 8),
    recipe("falcon", "IQ2_XXS", Some(19), "IQ2_XXS", 3),
    recipe("olmo", "TQ2_0", Some(37), "TQ2_0", 9),
];

const WIDTH: u64 = 256;
const FEED: u64 = 512;
const HEADS: u32 = 4;
const KEPT_HEADS: u32 = 2;
const VOCABULARY: u64 = 96;
const CONTEXT: u32 = 640;

impl Recipe {
    pub(crate) fn name(&self) -> String {
        format!("{}-{}-{}", self.architecture, self.quantization, self.layers)
    }

    /// The file, shaped as llama.cpp demands it of the architecture.
    pub(crate) fn writer(&self) -> Writer {
        let own = |key: &str| format!("{}.{key}", self.architecture);
        let matrices = TensorType::all().find(|kind| kind.name() == self.matrices).unwrap();
        let mut writer = Writer::new(self.architecture)
            .text("general.name", &self.name())
            .text("tokenizer.ggml.model", "no_vocab")
            .number(&own("vocab_size"), VOCABULARY as u32)
            .number(&own("block_count"), self.layers)
            .number(&own("context_length"), CONTEXT + self.layers)
            .number(&own("embedding_length"), WIDTH as u32)
            .number(&own("feed_forward_length"), FEED as u32)
            .number(&own("attention.head_count"), HEADS)
            .number(&own("attention.head_count_kv"), self.kept_heads())
            .fraction(&own("attention.layer_norm_rms_epsilon"), 1e-5)
            .fraction(&own("attention.layer_norm_epsilon"), 1e-5);
        if let Some(file_type) = self.file_type {
            writer = writer.number("general.file_type", file_type);
        }
        let mut shapes = vec![("token_embd.weight".to_owned(), vec![WIDTH, VOCABULARY])];
        if !["olmo"].contains(&self.architecture) {
            shapes.push(("output_norm.weight".into(), vec![WIDTH]));
        }
        if self.has_biases() {
            shapes.push(("output_norm.bias".into(), vec![WIDTH]));
        }
        if self.architecture == "gpt2" {
            shapes.push(("position_embd.weight".into(), vec![WIDTH, u64::from(CONTEXT + self.layers)]));
        }
        if ["llama", "olmo2", "internlm2", "stablelm"].contains(&self.architecture) {
            shapes.push(("output.weight".into(), vec![WIDTH, VOCABULARY]));
        }
        for layer in 0..self.layers {
            let named = |(name, shape): (&'static str, Vec<u64>)| (format!("blk.{layer}.{name}"), shape);
            shapes.extend(self.layer().into_iter().map(named));
        }
        shapes.into_iter().fold(writer, |writer, (name, shape)| {
            let kind = if shape.len() == 1 { TensorType::F32 } else { matrices };
            writer.tensor(&name, &shape, kind)
        })
    }

    fn kept_heads(&self) -> u32 {
        if ["gpt2", "falcon"].contains(&self.architecture) { HEADS } else { KEPT_HEADS }
    }

    fn has_biases(&self) -> bool {
        ["starcoder2", "gpt2", "stablelm", "falcon"].contains(&self.architecture)
    }

    /// The tensors of a layer.
    fn layer(&self) -> Vec<(&'static str, Vec<u64>)> {
        let kept = WIDTH / u64::from(HEADS) * u64::from(self.kept_heads());
        let head = WIDTH / u64::from(HEADS);
        let architecture = self.architecture;
        let is_one_of = |names: &[&str]| names.contains(&architecture);
        let mut shapes = vec![("attn_output.weight", vec![WIDTH, WIDTH]), ("ffn_down.weight", vec![FEED, WIDTH])];
        if is_one_of(&["phi3"]) {
            shapes.push(("ffn_up.weight", vec![WIDTH, 2 * FEED]));
        } else {
            shapes.push(("ffn_up.weight", vec![WIDTH, FEED]));
        }
        if !is_one_of(&["phi3", "starcoder2", "gpt2", "falcon"]) {
            shapes.push(("ffn_gate.weight", vec![WIDTH, FEED]));
        }
        if is_one_of(&["phi3", "gpt2", "falcon"]) {
            shapes.push(("attn_qkv.weight", vec![WIDTH, WIDTH + 2 * kept]));
        } else {
            shapes.push(("attn_q.weight", vec![WIDTH, WIDTH]));
            shapes.push(("attn_k.weight", vec![WIDTH, kept]));
            shapes.push(("attn_v.weight", vec![WIDTH, kept]));
        }
        if !is_one_of(&["olmo", "olmo2"]) {
            shapes.push(("attn_norm.weight", vec![WIDTH]));
        }
        if !is_one_of(&["olmo", "olmo2", "command-r", "falcon"]) {
            shapes.push(("ffn_norm.weight", vec![WIDTH]));
        }
        if is_one_of(&["gemma2", "gemma3", "olmo2"]) {
            shapes.push(("post_attention_norm.weight", vec![WIDTH]));
            shapes.push(("post_ffw_norm.weight", vec![WIDTH]));
        }
        if is_one_of(&["qwen3", "gemma3"]) {
            shapes.push(("attn_q_norm.weight", vec![head]));
            shapes.push(("attn_k_norm.weight", vec![head]));
        }
        if is_one_of(&["olmo2"]) {
            shapes.push(("attn_q_norm.weight", vec![WIDTH]));
            shapes.push(("attn_k_norm.weight", vec![kept]));
        }
        if self.has_biases() {
            shapes.push(("attn_norm.bias", vec![WIDTH]));
        }
        if is_one_of(&["starcoder2", "gpt2", "stablelm"]) {
            shapes.push(("ffn_norm.bias", vec![WIDTH]));
        }
        if is_one_of(&["starcoder2", "gpt2"]) {
            shapes.push(("attn_output.bias", vec![WIDTH]));
            shapes.push(("ffn_down.bias", vec![WIDTH]));
            shapes.push(("ffn_up.bias", vec![FEED]));
        }
        if is_one_of(&["gpt2"]) {
            shapes.push(("attn_qkv.bias", vec![WIDTH + 2 * kept]));
        }
        shapes
    }
}
