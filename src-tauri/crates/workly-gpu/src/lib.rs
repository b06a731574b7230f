//! What the GPUs of this machine say of themselves: memory, utilization, temperature, power, processes.
//!
//! A [`Probe`] reads the cards of one vendor: NVIDIA through NVML, AMD through sysfs, a recorded trace, or the list a
//! GPU worker gives of its own devices. A [`Watcher`] holds the probes, chooses the card to watch, lets a sleeping
//! card sleep and makes a broken handle anew, also after a probe has panicked. A [`ProbeThread`] keeps it on one thread
//! of its own, where a driver that blocks harms nobody.
//!
//! Not here: when to read (the monitor), what a reading means (the policy), and llama.cpp's own view of the devices.

mod address;
mod amd;
mod caught;
mod error;
mod nvml;
mod probe;
mod replay;
mod select;
mod sources;
mod sysfs;
mod thread;
mod watcher;
mod worker_devices;

pub use address::same_address;
pub use amd::AmdProbe;
pub use error::ProbeError;
pub use nvml::NvmlProbe;
pub use probe::{Gpu, Memory, Probe, Sensors};
pub use replay::{OwnUse, Replay, ReplayError};
pub use select::{choose, is_same};
pub use sources::Sources;
pub use sysfs::Sysfs;
pub use thread::{Answer, ProbeThread, Request};
pub use watcher::{REST, Sample, Want, Watcher};
pub use worker_devices::{WorkerDeviceList, WorkerDevices};
