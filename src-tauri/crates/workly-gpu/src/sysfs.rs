//! What Linux tells of PCI devices and power without waking them. On other systems nothing is known.

use std::fs;
use std::path::{Path, PathBuf};

use crate::address::sysfs_address;

const NVIDIA_VENDOR: &str = "0x10de";

/// The tree under `/sys`, or a folder that stands in for it.
#[derive(Debug, Clone)]
pub struct Sysfs {
    root: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::at("/sys")
    }
}

impl Sysfs {
    /// A tree of the same shape as `/sys` elsewhere.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn power_file(&self, address: &str, file: &str) -> Option<String> {
        let device = self.root.join("bus/pci/devices").join(sysfs_address(address)?);
        read_word(&device.join("power").join(file))
    }

    /// Whether the device at this PCI address sleeps, or is just falling asleep or waking. Reading it wakes nothing.
    pub fn is_asleep(&self, address: &str) -> bool {
        self.power_file(address, "runtime_status").is_some_and(|status| status != "active" && status != "unsupported")
    }

    /// Whether the device would be put to sleep if nobody used it: true of a laptop's second GPU.
    pub fn can_sleep(&self, address: &str) -> bool {
        self.power_file(address, "control").as_deref() == Some("auto")
            && self.power_file(address, "runtime_status").is_some_and(|status| status != "unsupported")
    }

    /// PCI addresses of NVIDIA's display controllers, in order.
    pub(crate) fn nvidia_cards(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join("bus/pci/devices")) else { return Vec::new() };
        let mut addresses: Vec<String> = entries
            .flatten()
            .filter(|entry| {
                let word = |file| read_word(&entry.path().join(file)).unwrap_or_default();
                word("vendor") == NVIDIA_VENDOR && word("class").starts_with("0x03")
            })
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        addresses.sort();
        addresses
    }

    /// Whether the machine runs on mains power; `None` where it does not say, as most desktops do not.
    pub fn on_mains_power(&self) -> Option<bool> {
        let supplies = fs::read_dir(self.root.join("class/power_supply")).ok()?;
        let online: Vec<bool> = supplies
            .flatten()
            .filter(|entry| read_word(&entry.path().join("type")).is_some_and(|kind| kind == "Mains" || kind == "USB"))
            .filter_map(|entry| Some(read_word(&entry.path().join("online"))? != "0"))
            .collect();
        (!online.is_empty()).then(|| online.contains(&true))
    }
}

/// The text of a small file, without the end of its line.
pub(crate) fn read_word(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    #[test]
    fn a_card_sleeps_unless_it_is_active_or_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let sysfs = Sysfs::at(folder.path());
        assert!(!sysfs.is_asleep("0000:01:00.0"), "no file: nothing is known of sleeping");
        let cases =
            [("active", false), ("suspended", true), ("suspending", true), ("resuming", true), ("unsupported", false)];
        for (status, asleep) in cases {
            write(folder.path(), "bus/pci/devices/0000:01:00.0/power/runtime_status", status);
            assert_eq!(sysfs.is_asleep("00000000:01:00.0"), asleep, "{status}");
        }
    }

    #[test]
    fn only_a_card_under_runtime_power_management_can_sleep() {
        let folder = tempfile::tempdir().unwrap();
        let sysfs = Sysfs::at(folder.path());
        assert!(!sysfs.can_sleep("0000:01:00.0"));
        write(folder.path(), "bus/pci/devices/0000:01:00.0/power/runtime_status", "active");
        write(folder.path(), "bus/pci/devices/0000:01:00.0/power/control", "on");
        assert!(!sysfs.can_sleep("0000:01:00.0"));
        write(folder.path(), "bus/pci/devices/0000:01:00.0/power/control", "auto");
        assert!(sysfs.can_sleep("0000:01:00.0"));
    }

    #[test]
    fn mains_power_is_known_where_a_supply_says() {
        let folder = tempfile::tempdir().unwrap();
        let sysfs = Sysfs::at(folder.path());
        assert_eq!(sysfs.on_mains_power(), None);
        write(folder.path(), "class/power_supply/BAT0/type", "Battery");
        assert_eq!(sysfs.on_mains_power(), None);
        write(folder.path(), "class/power_supply/AC/type", "Mains");
        write(folder.path(), "class/power_supply/AC/online", "0");
        assert_eq!(sysfs.on_mains_power(), Some(false));
        write(folder.path(), "class/power_supply/AC/online", "1");
        assert_eq!(sysfs.on_mains_power(), Some(true));
    }
}
