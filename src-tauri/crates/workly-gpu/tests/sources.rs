//! Sources other than a vendor's driver: a GPU worker's own list, and a recording.

use std::time::Instant;

use workly_core::device::{Device, DeviceKind, DeviceWish};
use workly_core::simulate::Trace;
use workly_gpu::{Replay, Sources, Sysfs, Want, WorkerDeviceList};

const ALL: Want = Want { utilization: true, sensors: true, model_on_gpu: false };

fn device(name: &str, description: &str, kind: DeviceKind) -> Device {
    Device {
        name: name.into(),
        description: description.into(),
        backend: "Vulkan".into(),
        kind,
        pci_address: None,
        memory_total: 8 << 30,
        memory_free: 6 << 30,
    }
}

fn without_drivers(worker_devices: &WorkerDeviceList) -> Sources {
    let sysfs = Sysfs::at("/nonexistent");
    let nvml_library = Some("/nonexistent/nvml".into());
    Sources { nvml_library, sysfs, worker_devices: worker_devices.clone(), ..Sources::default() }
}

#[test]
fn a_card_that_only_a_worker_knows_is_watched_through_its_list() {
    let list = WorkerDeviceList::default();
    let mut watcher = without_drivers(&list).watcher();
    list.set(vec![
        device("CPU", "AMD Ryzen", DeviceKind::Cpu),
        device("Vulkan0", "Intel Arc B580", DeviceKind::DiscreteGpu),
    ]);
    let sample = watcher.sample(ALL, Instant::now());
    assert_eq!(sample.gpu.unwrap().description, "Intel Arc B580");
    let memory = sample.memory.unwrap();
    assert_eq!((memory.total >> 30, memory.used >> 30, memory.free >> 30), (8, 2, 6));
    assert_eq!(sample.utilization, None);
    assert_eq!(sample.gpus.len(), 1, "a processor is no card");
    list.clear();
    assert!(watcher.sample(ALL, Instant::now()).problem.is_some());
}

#[test]
fn a_software_device_is_taken_only_by_its_name() {
    let list = WorkerDeviceList::default();
    list.set(vec![device("Vulkan0", "llvmpipe (LLVM 15.0.6, 256 bits)", DeviceKind::DiscreteGpu)]);
    let mut watcher = without_drivers(&list).watcher();
    let sample = watcher.sample(ALL, Instant::now());
    assert!(sample.gpu.is_none());
    assert!(sample.problem.unwrap().to_string().contains("llvmpipe"));
    watcher.wish(DeviceWish::Named("llvmpipe".into()), Vec::new());
    assert_eq!(watcher.sample(ALL, Instant::now()).gpu.unwrap().name, "Vulkan0");
}

#[test]
fn a_recording_stands_in_for_every_card_and_is_labelled() {
    let text = "seconds,vram_total_mib,external_vram_mib,external_gpu_percent,generating\n0,6141,249,3.5,1\n";
    let replay = Replay::new(Trace::parse(text).unwrap());
    let sources = Sources { replay: Some(replay), ..without_drivers(&WorkerDeviceList::default()) };
    let sample = sources.watcher().sample(ALL, Instant::now());
    assert!(sample.simulated);
    assert_eq!(sample.gpu.unwrap().description, "simulated GPU");
    assert_eq!((sample.memory.unwrap().used >> 20, sample.utilization), (249, Some(3.5)));
}
