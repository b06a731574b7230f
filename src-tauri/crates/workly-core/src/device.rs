//! The devices a worker can compute on, and which of them to take.

use serde::{Deserialize, Serialize};

use crate::reading::Reading;

/// Kind of a device, as its backend reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The processor itself.
    Cpu,
    /// A GPU with memory of its own.
    DiscreteGpu,
    /// A GPU that shares the machine's memory.
    IntegratedGpu,
    /// Anything else.
    Other,
}

/// A device that a worker's backends offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Device {
    /// The backend's name for it, such as `Vulkan0`.
    pub name: String,
    /// What a person calls it, such as `NVIDIA GeForce RTX 4050`.
    pub description: String,
    /// The backend it belongs to, such as `Vulkan`.
    pub backend: String,
    /// Kind of the device.
    pub kind: DeviceKind,
    /// PCI address such as `0000:01:00.0`, where the backend knows it.
    pub pci_address: Option<String>,
    /// Bytes of memory in all.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub memory_total: u64,
    /// Bytes of memory free now.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub memory_free: u64,
}

impl Device {
    /// Whether layers of a model can be placed on it.
    pub const fn is_gpu(&self) -> bool {
        matches!(self.kind, DeviceKind::DiscreteGpu | DeviceKind::IntegratedGpu)
    }

    /// What its backend says of its memory, as a reading; a backend knows no utilization.
    pub fn reading(&self) -> Reading {
        Reading {
            vram_total: self.memory_total,
            vram_used: self.memory_total.saturating_sub(self.memory_free),
            vram_free: self.memory_free,
            ..Reading::default()
        }
    }

    /// Whether it is a GPU computed in software, such as Mesa's llvmpipe.
    pub fn is_software(&self) -> bool {
        let description = self.description.to_lowercase();
        ["llvmpipe", "swiftshader", "lavapipe", "softpipe", "software"].iter().any(|name| description.contains(name))
    }
}

/// How a GPU is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceWish {
    /// The discrete GPU with the most free memory; never a software or integrated one.
    #[default]
    Auto,
    /// The GPU of this name, description or PCI address, whatever its kind.
    Named(String),
    /// Any GPU the backend shows: the user limited the list (`GGML_VK_VISIBLE_DEVICES`).
    AnyVisible,
}

/// The GPU to place layers on, or none.
pub fn choose_gpu<'a>(devices: &'a [Device], wish: &DeviceWish) -> Option<&'a Device> {
    let gpus = devices.iter().filter(|device| device.is_gpu());
    match wish {
        DeviceWish::Auto => gpus
            .filter(|device| device.kind == DeviceKind::DiscreteGpu && !device.is_software())
            .max_by_key(|device| device.memory_free),
        DeviceWish::AnyVisible => gpus.max_by_key(|device| device.memory_free),
        DeviceWish::Named(name) => gpus.into_iter().find(|device| {
            device.name.eq_ignore_ascii_case(name)
                || device.pci_address.as_deref().is_some_and(|address| address.eq_ignore_ascii_case(name))
                || device.description.to_lowercase().contains(&name.to_lowercase())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, kind: DeviceKind, description: &str, free_gib: u64) -> Device {
        Device {
            name: name.into(),
            description: description.into(),
            backend: "Vulkan".into(),
            kind,
            pci_address: Some(format!("0000:0{free_gib}:00.0")),
            memory_total: 8 << 30,
            memory_free: free_gib << 30,
        }
    }

    fn laptop() -> Vec<Device> {
        vec![
            device("CPU", DeviceKind::Cpu, "AMD Ryzen", 9),
            device("Vulkan0", DeviceKind::IntegratedGpu, "AMD Radeon 780M", 8),
            device("Vulkan1", DeviceKind::DiscreteGpu, "NVIDIA GeForce RTX 4050", 5),
            device("Vulkan2", DeviceKind::DiscreteGpu, "llvmpipe (LLVM 15.0.6, 256 bits)", 7),
        ]
    }

    #[test]
    fn auto_takes_the_discrete_gpu_and_never_a_software_or_integrated_one() {
        let devices = laptop();
        assert_eq!(choose_gpu(&devices, &DeviceWish::Auto).unwrap().name, "Vulkan1");
        let others: Vec<_> = devices.into_iter().filter(|device| device.name != "Vulkan1").collect();
        assert_eq!(choose_gpu(&others, &DeviceWish::Auto), None);
    }

    #[test]
    fn a_named_gpu_is_taken_whatever_its_kind() {
        let devices = laptop();
        for (wish, name) in [("llvmpipe", "Vulkan2"), ("vulkan0", "Vulkan0"), ("0000:05:00.0", "Vulkan1")] {
            assert_eq!(choose_gpu(&devices, &DeviceWish::Named(wish.into())).unwrap().name, name);
        }
        assert_eq!(choose_gpu(&devices, &DeviceWish::Named("AMD Ryzen".into())), None, "a CPU is no GPU");
    }
}
