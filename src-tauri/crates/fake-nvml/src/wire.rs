//! NVML's C types, as `nvml.h` of CUDA 12 declares them: only those the exported functions need.
#![expect(unsafe_code, reason = "the strings of C callers are written through their pointers")]

use std::ffi::{c_char, c_uint, c_ulonglong, c_void};

/// `nvmlReturn_t`.
pub(crate) type Code = c_uint;
pub(crate) const SUCCESS: Code = 0;
pub(crate) const UNINITIALIZED: Code = 1;
pub(crate) const INVALID_ARGUMENT: Code = 2;
pub(crate) const NOT_SUPPORTED: Code = 3;
pub(crate) const NOT_FOUND: Code = 6;
pub(crate) const INSUFFICIENT_SIZE: Code = 7;
pub(crate) const GPU_IS_LOST: Code = 15;
pub(crate) const VERSION_MISMATCH: Code = 25;
pub(crate) const UNKNOWN: Code = 999;

/// `nvmlDevice_t`: opaque to the caller.
pub(crate) type Handle = *mut c_void;

/// `nvmlMemory_t`.
#[repr(C)]
pub(crate) struct Memory {
    pub(crate) total: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

/// `nvmlMemory_v2_t`.
#[repr(C)]
pub(crate) struct MemoryV2 {
    pub(crate) version: c_uint,
    pub(crate) total: c_ulonglong,
    pub(crate) reserved: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

impl MemoryV2 {
    /// What the caller writes into `version`: the size, and 2 in the highest byte.
    pub(crate) const VERSION: c_uint = size_of::<Self>() as c_uint | (2 << 24);
}

/// `nvmlUtilization_t`.
#[repr(C)]
pub(crate) struct Utilization {
    pub(crate) gpu: c_uint,
    pub(crate) memory: c_uint,
}

/// `nvmlPciInfo_t`.
#[repr(C)]
pub(crate) struct PciInfo {
    pub(crate) bus_id_legacy: [c_char; 16],
    pub(crate) domain: c_uint,
    pub(crate) bus: c_uint,
    pub(crate) device: c_uint,
    pub(crate) pci_device_id: c_uint,
    pub(crate) pci_subsystem_id: c_uint,
    pub(crate) bus_id: [c_char; 32],
}

/// `nvmlProcessInfo_t`, versions 2 and 3.
#[repr(C)]
pub(crate) struct ProcessInfo {
    pub(crate) pid: c_uint,
    pub(crate) used_gpu_memory: c_ulonglong,
    pub(crate) gpu_instance_id: c_uint,
    pub(crate) compute_instance_id: c_uint,
}

/// `nvmlProcessUtilizationSample_t`.
#[repr(C)]
pub(crate) struct ProcessSample {
    pub(crate) pid: c_uint,
    pub(crate) time_stamp: c_ulonglong,
    pub(crate) sm_util: c_uint,
    pub(crate) mem_util: c_uint,
    pub(crate) enc_util: c_uint,
    pub(crate) dec_util: c_uint,
}

/// Writes `text` and its NUL into the caller's buffer.
///
/// # Safety
///
/// `buffer` is null or points to `length` bytes that may be written.
pub(crate) unsafe fn write_text(text: &str, buffer: *mut c_char, length: usize) -> Code {
    if buffer.is_null() {
        return INVALID_ARGUMENT;
    }
    if length <= text.len() {
        return INSUFFICIENT_SIZE;
    }
    // SAFETY: the buffer holds `length` bytes, which is more than the text, and the two cannot overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), text.len());
        *buffer.add(text.len()) = 0;
    }
    SUCCESS
}
