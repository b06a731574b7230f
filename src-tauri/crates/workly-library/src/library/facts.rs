//! What a model file is: its header, turned into what people read and what fits are computed from.

use std::collections::BTreeMap;
use std::path::Path;

use workly_core::fit::{LayerShape, ModelShape};
use workly_core::problem::{Problem, ProblemCode};
use workly_gguf::{Fault, GgufError, Header, Model, TensorType};
use workly_wire::models::ModelFacts;

/// Layers of the largest model that is believed; real ones have some 120.
const MOST_LAYERS: u32 = 4_096;
/// Tensors that stay on the CPU whatever the plan, by the beginnings of their names, as llama.cpp places them.
const INPUT: [&str; 5] = ["token_embd.", "position_embd.", "token_types.", "per_layer_token_embd.", "masked_embd"];

/// A model that can be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// What it is.
    pub facts: ModelFacts,
    /// What its sizes are.
    pub shape: ModelShape,
    /// The headers of all its files.
    pub model: Model,
}

/// Reads the headers of a model, given its first file.
///
/// # Errors
///
/// Why it cannot be used, with what to do.
pub fn inspect(path: &Path) -> Result<Inspected, Problem> {
    let model = Model::read(path).map_err(|error| problem(path, &error))?;
    let header = &model.header;
    let Some(architecture) = header.architecture() else {
        return Err(damaged(path, "its header names no architecture"));
    };
    let layers = header.layers();
    if layers > MOST_LAYERS {
        return Err(damaged(path, &format!("its header says that it has {layers} layers")));
    }
    let facts = ModelFacts {
        architecture: architecture.to_owned(),
        name: header.name().map(ToOwned::to_owned),
        parameters: header.parameters(),
        quantization: header.quantization().to_owned(),
        trained_context_tokens: header.trained_context(),
        layers,
        tensor_bytes: header.tensor_bytes(),
        tensors: u32::try_from(header.tensors.len()).unwrap_or(u32::MAX),
        has_chat_template: header.has_chat_template(),
        license: header.license().map(ToOwned::to_owned),
        parts: u32::try_from(model.parts.len()).unwrap_or(u32::MAX),
    };
    let shape = shape(header, layers);
    Ok(Inspected { facts, shape, model })
}

fn damaged(path: &Path, why: &str) -> Problem {
    let message = format!("{} cannot be used: {why}. Fetch the model again.", path.display());
    Problem::new(ProblemCode::ModelDamaged, message)
}

/// What is wrong with a file, as a problem.
fn problem(path: &Path, error: &GgufError) -> Problem {
    let shown = path.display();
    let (code, message) = match error.fault() {
        Fault::Missing if matches!(error, GgufError::Io(_)) => (
            ProblemCode::ModelMissing,
            format!("There is no model file at {shown}. Check the path, or choose another model."),
        ),
        Fault::Forbidden => (
            ProblemCode::NoPermission,
            format!("Workly may not read {shown}. Change the file's permissions, or move it where you may read it."),
        ),
        fault => {
            let code = match fault {
                Fault::Missing => ProblemCode::ModelMissing,
                Fault::NotGguf => ProblemCode::NotGguf,
                Fault::Damaged => ProblemCode::ModelDamaged,
                Fault::Forbidden | Fault::Unreadable | Fault::Unsupported => ProblemCode::LoadFailed,
            };
            (code, format!("{shown} cannot be used: {error}."))
        }
    };
    Problem::new(code, message)
}

/// The sizes that fits are computed from, by llama.cpp's names and its rule of which tensor goes with which layer.
fn shape(header: &Header, layers: u32) -> ModelShape {
    let mut by_layer: BTreeMap<u32, u64> = BTreeMap::new();
    let (mut input, mut output) = (0_u64, 0_u64);
    for tensor in &header.tensors {
        let place = match tensor.layer() {
            Some(layer) if layer < layers => by_layer.entry(layer).or_default(),
            // More layers than the header counts are of no use to llama.cpp.
            Some(_) => continue,
            None if INPUT.iter().any(|prefix| tensor.name.starts_with(prefix)) => &mut input,
            None => &mut output,
        };
        *place = place.saturating_add(tensor.bytes);
    }
    let tied = header.tensor("output.weight").is_none();
    let embedding = header.tensor("token_embd.weight");
    let width = header.own_number("embedding_length").unwrap_or(0);
    let vocabulary = embedding.map(|embedding| embedding.dimensions[1]).or_else(|| header.vocabulary()).unwrap_or(0);
    ModelShape {
        layers: (0..layers).map(|layer| layer_shape(header, layer, by_layer.get(&layer), width)).collect(),
        output,
        input,
        tied: embedding.filter(|_| tied).map_or(0, |embedding| embedding.bytes),
        width,
        feed_forward: feed_forward(header),
        vocabulary,
        trained_context_tokens: header.trained_context().unwrap_or(0),
    }
}

fn layer_shape(header: &Header, layer: u32, weights: Option<&u64>, width: u64) -> LayerShape {
    let weights = weights.copied().unwrap_or(0);
    let of = |key: &str| header.of_layer(key, layer);
    // Compressed attention keeps one vector for all heads, keys and values together.
    if let (Some(rank), Some(_)) = (of("attention.kv_lora_rank"), of("attention.key_length_mla")) {
        return LayerShape { weights, keys: rank.saturating_add(of("rope.dimension_count").unwrap_or(0)), values: 0 };
    }
    let heads = of("attention.head_count").unwrap_or(0);
    let kept = of("attention.head_count_kv").unwrap_or(heads);
    let each = width.checked_div(heads).unwrap_or(0);
    let numbers = |key: &str| kept.saturating_mul(of(key).unwrap_or(each));
    LayerShape { weights, keys: numbers("attention.key_length"), values: numbers("attention.value_length") }
}

/// Numbers in the middle of the feed-forward that are computed at once: in mixtures, those of all experts used.
fn feed_forward(header: &Header) -> u64 {
    let plain = header.of_layer("feed_forward_length", 0).unwrap_or(0);
    let of_expert = header.own_number("expert_feed_forward_length").unwrap_or(plain);
    let used = header.own_number("expert_used_count").unwrap_or(0);
    plain.max(of_expert.saturating_mul(used))
}

/// Whether a file that can be read is something to chat with: projectors and vectors of other tools are not.
pub(super) fn is_model(inspected: &Inspected) -> bool {
    let header = &inspected.model.header;
    let kind = header.text("general.type").unwrap_or("model");
    let has_weights = header.tensors.iter().any(|tensor| tensor.kind != TensorType::F32 || tensor.elements() > 1);
    inspected.facts.architecture != "clip" && kind == "model" && has_weights
}
