//! Where readings come from on this machine, and the watcher over them.

use std::path::PathBuf;

use workly_core::device::Device;

use crate::amd::AmdProbe;
use crate::nvml::NvmlProbe;
use crate::probe::Probe;
use crate::replay::Replay;
use crate::sysfs::Sysfs;
use crate::watcher::Watcher;
use crate::worker_devices::{WorkerDeviceList, WorkerDevices};

/// Where readings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The NVML library to load instead of the driver's own.
    pub nvml_library: Option<PathBuf>,
    /// What the kernel says of the devices.
    pub sysfs: Sysfs,
    /// A recording to play instead of looking at real cards.
    pub replay: Option<Replay>,
    /// What a GPU worker says of its devices, for cards that no probe knows.
    pub worker_devices: WorkerDeviceList,
    /// Cards seen earlier, so that one that sleeps has a name and a size.
    pub known: Vec<Device>,
}

impl Sources {
    /// The machine's own, with the library that `WORKLY_NVML_LIB` names if it is set.
    pub fn from_environment() -> Self {
        let nvml_library = std::env::var_os("WORKLY_NVML_LIB").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { nvml_library, ..Self::default() }
    }

    /// The watcher over these sources. Nothing is loaded or read yet.
    pub fn watcher(self) -> Watcher {
        let probes: Vec<Box<dyn Probe>> = match self.replay {
            Some(replay) => vec![Box::new(replay)],
            None => vec![
                Box::new(NvmlProbe::new(self.nvml_library, self.sysfs.clone())),
                Box::new(AmdProbe::new(self.sysfs.clone())),
                Box::new(WorkerDevices::new(self.worker_devices)),
            ],
        };
        Watcher::new(probes, self.sysfs).knowing(self.known)
    }
}
