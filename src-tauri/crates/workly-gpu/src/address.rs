//! PCI addresses, which every library writes with as many digits as it likes.

/// Whether two texts are the same PCI address: `0000:01:00.0` (ggml, sysfs) and `00000000:01:00.0` (NVML) are.
pub fn same_address(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right) || short(left).is_some_and(|left| short(right) == Some(left))
}

/// The address as sysfs writes it: `0000:01:00.0`, in small letters.
pub(crate) fn sysfs_address(text: &str) -> Option<String> {
    let (domain, bus, device, function) = short(text)?;
    Some(format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}"))
}

fn short(text: &str) -> Option<(u32, u32, u32, u32)> {
    let number = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let mut parts = text.trim().split(':').rev();
    let (slot, bus) = (parts.next()?, parts.next()?);
    let domain = parts.next().unwrap_or("0");
    let (device, function) = slot.split_once('.')?;
    parts.next().is_none().then_some(())?;
    Some((number(domain)?, number(bus)?, number(device)?, number(function)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_known_however_many_digits_its_domain_has() {
        for other in ["0000:01:00.0", "00000000:01:00.0", "01:00.0"] {
            assert!(same_address("0000:01:00.0", other), "{other}");
        }
        assert!(same_address("0000:0A:00.0", "00000000:0a:00.0"));
        assert!(!same_address("0000:01:00.0", "0000:02:00.0"));
        assert!(!same_address("", "0000:02:00.0"));
        assert_eq!(sysfs_address("00000000:0A:00.0").as_deref(), Some("0000:0a:00.0"));
        assert_eq!(sysfs_address("GPU-1234"), None);
    }
}
