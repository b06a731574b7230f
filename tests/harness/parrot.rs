//! A real model that always says the same text, piece by piece: what a language model could say at its worst.
//!
//! Each token's embedding points in a direction of its own, the layer in between adds nothing, and the output layer maps
//! each direction to the token that comes next. It is written as GGUF and runs in the real worker.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Tokens before those of the text: unknown, begin, end, and one for each byte, so that any prompt can be read.
const RESERVED: usize = 3 + 256;
const END: usize = 2;
/// Bytes of text that one token stands for; the last of the text may stand for fewer.
const PIECE: usize = 7;
/// Tokens of context; the text has to fit.
const CONTEXT: u32 = 4096;
/// The size of what the layer computes and throws away.
const INNER: usize = 32;

/// Writes the model and names its file.
pub(crate) fn write(folder: &Path, text: &str) -> PathBuf {
    let pieces = cut(text);
    let tokens = RESERVED + pieces.len();
    assert!(tokens < CONTEXT as usize, "the text has {} pieces", pieces.len());
    let width = tokens.next_multiple_of(32);
    let path = folder.join("parrot.gguf");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let tensors = tensors(width, tokens);
    let header = header(&pieces, width, &tensors);
    file.write_all(&header).unwrap();
    for tensor in &tensors {
        for value in &tensor.values {
            file.write_all(&value.to_le_bytes()).unwrap();
        }
        assert!((tensor.values.len() * 4).is_multiple_of(32));
    }
    file.flush().unwrap();
    path
}

/// Cuts a text into pieces that are all different, as a vocabulary wants them.
fn cut(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for character in text.chars() {
        piece.push(character);
        if piece.len() >= PIECE && seen.insert(piece.clone()) {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    if let (Some(last), false) = (pieces.last_mut(), piece.is_empty()) {
        last.push_str(&piece);
    }
    pieces
}

struct Tensor {
    name: &'static str,
    /// The fastest-changing dimension first.
    shape: Vec<usize>,
    values: Vec<f32>,
}

fn tensors(width: usize, tokens: usize) -> Vec<Tensor> {
    let zeros =
        |name, shape: &[usize]| Tensor { name, shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] };
    let ones = |name| Tensor { name, shape: vec![width], values: vec![1.0; width] };
    let mut embedding = zeros("token_embd.weight", &[width, tokens]);
    let mut output = zeros("output.weight", &[width, tokens]);
    for token in 0..tokens {
        embedding.values[token * width + token] = 1.0;
        // Whatever ends the prompt, the text begins; its last piece is followed by the end.
        let next = match token {
            _ if token < RESERVED => RESERVED,
            _ if token + 1 == tokens => END,
            _ => token + 1,
        };
        output.values[next * width + token] = 2.0;
    }
    vec![
        embedding,
        ones("output_norm.weight"),
        output,
        ones("blk.0.attn_norm.weight"),
        zeros("blk.0.attn_q.weight", &[width, INNER]),
        zeros("blk.0.attn_k.weight", &[width, INNER]),
        zeros("blk.0.attn_v.weight", &[width, INNER]),
        zeros("blk.0.attn_output.weight", &[INNER, width]),
        ones("blk.0.ffn_norm.weight"),
        zeros("blk.0.ffn_gate.weight", &[width, INNER]),
        zeros("blk.0.ffn_up.weight", &[width, INNER]),
        zeros("blk.0.ffn_down.weight", &[INNER, width]),
    ]
}

fn header(pieces: &[String], width: usize, tensors: &[Tensor]) -> Vec<u8> {
    let mut keys = Keys::default();
    let number = |value: usize| u32::try_from(value).unwrap();
    keys.text("general.architecture", "llama");
    keys.text("general.name", "parrot");
    keys.number("llama.context_length", CONTEXT);
    keys.number("llama.embedding_length", number(width));
    keys.number("llama.block_count", 1);
    keys.number("llama.feed_forward_length", number(INNER));
    keys.number("llama.attention.head_count", 1);
    keys.number("llama.attention.head_count_kv", 1);
    keys.number("llama.attention.key_length", number(INNER));
    keys.number("llama.attention.value_length", number(INNER));
    keys.number("llama.rope.dimension_count", number(INNER));
    keys.fraction("llama.attention.layer_norm_rms_epsilon", 1e-5);
    keys.text("tokenizer.ggml.model", "llama");
    keys.text("tokenizer.chat_template", "{% for message in messages %}{{ message.content }}\n{% endfor %}");
    keys.number("tokenizer.ggml.bos_token_id", 1);
    keys.number("tokenizer.ggml.eos_token_id", number(END));
    keys.number("tokenizer.ggml.unknown_token_id", 0);
    let bytes = (0..=255_u8).map(|byte| format!("<0x{byte:02X}>"));
    let special = ["<unk>", "<s>", "</s>"].map(str::to_owned);
    let vocabulary: Vec<String> = special.into_iter().chain(bytes).chain(pieces.iter().cloned()).collect();
    // Unknown, control, byte and normal tokens, by llama.cpp's numbers.
    let kinds: Vec<i32> = (0..vocabulary.len())
        .map(|token| match token {
            0 => 2,
            1 | 2 => 3,
            _ if token < RESERVED => 6,
            _ => 1,
        })
        .collect();
    keys.texts("tokenizer.ggml.tokens", &vocabulary);
    keys.array("tokenizer.ggml.scores", 6, vocabulary.len(), vocabulary.iter().flat_map(|_| 0_f32.to_le_bytes()));
    keys.array("tokenizer.ggml.token_type", 5, kinds.len(), kinds.iter().flat_map(|kind| kind.to_le_bytes()));

    let mut header = b"GGUF".to_vec();
    header.extend(3_u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend(keys.count.to_le_bytes());
    header.extend(keys.bytes);
    let mut offset = 0_u64;
    for tensor in tensors {
        put_text(&mut header, tensor.name);
        header.extend(number(tensor.shape.len()).to_le_bytes());
        header.extend(tensor.shape.iter().flat_map(|size| (*size as u64).to_le_bytes()));
        // 32-bit floating point.
        header.extend(0_u32.to_le_bytes());
        header.extend(offset.to_le_bytes());
        offset += (tensor.values.len() * 4) as u64;
    }
    header.resize(header.len().next_multiple_of(32), 0);
    header
}

/// Keys and values of a GGUF header.
#[derive(Default)]
struct Keys {
    count: u64,
    bytes: Vec<u8>,
}

impl Keys {
    fn begin(&mut self, key: &str, kind: u32) {
        self.count += 1;
        put_text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn number(&mut self, key: &str, value: u32) {
        self.begin(key, 4);
        self.bytes.extend(value.to_le_bytes());
    }

    fn fraction(&mut self, key: &str, value: f32) {
        self.begin(key, 6);
        self.bytes.extend(value.to_le_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.begin(key, 8);
        put_text(&mut self.bytes, value);
    }

    fn texts(&mut self, key: &str, values: &[String]) {
        let mut bytes = Vec::new();
        for value in values {
            put_text(&mut bytes, value);
        }
        self.array(key, 8, values.len(), bytes);
    }

    fn array(&mut self, key: &str, kind: u32, length: usize, bytes: impl IntoIterator<Item = u8>) {
        self.begin(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((length as u64).to_le_bytes());
        self.bytes.extend(bytes);
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}
