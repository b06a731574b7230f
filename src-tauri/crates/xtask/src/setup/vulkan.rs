//! Vulkan headers that are new enough for llama.cpp.
//!
//! Debian 12's are not. A newer package's headers are then unpacked, not installed, into the user's cache, and
//! `.cargo/setup.toml` points the build at them. Where the system's own will do, that file is absent.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Found, apt_sources, begin};
use crate::machine::{Machine, remove, write_if_changed};
use crate::shell;

/// The first headers with `vk::LayerSettingEXT`.
const NEEDED: HeaderVersion = HeaderVersion(1, 3, 272);

/// Debian 13's package; headers are the same for every architecture.
const PACKAGE_VERSION: &str = "1.4.309.0";
const PACKAGE_PATH: &str = "pool/main/v/vulkan-loader/libvulkan-dev_1.4.309.0-1_amd64.deb";
const PACKAGE_SHA256: &str = "8d329d465e16168afff58b1bd0dd6db46aac2cc3f56054a481b25a04e90b345a";

const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// Major, minor and header version of `vulkan_core.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct HeaderVersion(u32, u32, u32);

pub(super) fn ensure(machine: &mut Machine) -> Result<Found> {
    let config = machine.root.join(".cargo/setup.toml");
    if !cfg!(target_os = "linux") || system_headers_suffice(machine) {
        remove(&config)?;
        return Ok(Found::There);
    }
    let headers = machine.cache.join(format!("vulkan-headers-{PACKAGE_VERSION}"));
    let unpacked = headers_in(&headers.join("usr/include")) >= Some(NEEDED);
    if !unpacked {
        begin(&format!("Vulkan headers {PACKAGE_VERSION} (the system's are older than 1.3.272)"));
        unpack(machine, &headers)?;
    }
    let changed = write_if_changed(&config, &config_content(&headers.join("usr")))?;
    Ok(if unpacked && !changed { Found::There } else { Found::Missing })
}

/// Whether the headers the build finds without our help are new enough: the person's own SDK, else the system's.
fn system_headers_suffice(machine: &Machine) -> bool {
    let own_sdk = std::env::var_os("VULKAN_SDK").map(PathBuf::from).filter(|sdk| !sdk.starts_with(&machine.cache));
    let include = own_sdk.map_or_else(|| PathBuf::from("/usr/include"), |sdk| sdk.join("include"));
    headers_in(&include) >= Some(NEEDED)
}

fn headers_in(include: &Path) -> Option<HeaderVersion> {
    parse_version(&fs::read_to_string(include.join("vulkan/vulkan_core.h")).ok()?)
}

/// The version a `vulkan_core.h` declares.
fn parse_version(header: &str) -> Option<HeaderVersion> {
    let defined = |name: &str| {
        header.lines().find_map(|line| {
            let rest = line.strip_prefix("#define ")?.strip_prefix(name)?;
            rest.starts_with(' ').then(|| rest.trim())
        })
    };
    let patch = defined("VK_HEADER_VERSION")?.parse().ok()?;
    // VK_MAKE_API_VERSION(variant, major, minor, VK_HEADER_VERSION)
    let complete = defined("VK_HEADER_VERSION_COMPLETE")?;
    let arguments = complete.split_once('(')?.1.trim_end_matches(')');
    let mut parts = arguments.split(',').map(str::trim).skip(1);
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some(HeaderVersion(major, minor, patch))
}

fn unpack(machine: &Machine, target: &Path) -> Result<()> {
    let scratch = machine.scratch()?;
    let package = scratch.path().join("libvulkan-dev.deb");
    download(machine, &package)?;
    let tree = machine.scratch()?;
    shell::with_progress(machine.command("dpkg-deb").arg("--extract").arg(&package).arg(tree.path()))?;
    remove_libraries(tree.path())?;
    if headers_in(&tree.path().join("usr/include")) < Some(NEEDED) {
        bail!("the unpacked package has no Vulkan headers of 1.3.272 or newer in it");
    }
    tree.move_to(target)
}

/// Downloads the package from the first of the machine's own mirrors that has it, checking its hash.
fn download(machine: &Machine, package: &Path) -> Result<()> {
    let mirrors = apt_sources::mirrors(Path::new("/etc/apt"));
    if mirrors.is_empty() || !Path::new(APT_HELPER).exists() {
        bail!(
            "the Vulkan headers here are too old, and no Debian mirror is configured under /etc/apt to take newer ones from"
        );
    }
    let mut last = None;
    for mirror in mirrors {
        let result = shell::with_progress(
            machine
                .command(APT_HELPER)
                // Root's downloads would otherwise want a folder the user `_apt` can write to.
                .args(["-o", "APT::Sandbox::User=root", "download-file"])
                .arg(format!("{mirror}/{PACKAGE_PATH}"))
                .arg(package)
                .arg(format!("SHA256:{PACKAGE_SHA256}")),
        );
        match result {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    last.map_or(Ok(()), Err).context("no configured mirror delivered the package")
}

/// Takes the package's libraries away: the loader to link is the system's.
fn remove_libraries(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            remove_libraries(&path)?;
        } else if name.contains(".so") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn config_content(sdk: &Path) -> String {
    // A JSON string is also a TOML string.
    let quoted = serde_json::Value::from(sdk.to_string_lossy().into_owned());
    format!("[env]\nVULKAN_SDK = {quoted}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN_12: &str = "// Version of this file\n\
                             #define VK_HEADER_VERSION 239\n\n\
                             #define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(0, 1, 3, VK_HEADER_VERSION)\n";

    #[test]
    fn the_header_names_its_version() {
        assert_eq!(parse_version(DEBIAN_12), Some(HeaderVersion(1, 3, 239)));
        assert_eq!(parse_version("#define VK_HEADER_VERSION_OTHER 3\n"), None);
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(parse_version(DEBIAN_12) < Some(NEEDED));
        assert!(Some(HeaderVersion(1, 4, 309)) >= Some(NEEDED));
        assert!(None < Some(NEEDED));
    }

    #[test]
    fn the_configuration_survives_odd_folder_names() {
        assert_eq!(config_content(Path::new("/home/a \"b\"/usr")), "[env]\nVULKAN_SDK = \"/home/a \\\"b\\\"/usr\"\n");
    }
}
