//! The AMD probe on a folder that stands in for `/sys`.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;
use workly_core::device::DeviceKind;
use workly_gpu::{ProbeError, Sample, Sources, Sysfs, Want};

const ALL: Want = Want { utilization: true, sensors: true, model_on_gpu: false };

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("{text}\n")).unwrap();
}

fn card(root: &Path, number: u32, address: &str, total: u64, used: u64) {
    let file = |name: &str| format!("class/drm/card{number}/device/{name}");
    write(root, &file("vendor"), "0x1002");
    write(root, &file("uevent"), &format!("DRIVER=amdgpu\nPCI_ID=1002:744C\nPCI_SLOT_NAME={address}"));
    write(root, &file("mem_info_vram_total"), &total.to_string());
    write(root, &file("mem_info_vram_used"), &used.to_string());
    write(root, &file("gpu_busy_percent"), "37");
    write(root, &file("hwmon/hwmon4/temp1_input"), "61000");
    write(root, &file("hwmon/hwmon4/power1_average"), "148000000");
}

fn machine() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    card(folder.path(), 1, "0000:03:00.0", 24 << 30, 5 << 30);
    // Outputs, another vendor's card and a card without memory figures are none of it.
    write(folder.path(), "class/drm/card1-DP-1/status", "connected");
    write(folder.path(), "class/drm/card0/device/vendor", "0x8086");
    write(folder.path(), "class/drm/card7/device/vendor", "0x1002");
    folder
}

fn look(folder: &TempDir) -> Sample {
    let nvml_library = Some(folder.path().join("no-nvml.so"));
    let sources = Sources { nvml_library, sysfs: Sysfs::at(folder.path()), ..Sources::default() };
    sources.watcher().sample(ALL, Instant::now())
}

#[test]
fn a_card_is_read_from_its_files() {
    let sample = look(&machine());
    let memory = sample.memory.unwrap();
    assert_eq!((memory.total >> 30, memory.used >> 30, memory.free >> 30), (24, 5, 19));
    assert_eq!(sample.utilization, Some(37.0));
    let sensors = sample.sensors.unwrap();
    assert_eq!((sensors.temperature_c, sensors.power_w), (Some(61.0), Some(148.0)));
    let gpu = sample.gpu.unwrap();
    assert_eq!((gpu.pci_address.as_deref(), gpu.description.as_str()), (Some("0000:03:00.0"), "AMD GPU 1002:744C"));
    assert_eq!(sample.gpus.len(), 1);
}

#[test]
fn figures_without_a_file_are_unknown() {
    let folder = machine();
    fs::remove_file(folder.path().join("class/drm/card1/device/gpu_busy_percent")).unwrap();
    fs::remove_dir_all(folder.path().join("class/drm/card1/device/hwmon")).unwrap();
    let sample = look(&folder);
    assert_eq!(sample.utilization, None);
    assert_eq!(sample.sensors.unwrap().temperature_c, None);
    assert!(sample.memory.is_some());
}

#[test]
fn a_processor_s_own_graphics_are_listed_and_never_taken_by_themselves() {
    let folder = machine();
    write(folder.path(), "class/drm/card1/device/hwmon/hwmon4/in1_label", "vddnb");
    let sample = look(&folder);
    assert_eq!(sample.gpus[0].kind, DeviceKind::IntegratedGpu);
    assert!(sample.gpu.is_none());
    assert!(sample.problem.unwrap().to_string().contains("ai.gpu_device"));
}

#[test]
fn a_sleeping_card_is_left_asleep() {
    let folder = machine();
    write(folder.path(), "bus/pci/devices/0000:03:00.0/power/runtime_status", "suspended");
    write(folder.path(), "bus/pci/devices/0000:03:00.0/power/control", "auto");
    let sample = look(&folder);
    assert!(sample.asleep);
    assert_eq!(sample.utilization, Some(0.0));
}

#[test]
fn a_value_that_is_no_number_is_a_named_problem_and_a_vanished_card_is_gone() {
    let folder = machine();
    let sources = Sources { sysfs: Sysfs::at(folder.path()), nvml_library: Some("no".into()), ..Sources::default() };
    let mut watcher = sources.watcher();
    let start = Instant::now();
    assert!(watcher.sample(ALL, start).problem.is_none());
    write(folder.path(), "class/drm/card1/device/mem_info_vram_used", "what");
    assert!(matches!(watcher.sample(ALL, start).problem, Some(ProbeError::Unreadable { .. })));
    fs::remove_dir_all(folder.path().join("class/drm/card1")).unwrap();
    let later = start + std::time::Duration::from_secs(6);
    assert!(watcher.sample(ALL, later).memory.is_none());
}
