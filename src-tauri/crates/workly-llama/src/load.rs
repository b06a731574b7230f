//! Loading a model: its weights, and a context for it.

use std::path::Path;

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::{LlamaModelParams, LlamaSplitMode};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use workly_core::device::Device;
use workly_core::model::{KvType, ModelInfo};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::prompt_chunks::PromptChunks;
use workly_engine::end::mentions_lack_of_memory;
use workly_engine::fault::FaultPoint;
use workly_engine::protocol::{LoadRequest, Reply};

use crate::context::{Context, Shape};
use crate::interruptions::Interruptions;
use crate::model_file::{check_file, explain_log};
use crate::outbox::Outbox;
use crate::session::Session;
use crate::threads::Threads;
use crate::{devices, fault, llama_log};

/// Bytes that must stay free beside the KV cache for compute buffers and the rest of the machine.
const RESERVED_BYTES: u64 = 256 << 20;

/// A load under way.
pub(crate) struct Loading<'a> {
    pub(crate) backend: &'a LlamaBackend,
    pub(crate) outbox: &'a Outbox,
    pub(crate) interruptions: &'a Interruptions,
    pub(crate) id: u64,
}

/// The weights, and the GPU that holds some of them.
pub(crate) struct LoadedModel {
    pub(crate) model: LlamaModel,
    gpu: Option<Device>,
}

impl Loading<'_> {
    /// Reads the weights.
    pub(crate) fn model(&self, request: &LoadRequest) -> Result<LoadedModel, Problem> {
        self.check_cancel()?;
        check_file(&request.path)?;
        if fault::strikes(FaultPoint::Load) {
            return Err(Problem::new(ProblemCode::LoadFailed, "The model could not be loaded (a fault asked for)."));
        }
        let gpu = if request.gpu_layers > 0 { Some(find_gpu(request.device.as_deref())?) } else { None };
        let (outbox, interruptions, id) = (self.outbox.clone(), self.interruptions.clone(), self.id);
        let mut told = -1.0;
        let params = model_params(request.gpu_layers, gpu.as_ref().map(|(index, _)| *index))?;
        let params = params.with_progress_callback(move |fraction| {
            outbox.progress();
            if fraction - told >= 0.01 {
                told = fraction;
                outbox.say(id, Reply::LoadProgress { fraction });
            }
            !interruptions.is_cancelled(id)
        });
        llama_log::clear();
        let model = LlamaModel::load_from_file(self.backend, &request.path, &params)
            .map_err(|error| self.explain(request, &error.to_string()))?;
        Ok(LoadedModel { model, gpu: gpu.map(|(_, device)| device) })
    }

    /// Makes room for the context.
    pub(crate) fn session<'model>(
        &self,
        loaded: &'model LoadedModel,
        request: &LoadRequest,
    ) -> Result<Session<'model>, Problem> {
        self.check_cancel()?;
        let model = &loaded.model;
        let context_tokens = request.context.resolve(model.n_ctx_train());
        check_context_fits(model, request, context_tokens)?;
        let shape = Shape { tokens: context_tokens, threads: request.threads, kv_type: request.kv_type };
        llama_log::clear();
        let context = Context::open(model, shape).ok_or_else(|| {
            let log = llama_log::recent();
            if let Some(problem) = refused_cache_type(&log) {
                return problem;
            }
            let code =
                if mentions_lack_of_memory(&log) { ProblemCode::ContextTooLarge } else { ProblemCode::LoadFailed };
            Problem::new(
                code,
                format!("A context of {context_tokens} tokens could not be set up. Choose a smaller context."),
            )
            .with_details(log)
        })?;
        let gpu_layers = if loaded.gpu.is_some() { request.gpu_layers.min(model.n_layer() + 1) } else { 0 };
        let chunks = if gpu_layers > 0 {
            PromptChunks::on_gpu()
        } else {
            PromptChunks::on_cpu(model.n_params(), request.threads)
        };
        let info = ModelInfo {
            name: name(&request.path),
            architecture: model.meta_val_str("general.architecture").unwrap_or_default(),
            parameters: model.n_params(),
            size_bytes: model.size(),
            layers: model.n_layer(),
            trained_context_tokens: model.n_ctx_train(),
            context_tokens: context.tokens(),
            gpu_layers,
            gpu_device: loaded.gpu.as_ref().map(|gpu| gpu.description.clone()),
            threads: request.threads.max(1),
        };
        let threads = Threads::new(request.threads, request.follow_cores, gpu_layers == 0);
        let session = Session::open(model, context, info, chunks, threads)?;
        self.check_cancel()?;
        Ok(session)
    }

    fn explain(&self, request: &LoadRequest, error: &str) -> Problem {
        match self.check_cancel() {
            Err(cancelled) => cancelled,
            Ok(()) => explain_log(&request.path, &llama_log::recent(), error),
        }
    }

    fn check_cancel(&self) -> Result<(), Problem> {
        if self.interruptions.is_cancelled(self.id) {
            return Err(Problem::new(ProblemCode::Cancelled, "Loading was cancelled."));
        }
        Ok(())
    }
}

/// How weights are placed; `gpu`: llama.cpp's index of the device that takes layers, where one does.
pub(crate) fn model_params(gpu_layers: u32, gpu: Option<usize>) -> Result<LlamaModelParams, Problem> {
    LlamaModelParams::default()
        .with_n_gpu_layers(gpu_layers)
        .with_split_mode(LlamaSplitMode::None)
        .with_devices(gpu.as_slice())
        .map_err(|error| Problem::new(ProblemCode::LoadFailed, format!("The GPU cannot be used: {error}")))
}

/// What to do where llama.cpp refuses the KV cache for its number type: blocks of 32 numbers must divide the heads, and
/// an architecture without flash attention takes none. `None`: it refused for another reason.
pub(crate) fn refused_cache_type(log: &str) -> Option<Problem> {
    let is_refused = log.contains(" cache type ") || log.contains("quantized V cache requires flash_attn");
    let message = "This model cannot keep its context in so few bits. Set the precision of the context (ai.kv_type) to \
                   16 bits (f16).";
    is_refused.then(|| Problem::new(ProblemCode::InvalidSetting, message).with_details(log.trim()))
}

/// The file's name, which people know a model by; the name in the header is often that of a training run.
fn name(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The GPU of this name, with the index that llama.cpp knows it by.
pub(crate) fn find_gpu(name: Option<&str>) -> Result<(usize, Device), Problem> {
    let wanted = name.unwrap_or_default();
    devices::list().into_iter().find(|(_, device)| device.is_gpu() && device.name == wanted).ok_or_else(|| {
        Problem::new(ProblemCode::LoadFailed, format!("The GPU {wanted} is not there any more. Load the model again."))
    })
}

/// Refuses a context whose KV cache cannot fit in memory: Linux would grant it and then end the process for using it.
fn check_context_fits(model: &LlamaModel, request: &LoadRequest, context_tokens: u32) -> Result<(), Problem> {
    let layers = u64::from(model.n_layer());
    let on_cpu = layers.saturating_sub(u64::from(request.gpu_layers));
    let needed = kv_bytes(model, request.kv_type, u64::from(context_tokens)) / layers.max(1) * on_cpu;
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    // A system that does not tell what is free is not second-guessed.
    let Ok(system) = System::new_with_specifics(memory) else { return Ok(()) };
    let available = system.available_memory();
    if needed.saturating_add(RESERVED_BYTES) <= available {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Err(Problem::new(
        ProblemCode::ContextTooLarge,
        format!(
            "A context of {context_tokens} tokens needs about {:.1} GiB of memory; {:.1} GiB are free. Choose a smaller \
             context, or close other programs.",
            gib(needed + RESERVED_BYTES),
            gib(available)
        ),
    ))
}

/// Bytes of KV cache for all layers, as the file's header describes the heads.
fn kv_bytes(model: &LlamaModel, kv_type: KvType, context_tokens: u64) -> u64 {
    let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
    let head_size = |which: &str| -> u64 {
        model
            .meta_val_str(&format!("{architecture}.attention.{which}_length"))
            .ok()
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| u64::try_from(model.n_embd()).unwrap_or(0) / u64::from(model.n_head().max(1)))
    };
    let elements = u64::from(model.n_layer()) * context_tokens * u64::from(model.n_head_kv());
    kv_type.bytes(elements.saturating_mul(head_size("key") + head_size("value")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_refused_for_its_number_type_is_told_from_one_that_is_too_large() {
        for log in [
            "llama_init_from_model: K cache type q8_0 with block size 32 does not divide n_embd_head_k=80
",
            "llama_init_from_model: quantized V cache requires flash_attn to be enabled
",
        ] {
            assert_eq!(refused_cache_type(log).unwrap().code, ProblemCode::InvalidSetting, "{log}");
        }
        assert_eq!(refused_cache_type("llama_kv_cache: failed to allocate buffer for kv cache"), None);
    }
}
