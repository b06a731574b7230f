//! One connection to NVML, from its initialization to its shutdown, and the cards reached in it.
//!
//! The handles of the cards live inside the session, so that none outlives it.
#![expect(unsafe_code, reason = "handles are kept beside their library, and old drivers are asked through C")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::mem::{ManuallyDrop, MaybeUninit};

use nvml_wrapper::Nvml;
use nvml_wrapper::device::Device;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlMemory_t};
use workly_core::reading::ProcessUse;

use super::fault::{fault, is_silent, lacks_version};
use crate::error::{ProbeError, Severity};
use crate::probe::Memory;

/// Longest path of a process that is asked for, bytes.
const PROCESS_NAME_LENGTH: usize = 256;

#[derive(Debug)]
pub(super) struct Session {
    nvml: ManuallyDrop<Nvml>,
    cards: Vec<Card>,
}

#[derive(Debug)]
struct Card {
    handle: nvmlDevice_t,
    /// The driver knows only the first version of the memory call.
    old_memory: bool,
    /// Figures this card does not tell are not asked for again.
    silent: Silent,
}

#[derive(Debug, Default, Clone, Copy)]
struct Silent {
    utilization: bool,
    temperature: bool,
    power: bool,
}

impl Session {
    pub(super) fn open(library: Option<&OsString>) -> Result<Self, ProbeError> {
        let nvml = match library {
            Some(path) => Nvml::builder().lib_path(path).init(),
            None => Nvml::init(),
        };
        Ok(Self { nvml: ManuallyDrop::new(nvml.map_err(fault)?), cards: Vec::new() })
    }

    pub(super) fn count(&self) -> Result<u32, ProbeError> {
        self.nvml.device_count().map_err(fault)
    }

    /// Reaches a card, by its address where that is known, and gives its number in this session.
    pub(super) fn attach(&mut self, index: u32, address: Option<&str>) -> Result<usize, ProbeError> {
        let device = match address {
            Some(address) => self.nvml.device_by_pci_bus_id(address),
            None => self.nvml.device_by_index(index),
        };
        // SAFETY: the handle is only kept in this session and only used while it is open.
        let handle = unsafe { device.map_err(fault)?.handle() };
        self.cards.push(Card { handle, old_memory: false, silent: Silent::default() });
        Ok(self.cards.len() - 1)
    }

    fn device(&self, card: usize) -> Result<Device<'_>, ProbeError> {
        let card = self.cards.get(card).ok_or(ProbeError::Lost)?;
        // SAFETY: this session's library gave the handle, and the session is open: the two live in one structure.
        Ok(unsafe { Device::new(card.handle, &self.nvml) })
    }

    /// The card's name for people; one that is split into instances says so, for its figures are of the whole card.
    pub(super) fn description(&self, card: usize) -> String {
        let Ok(device) = self.device(card) else { return String::new() };
        let name = device.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned());
        let split = device.mig_mode().is_ok_and(|mode| mode.current == 1);
        if split { format!("{name} (MIG)") } else { name }
    }

    pub(super) fn address(&self, card: usize) -> Option<String> {
        self.device(card).ok()?.pci_info().ok().map(|info| info.bus_id)
    }

    pub(super) fn memory(&mut self, card: usize) -> Result<Memory, ProbeError> {
        if !self.cards.get(card).ok_or(ProbeError::Lost)?.old_memory {
            match self.device(card)?.memory_info() {
                Ok(info) => return Ok(Memory { total: info.total, used: info.used, free: info.free }),
                Err(error) if lacks_version(&error) => self.cards[card].old_memory = true,
                Err(error) => return Err(fault(error)),
            }
        }
        self.old_memory(card).map_err(fault)
    }

    /// The first version of the memory call, which the wrapper does not offer.
    fn old_memory(&self, card: usize) -> Result<Memory, NvmlError> {
        let call = nvml_sym(self.nvml.lib().nvmlDeviceGetMemoryInfo.as_ref())?;
        let mut memory = MaybeUninit::<nvmlMemory_t>::zeroed();
        // SAFETY: the handle is of this open session, and `memory` has room for what the function writes.
        nvml_try(unsafe { call(self.cards[card].handle, memory.as_mut_ptr()) })?;
        // SAFETY: zeroed is a valid value of this structure of numbers, whatever the function wrote.
        let memory = unsafe { memory.assume_init() };
        Ok(Memory { total: memory.total, used: memory.used, free: memory.free })
    }

    pub(super) fn utilization(&mut self, card: usize) -> Result<Option<f32>, ProbeError> {
        let ask = |device: Device<'_>| device.utilization_rates().map(|rates| rates.gpu as f32);
        self.optional(card, |silent| &mut silent.utilization, ask)
    }

    pub(super) fn temperature(&mut self, card: usize) -> Result<Option<f32>, ProbeError> {
        let ask = |device: Device<'_>| device.temperature(TemperatureSensor::Gpu).map(|degrees| degrees as f32);
        self.optional(card, |silent| &mut silent.temperature, ask)
    }

    pub(super) fn power(&mut self, card: usize) -> Result<Option<f32>, ProbeError> {
        let ask = |device: Device<'_>| device.power_usage().map(|milliwatts| milliwatts as f32 / 1000.0);
        self.optional(card, |silent| &mut silent.power, ask)
    }

    /// A figure that a card may not have: `None` then, and an error only where the connection itself is at fault.
    fn optional(
        &mut self,
        card: usize,
        silent: impl Fn(&mut Silent) -> &mut bool,
        ask: impl FnOnce(Device<'_>) -> Result<f32, NvmlError>,
    ) -> Result<Option<f32>, ProbeError> {
        let device = self.device(card)?;
        let mut known = self.cards[card].silent;
        if *silent(&mut known) {
            return Ok(None);
        }
        match ask(device) {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_silent(&error) => {
                *silent(&mut self.cards[card].silent) = true;
                Ok(None)
            }
            Err(error) => {
                let fault = fault(error);
                if fault.severity() == Severity::Broken { Err(fault) } else { Ok(None) }
            }
        }
    }

    pub(super) fn processes(&self, card: usize) -> Result<Vec<ProcessUse>, ProbeError> {
        let device = self.device(card)?;
        let computing = device.running_compute_processes();
        let drawing = device.running_graphics_processes();
        let mut bytes: BTreeMap<u32, Option<u64>> = BTreeMap::new();
        let (first, second) = match (computing, drawing) {
            (Err(error), Err(_)) => return Err(fault(error)),
            (first, second) => (first.unwrap_or_default(), second.unwrap_or_default()),
        };
        for process in first.into_iter().chain(second) {
            let used = match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            };
            // A process that computes and draws stands in both lists with the same figure.
            let known = bytes.entry(process.pid).or_default();
            *known = (*known).max(used);
        }
        Ok(bytes.into_iter().map(|(pid, vram_bytes)| ProcessUse { pid, name: self.name(pid), vram_bytes }).collect())
    }

    fn name(&self, pid: u32) -> Option<String> {
        let path = self.nvml.sys_process_name(pid, PROCESS_NAME_LENGTH).ok().filter(|path| !path.is_empty());
        let name = path.and_then(|path| path.rsplit(['/', '\\']).next().map(str::to_owned));
        name.or_else(|| crate::sysfs::read_word(format!("/proc/{pid}/comm").as_ref()))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The wrapper panics where the library has no shutdown function: such a one stays open.
        if self.nvml.lib().nvmlShutdown.is_ok() {
            // SAFETY: the session is not used after this.
            unsafe { ManuallyDrop::drop(&mut self.nvml) };
        }
    }
}
