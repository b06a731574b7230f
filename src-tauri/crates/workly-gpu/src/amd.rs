//! AMD cards on Linux, through the files of the amdgpu driver: no library, and no handle to hold.
//!
//! Files and units: <https://docs.kernel.org/gpu/amdgpu/driver-misc.html> and `thermal.html` beside it.

use std::fs;
use std::path::{Path, PathBuf};

use workly_core::device::{Device, DeviceKind};
use workly_core::reading::ProcessUse;

use crate::address::sysfs_address;
use crate::error::ProbeError;
use crate::probe::{Gpu, Memory, Probe, Sensors};
use crate::sysfs::{Sysfs, read_word};

const AMD_VENDOR: &str = "0x1002";

/// The probe for AMD cards.
#[derive(Debug)]
pub struct AmdProbe {
    sysfs: Sysfs,
    /// The device folders of the last list.
    folders: Vec<PathBuf>,
}

impl AmdProbe {
    /// A probe that reads below this tree.
    pub const fn new(sysfs: Sysfs) -> Self {
        Self { sysfs, folders: Vec::new() }
    }

    fn folder(&self, gpu: usize) -> Result<&Path, ProbeError> {
        self.folders.get(gpu).map(PathBuf::as_path).ok_or(ProbeError::Lost)
    }
}

impl Probe for AmdProbe {
    fn list(&mut self) -> Result<Vec<Gpu>, ProbeError> {
        let entries = fs::read_dir(self.sysfs.root().join("class/drm")).into_iter().flatten().flatten();
        let mut cards: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_card(path)).collect();
        cards.sort();
        let folders = cards.into_iter().map(|card| card.join("device"));
        self.folders = folders.filter(|folder| is_amd_with_memory(folder)).collect();
        let gpus = self.folders.iter().zip(0..).map(|(folder, index)| {
            let address = uevent(folder, "PCI_SLOT_NAME").map(|text| sysfs_address(&text).unwrap_or(text));
            let asleep = address.as_deref().is_some_and(|address| self.sysfs.is_asleep(address));
            let memory = if asleep { None } else { memory(folder).ok() };
            let device = Device {
                name: format!("AMD{index}"),
                description: description(folder),
                backend: "AMD".to_owned(),
                kind: kind(folder),
                pci_address: address,
                memory_total: memory.map_or(0, |memory| memory.total),
                memory_free: memory.map_or(0, |memory| memory.free),
            };
            Gpu { device, memory, asleep, simulated: false }
        });
        Ok(gpus.collect())
    }

    fn memory(&mut self, gpu: usize) -> Result<Memory, ProbeError> {
        memory(self.folder(gpu)?)
    }

    fn utilization(&mut self, gpu: usize) -> Result<Option<f32>, ProbeError> {
        Ok(number(&self.folder(gpu)?.join("gpu_busy_percent")).ok().map(|percent| percent as f32))
    }

    fn sensors(&mut self, gpu: usize) -> Result<Sensors, ProbeError> {
        let monitors = hardware_monitors(self.folder(gpu)?);
        let first = |file: &str| monitors.iter().find_map(|folder| number(&folder.join(file)).ok());
        Ok(Sensors {
            temperature_c: first("temp1_input").map(|millidegrees| millidegrees as f32 / 1e3),
            power_w: first("power1_average")
                .or_else(|| first("power1_input"))
                .map(|microwatts| microwatts as f32 / 1e6),
        })
    }

    fn processes(&mut self, _gpu: usize) -> Result<Vec<ProcessUse>, ProbeError> {
        Err(ProbeError::NotSupported)
    }
}

/// `card0`, and not its outputs such as `card0-DP-1`.
fn is_card(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("card"));
    name.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_amd_with_memory(folder: &Path) -> bool {
    read_word(&folder.join("vendor")).as_deref() == Some(AMD_VENDOR) && folder.join("mem_info_vram_total").exists()
}

fn memory(folder: &Path) -> Result<Memory, ProbeError> {
    let total = number(&folder.join("mem_info_vram_total"))?;
    let used = number(&folder.join("mem_info_vram_used"))?;
    Ok(Memory { total, used, free: total.saturating_sub(used) })
}

fn number(path: &Path) -> Result<u64, ProbeError> {
    let unreadable = |detail: String| ProbeError::Unreadable { path: path.display().to_string(), detail };
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ProbeError::Lost,
        std::io::ErrorKind::PermissionDenied => ProbeError::NoPermission,
        _ => unreadable(error.to_string()),
    })?;
    text.trim().parse().map_err(|_| unreadable(format!("'{}' is no number", text.trim())))
}

fn uevent(folder: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(folder.join("uevent")).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
}

fn description(folder: &Path) -> String {
    let product = read_word(&folder.join("product_name")).filter(|name| !name.is_empty());
    product.unwrap_or_else(|| match uevent(folder, "PCI_ID") {
        Some(id) => format!("AMD GPU {id}"),
        None => "AMD GPU".to_owned(),
    })
}

/// Only a processor's own graphics report the voltage of the northbridge.
fn kind(folder: &Path) -> DeviceKind {
    let has_northbridge = |folder: &PathBuf| read_word(&folder.join("in1_label")).as_deref() == Some("vddnb");
    let integrated = hardware_monitors(folder).iter().any(has_northbridge);
    if integrated { DeviceKind::IntegratedGpu } else { DeviceKind::DiscreteGpu }
}

fn hardware_monitors(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("hwmon")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
