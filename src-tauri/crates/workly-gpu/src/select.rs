//! Which of the cards to watch: the one the model is, or would be, placed on.

use workly_core::device::{Device, DeviceWish, choose_gpu};

use crate::address::same_address;

/// The card to watch among those the probes found.
///
/// `backend` are the devices of a GPU worker, empty while none has reported: a model can only be placed on one of
/// those, so cards that are among them, matched by PCI address, come first; another is watched only to be shown. A wish
/// may name a card by either side's name.
pub fn choose<'a>(probed: &'a [Device], backend: &[Device], wish: &DeviceWish) -> Option<&'a Device> {
    if let DeviceWish::Named(_) = wish {
        return choose_gpu(probed, wish).or_else(|| probed_as(probed, choose_gpu(backend, wish)?));
    }
    let offered: Vec<Device> = probed.iter().filter_map(|device| as_offered(device, backend)).collect();
    // A device computed in software stands for no card: where there is a real one, that is what others use.
    let is_real = |device: &&Device| device.is_gpu() && !device.is_software();
    let real: Vec<Device> = probed.iter().filter(is_real).cloned().collect();
    let chosen = choose_gpu(&offered, wish).filter(|device| real.is_empty() || !device.is_software());
    let chosen = chosen.or_else(|| choose_gpu(&real, wish)).or_else(|| choose_gpu(probed, wish))?;
    probed.iter().find(|device| device.name == chosen.name && device.backend == chosen.backend)
}

/// The probed card as the backend knows it: the backend can tell an integrated GPU where a probe cannot.
fn as_offered(device: &Device, backend: &[Device]) -> Option<Device> {
    let offered = backend.iter().find(|offered| offered.is_gpu() && is_same(device, offered))?;
    Some(Device { kind: offered.kind, ..device.clone() })
}

fn probed_as<'a>(probed: &'a [Device], wanted: &Device) -> Option<&'a Device> {
    probed.iter().find(|device| is_same(device, wanted))
}

/// Whether two descriptions are of one card: by PCI address where both have one, else by name.
pub fn is_same(left: &Device, right: &Device) -> bool {
    match (&left.pci_address, &right.pci_address) {
        (Some(left), Some(right)) => same_address(left, right),
        _ => left.description == right.description,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use workly_core::device::DeviceKind;

    fn device(name: &str, address: Option<&str>, kind: DeviceKind, free_gib: u64) -> Device {
        Device {
            name: name.into(),
            description: format!("card {name}"),
            backend: name.trim_end_matches(char::is_numeric).into(),
            kind,
            pci_address: address.map(Into::into),
            memory_total: 8 << 30,
            memory_free: free_gib << 30,
        }
    }

    #[test]
    fn a_device_in_software_is_watched_only_where_no_real_card_is() {
        let software = Device {
            description: "llvmpipe (LLVM 15.0.6, 256 bits)".into(),
            ..device("Vulkan0", None, DeviceKind::DiscreteGpu, 9)
        };
        let real = device("NVML0", Some("0000:01:00.0"), DeviceKind::DiscreteGpu, 2);
        let both = [real, software.clone()];
        let backend = [software.clone()];
        assert_eq!(choose(&both, &backend, &DeviceWish::AnyVisible).unwrap().name, "NVML0");
        assert_eq!(choose(&backend, &backend, &DeviceWish::AnyVisible).unwrap().name, "Vulkan0");
    }

    fn probed() -> Vec<Device> {
        vec![
            device("NVML0", Some("0000:01:00.0"), DeviceKind::DiscreteGpu, 2),
            device("NVML1", Some("0000:02:00.0"), DeviceKind::DiscreteGpu, 6),
            device("AMD0", Some("0000:05:00.0"), DeviceKind::DiscreteGpu, 7),
        ]
    }

    fn name(chosen: Option<&Device>) -> Option<&str> {
        chosen.map(|device| device.name.as_str())
    }

    #[test]
    fn without_a_backend_the_discrete_card_with_the_most_free_memory_is_watched() {
        assert_eq!(name(choose(&probed(), &[], &DeviceWish::Auto)), Some("AMD0"));
    }

    #[test]
    fn only_a_card_that_the_backend_offers_is_watched_and_the_backend_knows_its_kind() {
        let backend = [
            device("Vulkan0", Some("0000:01:00.0"), DeviceKind::DiscreteGpu, 1),
            device("Vulkan1", Some("0000:05:00.0"), DeviceKind::IntegratedGpu, 7),
        ];
        assert_eq!(name(choose(&probed(), &backend, &DeviceWish::Auto)), Some("NVML0"));
        let named = DeviceWish::Named("Vulkan1".into());
        assert_eq!(name(choose(&probed(), &backend, &named)), Some("AMD0"));
    }

    #[test]
    fn a_card_may_be_named_by_its_address() {
        assert_eq!(name(choose(&probed(), &[], &DeviceWish::Named("0000:02:00.0".into()))), Some("NVML1"));
        assert_eq!(name(choose(&probed(), &[], &DeviceWish::Named("nowhere".into()))), None);
    }

    #[test]
    fn a_worker_that_offers_no_gpu_does_not_keep_the_card_from_being_shown() {
        let backend = [device("CPU", None, DeviceKind::Cpu, 9)];
        assert_eq!(name(choose(&probed(), &backend, &DeviceWish::Auto)), Some("AMD0"));
    }
}
