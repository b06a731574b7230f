//! What a GGUF file's header says of its tensors. No weight is read.

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

use llama_cpp_sys_2::{ggml_context, gguf_context, gguf_init_params};
use workly_gguf::{part_of_name, part_path};

use crate::target::Target;

/// A tensor in a file, as it would lie on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// Bytes it would take there; `None` where the device does not take it.
    pub(crate) bytes: Option<u64>,
}

/// All tensors of a model, those in the other parts of a file that was split included. `None` where a header cannot be
/// read.
pub(crate) fn tensors(path: &Path, target: Target) -> Option<Vec<Tensor>> {
    let mut all = Vec::new();
    for part in parts(path) {
        all.extend(Header::read(&part)?.tensors(target));
    }
    Some(all)
}

/// The files of a model: `name-00001-of-00003.gguf` has three.
fn parts(path: &Path) -> Vec<PathBuf> {
    match part_of_name(path) {
        Some((1, count)) => (1..=count).filter_map(|number| part_path(path, number)).collect(),
        _ => vec![path.to_path_buf()],
    }
}

/// A header in memory, with its tensors as shapes.
struct Header {
    header: *mut gguf_context,
    shapes: *mut ggml_context,
}

#[expect(unsafe_code, reason = "the wrapper reads no tensors")]
impl Header {
    fn read(path: &Path) -> Option<Self> {
        let path = CString::new(path.to_str()?).ok()?;
        let mut shapes = std::ptr::null_mut();
        let params = gguf_init_params { no_alloc: true, ctx: &raw mut shapes };
        // SAFETY: the path ends in a null byte and lives for the call, as does the place for the shapes.
        let header = unsafe { llama_cpp_sys_2::gguf_init_from_file(path.as_ptr(), params) };
        (!header.is_null()).then_some(Self { header, shapes })
    }

    fn tensors(&self, target: Target) -> Vec<Tensor> {
        let mut tensors = Vec::new();
        // SAFETY: the shapes live as long as `self`, nobody else knows of them, and none has a buffer; each name ends
        // in a null byte and is copied at once.
        unsafe {
            let mut tensor = llama_cpp_sys_2::ggml_get_first_tensor(self.shapes);
            while !tensor.is_null() {
                let name = CStr::from_ptr(llama_cpp_sys_2::ggml_get_name(tensor)).to_string_lossy().into_owned();
                let is_matrix = (*tensor).ne[1] > 1;
                let is_taken = !is_matrix || target.takes(tensor, name.contains("_exps."));
                tensors.push(Tensor { name, bytes: is_taken.then(|| target.bytes(tensor)) });
                tensor = llama_cpp_sys_2::ggml_get_next_tensor(self.shapes, tensor);
            }
        }
        tensors
    }
}

#[expect(unsafe_code, reason = "as above")]
impl Drop for Header {
    fn drop(&mut self) {
        // SAFETY: both were made by `gguf_init_from_file` and are freed once.
        unsafe {
            llama_cpp_sys_2::ggml_free(self.shapes);
            llama_cpp_sys_2::gguf_free(self.header);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_model_is_all_its_parts() {
        let names = |path: &str| -> Vec<String> {
            parts(Path::new(path)).iter().map(|part| part.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("m/big-00001-of-00002.gguf"), ["m/big-00001-of-00002.gguf", "m/big-00002-of-00002.gguf"]);
        for whole in ["m/small.gguf", "one-of-a-kind.gguf", "big-00002-of-00003.gguf", "strange.bin"] {
            assert_eq!(names(whole), [whole]);
        }
    }

    #[test]
    fn a_file_that_is_no_model_has_no_header() {
        assert!(Header::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).is_none());
    }
}
