//! System packages on Debian 12 and 13 and Ubuntu 24.04 (the names are the same on all three).

use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Found, begin};
use crate::machine::Machine;
use crate::shell;

/// What building, running and testing need.
pub(super) const PACKAGES: &[&str] = &[
    // llama.cpp and its Vulkan backend.
    "build-essential",
    "cmake",
    "pkg-config",
    "libclang-dev",
    "glslc",
    "spirv-headers",
    "libvulkan-dev",
    "libvulkan1",
    "mesa-vulkan-drivers",
    // The window and the tray.
    "libwebkit2gtk-4.1-dev",
    "librsvg2-dev",
    "libayatana-appindicator3-dev",
    // The window under test, without a screen.
    "webkit2gtk-driver",
    "xvfb",
    "xauth",
    "dbus",
    "dbus-x11",
    "fonts-dejavu-core",
];

/// Wait this many seconds for another package tool (unattended upgrades) to finish.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=300";

pub(super) fn ensure(machine: &mut Machine) -> Result<Found> {
    let mut wanted: Vec<&str> = PACKAGES.to_vec();
    // The system's Python comes without pip; any other Python brings its own.
    match machine.find("python3") {
        None => wanted.extend(["python3", "python3-pip"]),
        Some(python) if python.starts_with("/usr/bin") => wanted.push("python3-pip"),
        Some(_) => {}
    }
    let missing = missing(&wanted, &installed(machine, &wanted)?);
    if missing.is_empty() {
        return Ok(Found::There);
    }
    begin(&format!("system packages to install: {}", missing.join(" ")));
    let privilege = Privilege::of_this_user(machine);
    if let Privilege::None(reason) = privilege {
        bail!("{reason}. Run this as root:\n  {}", by_hand(&missing));
    }
    let mut update = apt_get(machine, &privilege, &["update"]);
    let mut install = apt_get(machine, &privilege, &install_arguments(&missing));
    if matches!(privilege, Privilege::Sudo) {
        println!("  Installing needs administrator rights. This will run:");
        println!("    {}\n    {}", shell::describe(&update), shell::describe(&install));
        // Asks for the password, on the terminal itself, before any output is captured.
        shell::stream(machine.command("sudo").arg("--validate"))?;
    }
    if let Err(error) = shell::with_progress(&mut update) {
        // One broken archive of another project must not stop what may well be installable.
        println!("  The package lists could not all be refreshed; installing with those there are.\n{error}");
    }
    shell::with_progress(&mut install)?;
    Ok(Found::Missing)
}

/// The wanted packages that are fully installed.
fn installed(machine: &Machine, wanted: &[&str]) -> Result<HashSet<String>> {
    // The exit status is 1 as soon as one package is unknown: the list is what counts.
    let output = machine
        .command("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\\n"])
        .args(wanted)
        .stderr(Stdio::null())
        .output()
        .context("cannot start dpkg-query")?;
    Ok(parse_installed(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_installed(listing: &str) -> HashSet<String> {
    listing
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, status)| *status == "installed")
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn missing<'a>(wanted: &[&'a str], installed: &HashSet<String>) -> Vec<&'a str> {
    wanted.iter().copied().filter(|name| !installed.contains(*name)).collect()
}

fn install_arguments<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    ["install", "--yes", "--no-install-recommends"].into_iter().chain(packages.iter().copied()).collect()
}

/// How packages can be installed by the user who started this.
enum Privilege {
    Root,
    Sudo,
    /// Not at all, and why.
    None(&'static str),
}

impl Privilege {
    fn of_this_user(machine: &Machine) -> Self {
        if is_root(machine) {
            return Self::Root;
        }
        if machine.find("sudo").is_none() {
            return Self::None("this user is not root and there is no sudo");
        }
        let without_password = machine
            .command("sudo")
            .args(["--non-interactive", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if without_password || io::stdin().is_terminal() {
            Self::Sudo
        } else {
            Self::None("sudo wants a password and there is no terminal to ask for it")
        }
    }
}

#[cfg(unix)]
fn is_root(machine: &Machine) -> bool {
    use std::os::unix::fs::MetadataExt;
    // The owner of our own process entry is the effective user.
    Path::new("/proc/self").metadata().map_or_else(
        |_| shell::capture(machine.command("id").arg("-u")).is_ok_and(|id| id.trim() == "0"),
        |data| data.uid() == 0,
    )
}

#[cfg(not(unix))]
fn is_root(_machine: &Machine) -> bool {
    false
}

fn apt_get(machine: &Machine, privilege: &Privilege, arguments: &[&str]) -> Command {
    let mut command = if matches!(privilege, Privilege::Sudo) {
        let mut command = machine.command("sudo");
        // sudo drops the environment, so the variable is set behind it.
        command.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    } else {
        let mut command = machine.command("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    command.args(["-o", LOCK_TIMEOUT]).args(arguments);
    command
}

fn by_hand(packages: &[&str]) -> String {
    format!("apt-get update && apt-get {}", install_arguments(packages).join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fully_installed_packages_count() {
        let listing = "cmake installed\nxvfb config-files\ndbus not-installed\nglslc installed\n";
        let present = parse_installed(listing);
        assert_eq!(missing(&["cmake", "xvfb", "dbus", "glslc", "xauth"], &present), ["xvfb", "dbus", "xauth"]);
    }

    #[test]
    fn recommended_packages_stay_away() {
        assert_eq!(install_arguments(&["cmake"]).join(" "), "install --yes --no-install-recommends cmake");
    }
}
