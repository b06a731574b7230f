//! The devices that the loaded backends offer.

use std::ffi::CStr;

use llama_cpp_2::{LlamaBackendDeviceType, list_llama_ggml_backend_devices};
use workly_core::device::{Device, DeviceKind};

/// All devices, each with the index that llama.cpp knows it by.
pub(crate) fn list() -> Vec<(usize, Device)> {
    list_llama_ggml_backend_devices()
        .into_iter()
        .map(|device| {
            let kind = match device.device_type {
                LlamaBackendDeviceType::Cpu => DeviceKind::Cpu,
                LlamaBackendDeviceType::Gpu => DeviceKind::DiscreteGpu,
                LlamaBackendDeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
                LlamaBackendDeviceType::Accelerator | LlamaBackendDeviceType::Unknown => DeviceKind::Other,
            };
            let described = Device {
                name: device.name,
                description: device.description,
                backend: device.backend,
                kind,
                pci_address: pci_address(device.index),
                memory_total: device.memory_total as u64,
                memory_free: device.memory_free as u64,
            };
            (device.index, described)
        })
        .collect()
}

/// All devices.
pub(crate) fn all() -> Vec<Device> {
    list().into_iter().map(|(_, device)| device).collect()
}

/// The PCI address that the backend reports, which `llama-cpp-2` leaves out.
#[expect(unsafe_code, reason = "the wrapper does not expose device_id")]
fn pci_address(index: usize) -> Option<String> {
    // SAFETY: `index` comes from the list of devices just made, which only grows; the properties are filled by the
    // device itself before they are read, and `device_id` is null or a string that lives as long as the device.
    let id = unsafe {
        let device = llama_cpp_sys_2::ggml_backend_dev_get(index);
        let mut properties = std::mem::zeroed();
        llama_cpp_sys_2::ggml_backend_dev_get_props(device, &raw mut properties);
        if properties.device_id.is_null() {
            return None;
        }
        CStr::from_ptr(properties.device_id)
    };
    Some(id.to_string_lossy().into_owned()).filter(|id| !id.is_empty())
}
