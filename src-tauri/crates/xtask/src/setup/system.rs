//! Which system this is, and the system packages it needs.

use std::collections::HashMap;
use std::fs;

use anyhow::{Result, bail};

use super::{Found, apt, begin};
use crate::machine::Machine;

/// Programs without which nothing builds, for systems whose packages we do not know by name.
const PROGRAMS: &[&str] = &["cmake", "pkg-config", "glslc", "c++"];

/// Installs what is missing on Debian and Ubuntu; elsewhere checks for the programs and says what else is needed.
pub(super) fn ensure(machine: &mut Machine) -> Result<Found> {
    if cfg!(target_os = "linux") {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        if uses_apt(&release) && machine.find("dpkg-query").is_some() {
            return apt::ensure(machine);
        }
    }
    let needed = if cfg!(windows) {
        &PROGRAMS[..1]
    } else if cfg!(target_os = "macos") {
        &PROGRAMS[..2]
    } else {
        PROGRAMS
    };
    let missing: Vec<&str> = needed.iter().copied().filter(|name| machine.find(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(Found::There);
    }
    begin("this system's packages are not known here by name");
    bail!(
        "not found on PATH: {}.\nNeeded: {}.\nOn Debian and Ubuntu these are the packages {}",
        missing.join(", "),
        needed_elsewhere(),
        apt::PACKAGES.join(" ")
    );
}

fn needed_elsewhere() -> &'static str {
    if cfg!(windows) {
        "Visual Studio Build Tools (C++), CMake, LLVM (libclang), the Vulkan SDK, WebView2"
    } else if cfg!(target_os = "macos") {
        "the Xcode command line tools, CMake and pkg-config"
    } else {
        "a C++ compiler, CMake, pkg-config, libclang, glslc, SPIR-V and Vulkan headers and loader, WebKitGTK 4.1, \
         librsvg and libayatana-appindicator with their headers; for the tests also WebKitWebDriver, Xvfb and D-Bus"
    }
}

/// Whether `/etc/os-release` describes Debian, Ubuntu or a system made from them.
fn uses_apt(release: &str) -> bool {
    let fields: HashMap<&str, &str> = release
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim().trim_matches(['"', '\''])))
        .collect();
    ["ID", "ID_LIKE"]
        .iter()
        .filter_map(|name| fields.get(name))
        .flat_map(|value| value.split_whitespace())
        .any(|id| id == "debian" || id == "ubuntu")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_ubuntu_and_what_is_made_from_them_use_apt() {
        assert!(uses_apt("ID=debian\nVERSION_ID=\"12\"\n"));
        assert!(uses_apt("NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n"));
        assert!(uses_apt("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!uses_apt("ID=fedora\n"));
        assert!(!uses_apt("ID=opensuse\nID_LIKE=\"suse debian-like\"\n"));
        assert!(!uses_apt(""));
    }
}
