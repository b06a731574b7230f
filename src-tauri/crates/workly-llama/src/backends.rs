//! Finding and loading llama.cpp's backends, which are modules of their own beside the program.

use std::env;
use std::path::{Path, PathBuf};

use llama_cpp_2::llama_backend::{LlamaBackend, load_backends_from_path};
use workly_core::problem::{Problem, ProblemCode};

/// Which backends a worker loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendSet {
    /// The CPU alone: no GPU library is ever mapped.
    Cpu,
    /// The CPU and every GPU backend whose libraries the machine has.
    CpuAndGpu,
}

/// Loads the backends and initialises llama.cpp.
///
/// # Errors
///
/// When the modules are not where they should be, or none fits this processor.
pub(crate) fn load(set: BackendSet) -> Result<LlamaBackend, Problem> {
    let folder = folder()?;
    load_backends_from_path(&folder.join("cpu"));
    if set == BackendSet::CpuAndGpu {
        // A module whose libraries are missing (no Vulkan on this machine) is skipped by llama.cpp itself.
        load_backends_from_path(&folder.join("gpu"));
    }
    let has_cpu = llama_cpp_2::list_llama_ggml_backend_devices()
        .iter()
        .any(|device| device.device_type == llama_cpp_2::LlamaBackendDeviceType::Cpu);
    if !has_cpu {
        return Err(Problem::new(
            ProblemCode::LoadFailed,
            format!("No compute module in {} fits this processor. Reinstall Workly.", folder.display()),
        ));
    }
    LlamaBackend::init().map_err(|error| Problem::new(ProblemCode::LoadFailed, error.to_string()))
}

/// The folder with the sub-folders `cpu` and `gpu`: beside the program, in the installation's library folder, or where
/// the build put it.
fn folder() -> Result<PathBuf, Problem> {
    let program = env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    let candidates = beside
        .map(|folder| vec![folder.join("backends"), folder.join("../lib/workly/backends")])
        .unwrap_or_default()
        .into_iter()
        .chain(option_env!("WORKLY_DEVELOPMENT_BACKENDS").map(PathBuf::from));
    let mut tried = Vec::new();
    for candidate in candidates {
        if candidate.join("cpu").is_dir() {
            return Ok(candidate);
        }
        tried.push(candidate.display().to_string());
    }
    Err(Problem::new(
        ProblemCode::LoadFailed,
        format!("The compute modules are missing; looked in {}. Reinstall Workly.", tried.join(", ")),
    ))
}
