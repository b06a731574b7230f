//! A watcher over a private copy of the fake NVML library, and a folder that stands in for `/sys`.
#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses its own part of this")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fake_nvml::{Device, Installed, Row, Scenario};
use tempfile::TempDir;
use workly_gpu::{Sample, Sources, Sysfs, Want, Watcher};

pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) fake: Installed,
    pub(crate) watcher: Watcher,
    pub(crate) start: Instant,
}

/// Everything that can be read.
pub(crate) const ALL: Want = Want { utilization: true, sensors: true, model_on_gpu: false };
/// The same while a model is on the card.
pub(crate) const HELD: Want = Want { model_on_gpu: true, ..ALL };
/// What the guard reads.
pub(crate) const GUARD: Want = Want { utilization: false, sensors: false, model_on_gpu: true };

impl Stage {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self::without(scenario, &[])
    }

    pub(crate) fn without(scenario: &Scenario, missing: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("lib");
        fs::create_dir(&library).unwrap();
        let fake = Installed::without(&library, scenario, missing).unwrap();
        let watcher = sources(&folder, &fake).watcher();
        Self { folder, fake, watcher, start: Instant::now() }
    }

    /// Looks at the card at a second of the test.
    pub(crate) fn at(&mut self, seconds: f64, want: Want) -> Sample {
        self.watcher.sample(want, self.start + Duration::from_secs_f64(seconds))
    }

    pub(crate) fn sysfs(&self, file: &str, text: &str) {
        let path = self.folder.path().join("sys").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A display controller of NVIDIA with this power state and control.
    pub(crate) fn card(&self, address: &str, status: &str, control: &str) {
        let folder = Path::new("bus/pci/devices").join(address);
        let file = |name: &str| folder.join(name).display().to_string();
        self.sysfs(&file("vendor"), "0x10de\n");
        self.sysfs(&file("class"), "0x030000\n");
        self.sysfs(&file("power/runtime_status"), &format!("{status}\n"));
        self.sysfs(&file("power/control"), &format!("{control}\n"));
    }
}

pub(crate) fn sources(folder: &TempDir, fake: &Installed) -> Sources {
    let sysfs = Sysfs::at(folder.path().join("sys"));
    Sources { nvml_library: Some(fake.library.clone()), sysfs, ..Sources::default() }
}

/// One card with these values for ever.
pub(crate) fn one_card(row: Row) -> Scenario {
    Scenario { devices: vec![Device { timeline: vec![row], ..Device::default() }], ..Scenario::default() }
}

/// So many cards; each has 100 MiB less in use than the one before it.
pub(crate) fn cards(count: u32) -> Scenario {
    let device = |index: u32| Device {
        name: format!("Fake card {index}"),
        pci: format!("0000:{:02x}:00.0", index + 1),
        total_mib: 8192,
        timeline: vec![Row { used_mib: Some(u64::from(2000 - 100 * index)), ..Row::default() }],
        ..Device::default()
    };
    Scenario { devices: (0..count).map(device).collect(), ..Scenario::default() }
}
