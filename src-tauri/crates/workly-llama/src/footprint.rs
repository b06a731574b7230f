//! What a model would take of a GPU, for every number of layers: a dry run, which places nothing there.
//!
//! llama.cpp simulates the allocations (`no_alloc`) and says the size of its compute buffers and of the KV cache; the
//! sizes of the weights are in the file's header, and the device is asked, as llama.cpp does, whether it takes each. Which
//! layer goes where is llama.cpp's own rule: the output layer first, then the last layers; the input embedding stays on
//! the CPU. Recurrent models are the exception: llama.cpp does place their small state for the moment of the dry run.

use std::collections::BTreeMap;

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use workly_core::layer_plan::{Footprint, FootprintTable};
use workly_core::problem::{Problem, ProblemCode};
use workly_engine::protocol::FootprintRequest;

use crate::context::{Context, Shape};
use crate::dry_log::{self, DryLog};
use crate::gguf::{self, Tensor};
use crate::llama_log;
use crate::load::{find_gpu, model_params, refused_cache_type};
use crate::model_file::{check_file, explain_log};
use crate::outbox::Outbox;
use crate::target::Target;

/// Layers that mean all of them.
const ALL_LAYERS: u32 = 9_999;
/// Far past any model's training, and as much bookkeeping as a worker should set up for a question.
const MOST_CONTEXT_TOKENS: u32 = 1 << 24;

/// What a model takes of a device, from no layer to all.
///
/// Takes a few dry runs, each as long as reading the file's header and vocabulary.
pub(crate) fn measure(
    backend: &LlamaBackend,
    outbox: &Outbox,
    request: &FootprintRequest,
) -> Result<FootprintTable, Problem> {
    check_file(&request.path)?;
    let (index, device) = find_gpu(Some(&request.device))?;
    let dry_run = |layers| {
        outbox.progress();
        dry_run(backend, request, index, layers)
    };
    let (whole, context_tokens) = dry_run(ALL_LAYERS)?;
    let tensors = gguf::tensors(&request.path, Target::of(index)).ok_or_else(|| {
        Problem::new(ProblemCode::ModelDamaged, format!("The header of {} cannot be read.", request.path.display()))
    })?;

    let all = whole.all_layers;
    let mut compute = BTreeMap::from([(all, whole.compute)]);
    for layers in [1, 2, all.saturating_sub(1), all / 2] {
        if layers > 0 && layers < all && !is_flat(&compute, layers) {
            compute.insert(layers, dry_run(layers)?.0.compute);
        }
    }
    let weights = weights_by_layer(&tensors, all, &whole.unused);
    let of = |layers: u32| Footprint {
        weights: weights.iter().rev().take(layers as usize).sum(),
        // The output layer has no cache: the layers that have one follow after it.
        kv_cache: whole.cache_by_layer.range((all - layers)..).map(|(_, bytes)| bytes).sum(),
        compute: compute_between(&compute, layers),
        backend: backend_bytes(&device.backend),
    };
    let by_layers = std::iter::once(Footprint::default()).chain((1..=all).map(of)).collect();
    Ok(FootprintTable { context_tokens, by_layers })
}

/// Simulates loading the model with so many layers on the device.
fn dry_run(
    backend: &LlamaBackend,
    request: &FootprintRequest,
    index: usize,
    layers: u32,
) -> Result<(DryLog, u32), Problem> {
    let params = model_params(layers, Some(index))?.with_no_alloc(true);
    llama_log::clear();
    let (loaded, log) = llama_log::collect(dry_log::is_of_use, || {
        let model = LlamaModel::load_from_file(backend, &request.path, &params)
            .map_err(|error| explain_log(&request.path, &llama_log::recent(), &error.to_string()))?;
        let context_tokens = request.context.resolve(model.n_ctx_train());
        let too_large = || {
            let message = format!("A context of {context_tokens} tokens cannot be planned for. Choose a smaller one.");
            Problem::new(ProblemCode::ContextTooLarge, message)
        };
        if context_tokens > MOST_CONTEXT_TOKENS {
            return Err(too_large());
        }
        let shape = Shape { tokens: context_tokens, threads: 1, kv_type: request.kv_type };
        let context = Context::open(&model, shape).ok_or_else(|| {
            let log = llama_log::recent();
            refused_cache_type(&log).unwrap_or_else(|| too_large().with_details(log))
        })?;
        Ok(context.tokens())
    });
    let context_tokens = loaded?;
    let log = DryLog::read(&log, &Target::of(index).buffer_name()).ok_or_else(|| {
        Problem::new(ProblemCode::LoadFailed, "llama.cpp did not say what it would place. Reinstall Workly.")
            .with_details(log)
    })?;
    Ok((log, context_tokens))
}

/// The nearest compute buffers that were looked at. They come in a few sizes: with the output layer alone, with some
/// layers, with all.
fn nearest(sampled: &BTreeMap<u32, u64>, layers: u32) -> [Option<u64>; 2] {
    [sampled.range(..=layers).next_back(), sampled.range(layers..).next()].map(|found| found.map(|(_, bytes)| *bytes))
}

/// Whether a look at so many layers would tell nothing new.
fn is_flat(sampled: &BTreeMap<u32, u64>, layers: u32) -> bool {
    let [below, above] = nearest(sampled, layers);
    below.is_some() && below == above
}

/// Between two that were looked at, the larger one counts.
fn compute_between(sampled: &BTreeMap<u32, u64>, layers: u32) -> u64 {
    nearest(sampled, layers).into_iter().flatten().max().unwrap_or(0)
}

/// Where a tensor lies.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Always on the CPU.
    Input,
    /// With this layer, counted from 0.
    Layer(usize),
    /// With the output layer.
    Output,
}

fn place(name: &str) -> Place {
    const INPUT: [&str; 5] = ["token_embd.", "position_embd.", "token_types.", "per_layer_token_embd.", "masked_embd"];
    const FIRST_LAYER: [&str; 2] = ["token_embd_norm.", "per_layer_"];
    let number = |rest: &str| rest.split('.').next().and_then(|number| number.parse().ok());
    match name.split_once("blk.") {
        Some((_, rest)) => number(rest).map_or(Place::Output, Place::Layer),
        None if INPUT.iter().any(|prefix| name.starts_with(prefix)) => Place::Input,
        None if FIRST_LAYER.iter().any(|prefix| name.starts_with(prefix)) => Place::Layer(0),
        None => Place::Output,
    }
}

/// Bytes of each layer's weights in a device's buffers; the output layer is the last.
fn weights_by_layer(tensors: &[Tensor], all: u32, unused: &[String]) -> Vec<u64> {
    let mut layers = vec![0; all as usize];
    let last = layers.len().saturating_sub(1);
    // Models without an output of their own take the input embedding a second time.
    let is_tied = !tensors.iter().any(|tensor| tensor.name == "output.weight");
    for Tensor { name, bytes } in tensors.iter().filter(|tensor| !unused.contains(&tensor.name)) {
        let index = match place(name) {
            Place::Layer(index) => index,
            Place::Output => last,
            Place::Input if is_tied && name == "token_embd.weight" => last,
            Place::Input => continue,
        };
        if let Some(layer) = layers.get_mut(index) {
            *layer += bytes.unwrap_or(0);
        }
    }
    layers
}

/// What a backend takes for itself once it computes, bytes: contexts, kernels, pools, staging. Estimates for a 7B model
/// from what drivers commonly show; the correction measured after a load mends them.
fn backend_bytes(backend: &str) -> u64 {
    let mib = match backend {
        "CUDA" | "ROCm" | "HIP" | "MUSA" => 384,
        "Metal" | "MTL" => 64,
        _ => 128,
    };
    mib << 20
}

#[cfg(test)]
mod tests;
