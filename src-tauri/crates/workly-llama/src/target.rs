//! A device as the place where tensors would lie. Nothing is placed.
#![expect(unsafe_code, reason = "the wrapper knows no buffer types")]

use std::ffi::CStr;

use llama_cpp_sys_2::{
    GGML_TYPE_F32, GGML_TYPE_I32, ggml_backend_buffer_type_t, ggml_backend_dev_t, ggml_init_params, ggml_tensor,
};

/// Tokens and experts of the multiplication that llama.cpp asks a device about before it gives it a weight.
const TOKENS: i64 = 512;
const EXPERTS_USED: i64 = 8;

/// A device and its own kind of buffer.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    device: ggml_backend_dev_t,
    buffers: ggml_backend_buffer_type_t,
}

impl Target {
    /// The device that llama.cpp knows by this index, taken from the list of devices.
    pub(crate) fn of(index: usize) -> Self {
        // SAFETY: `index` comes from the list of devices, which only grows; a device and its default buffer type live as
        // long as the process.
        unsafe {
            let device = llama_cpp_sys_2::ggml_backend_dev_get(index);
            Self { device, buffers: llama_cpp_sys_2::ggml_backend_dev_buffer_type(device) }
        }
    }

    /// What its buffers are called in the log.
    pub(crate) fn buffer_name(&self) -> String {
        // SAFETY: the name ends in a null byte, lives as long as the buffer type, and is copied at once.
        unsafe { CStr::from_ptr(llama_cpp_sys_2::ggml_backend_buft_name(self.buffers)) }.to_string_lossy().into_owned()
    }

    /// Bytes that a tensor takes in its buffers, up to where the next one begins.
    ///
    /// # Safety
    ///
    /// `tensor` is valid.
    pub(crate) unsafe fn bytes(&self, tensor: *const ggml_tensor) -> u64 {
        // SAFETY: the buffer type is valid for the process; the tensor by contract.
        let (bytes, alignment) = unsafe {
            (
                llama_cpp_sys_2::ggml_backend_buft_get_alloc_size(self.buffers, tensor) as u64,
                llama_cpp_sys_2::ggml_backend_buft_get_alignment(self.buffers) as u64,
            )
        };
        bytes.next_multiple_of(alignment.max(1))
    }

    /// Whether the device would take a weight: llama.cpp leaves one on the CPU that the device cannot multiply with,
    /// for its number type or for its size. `by_expert`: the weight holds a matrix for each expert.
    ///
    /// # Safety
    ///
    /// `weight` is valid, has no buffer, and is used by nobody else for the length of the call.
    pub(crate) unsafe fn takes(&self, weight: *mut ggml_tensor, by_expert: bool) -> bool {
        // SAFETY: the scratch context has room for the four tensors made in it and no memory for their contents; shapes
        // follow the weight's, as the operations demand; the empty buffer is the weight's only for the question; all of
        // it is freed before the end.
        unsafe {
            let mem_size = llama_cpp_sys_2::ggml_tensor_overhead() * 8;
            let params = ggml_init_params { mem_size, mem_buffer: std::ptr::null_mut(), no_alloc: true };
            let scratch = llama_cpp_sys_2::ggml_init(params);
            if scratch.is_null() {
                return true;
            }
            let [inner, _, third, fourth] = (*weight).ne;
            let new =
                |kind, ne: [i64; 4]| llama_cpp_sys_2::ggml_new_tensor_4d(scratch, kind, ne[0], ne[1], ne[2], ne[3]);
            let product = if by_expert {
                let used = EXPERTS_USED.min(third);
                let input = new(GGML_TYPE_F32, [inner, used, TOKENS, 1]);
                llama_cpp_sys_2::ggml_mul_mat_id(scratch, weight, input, new(GGML_TYPE_I32, [used, TOKENS, 1, 1]))
            } else {
                let input = new(GGML_TYPE_F32, [inner, TOKENS, third, fourth]);
                llama_cpp_sys_2::ggml_mul_mat(scratch, weight, input)
            };
            (*weight).buffer = llama_cpp_sys_2::ggml_backend_buft_alloc_buffer(self.buffers, 0);
            let takes = llama_cpp_sys_2::ggml_backend_dev_supports_op(self.device, product);
            llama_cpp_sys_2::ggml_backend_buffer_free((*weight).buffer);
            (*weight).buffer = std::ptr::null_mut();
            llama_cpp_sys_2::ggml_free(scratch);
            takes
        }
    }
}
