//! Cards that only a GPU worker can see: no vendor's probe knows them, and the worker's own device list serves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use workly_core::device::Device;
use workly_core::reading::ProcessUse;

use crate::error::ProbeError;
use crate::probe::{Gpu, Memory, Probe, Sensors};

/// How old the worker's figures may be.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// When the worker reported, and what.
type Report = (Instant, Vec<Device>);

/// Where the caller puts what a GPU worker says of its devices. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct WorkerDeviceList {
    shared: Arc<Mutex<Option<Report>>>,
}

impl WorkerDeviceList {
    /// Puts in the list as the worker gave it just now.
    pub fn set(&self, devices: Vec<Device>) {
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), devices));
    }

    /// Forgets the list: the worker ended.
    pub fn clear(&self) {
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn gpus(&self) -> Option<Report> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.as_ref().map(|(when, devices)| (*when, devices.iter().filter(|gpu| gpu.is_gpu()).cloned().collect()))
    }
}

/// The probe over such a list: total and free memory, and nothing else.
#[derive(Debug)]
pub struct WorkerDevices {
    list: WorkerDeviceList,
    names: Vec<String>,
}

impl WorkerDevices {
    /// A probe over this list.
    pub const fn new(list: WorkerDeviceList) -> Self {
        Self { list, names: Vec::new() }
    }
}

impl Probe for WorkerDevices {
    fn list(&mut self) -> Result<Vec<Gpu>, ProbeError> {
        let devices = self.list.gpus().map(|(_, devices)| devices).unwrap_or_default();
        self.names = devices.iter().map(|device| device.name.clone()).collect();
        let as_gpu = |device: Device| Gpu { memory: Some(memory(&device)), device, asleep: false, simulated: false };
        Ok(devices.into_iter().map(as_gpu).collect())
    }

    fn memory(&mut self, gpu: usize) -> Result<Memory, ProbeError> {
        let name = self.names.get(gpu).ok_or(ProbeError::Lost)?;
        let (when, devices) = self.list.gpus().ok_or(ProbeError::Lost)?;
        if when.elapsed() > FRESH_FOR {
            return Err(ProbeError::Transient { detail: "the model process has not reported its devices".into() });
        }
        devices.iter().find(|device| device.name == *name).map(memory).ok_or(ProbeError::Lost)
    }

    fn utilization(&mut self, _gpu: usize) -> Result<Option<f32>, ProbeError> {
        Ok(None)
    }

    fn sensors(&mut self, _gpu: usize) -> Result<Sensors, ProbeError> {
        Ok(Sensors::default())
    }

    fn processes(&mut self, _gpu: usize) -> Result<Vec<ProcessUse>, ProbeError> {
        Err(ProbeError::NotSupported)
    }
}

const fn memory(device: &Device) -> Memory {
    let used = device.memory_total.saturating_sub(device.memory_free);
    Memory { total: device.memory_total, used, free: device.memory_free }
}
