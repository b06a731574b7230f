//! What llama.cpp reads in a model's header: the file is opened as for a load, but no weight is read.

use std::ffi::CStr;
use std::path::Path;

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_sys_2::llama_model;
use workly_core::problem::Problem;
use workly_engine::protocol::ModelReading;

use crate::gguf;
use crate::llama_log;
use crate::load::model_params;
use crate::model_file::{check_file, explain_log};
use crate::target::Target;

/// Reads the header of a model of any architecture that this llama.cpp can run.
pub(crate) fn read(backend: &LlamaBackend, path: &Path) -> Result<ModelReading, Problem> {
    check_file(path)?;
    let params = model_params(0, None)?.with_no_alloc(true);
    llama_log::clear();
    let model = LlamaModel::load_from_file(backend, path, &params)
        .map_err(|error| explain_log(path, &llama_log::recent(), &error.to_string()))?;
    let tensors = gguf::tensors(path, Target::of(0)).map_or(0, |tensors| tensors.len());
    Ok(ModelReading {
        architecture: model.meta_val_str("general.architecture").unwrap_or_default(),
        parameters: model.n_params(),
        tensor_bytes: model.size(),
        tensors: u32::try_from(tensors).unwrap_or(u32::MAX),
        layers: model.n_layer(),
        trained_context_tokens: model.n_ctx_train(),
        quantization: short(&file_type(&model)),
    })
}

/// What llama.cpp calls the quantisation.
#[expect(unsafe_code, reason = "the wrapper does not expose the file type")]
fn file_type(model: &LlamaModel) -> String {
    // SAFETY: `LlamaModel` is declared transparent around the pointer to the model, and the version of its crate is
    // pinned; the model lives for the call. The name is null or ends in a null byte and lives as long as the process.
    let name = unsafe {
        let model = *std::ptr::from_ref(model).cast::<*const llama_model>();
        let name = llama_cpp_sys_2::llama_ftype_name(llama_cpp_sys_2::llama_model_ftype(model));
        if name.is_null() {
            return String::new();
        }
        CStr::from_ptr(name)
    };
    name.to_string_lossy().into_owned()
}

/// The short name of a quantisation, as files are called: `Q4_K - Medium` is `Q4_K_M`.
fn short(words: &str) -> String {
    let words = words.trim_start_matches("(guessed)").trim().trim_start_matches("all ");
    match words.split_once(" - ") {
        // The one family whose middle size has no letter.
        Some(("Q2_K", "Medium")) => "Q2_K".to_owned(),
        Some((name, size @ ("Small" | "Medium" | "Large"))) => format!("{name}_{}", &size[..1]),
        Some(("IQ3_S mix", _)) => "IQ3_M".to_owned(),
        Some((name, _)) => name.to_owned(),
        None => words.split(' ').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantisations_have_the_names_that_files_have() {
        for (words, name) in [
            ("Q4_K - Medium", "Q4_K_M"),
            ("Q3_K - Large", "Q3_K_L"),
            ("Q2_K - Medium", "Q2_K"),
            ("Q2_K - Small", "Q2_K_S"),
            ("IQ3_S mix - 3.66 bpw", "IQ3_M"),
            ("IQ2_XXS - 2.0625 bpw", "IQ2_XXS"),
            ("all F32", "F32"),
            ("MXFP4 MoE", "MXFP4"),
            ("(guessed) Q8_0", "Q8_0"),
        ] {
            assert_eq!(short(words), name);
        }
    }
}
