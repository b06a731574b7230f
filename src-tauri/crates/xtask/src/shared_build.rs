//! The build folder that all checkouts of this user share.
//!
//! Cargo tells the crates of two checkouts apart by file times alone: after one checkout was built, an older one would
//! be given the other's programs, with the other's paths in them. So the folder remembers whose crates it holds, and a
//! checkout that takes it over makes its own sources look new.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::machine::{self, Machine};
use crate::shell;

/// The folders with this workspace's Rust sources.
const SOURCES: [&str; 2] = ["src-tauri", "tests"];

/// Takes the shared build folder over for this checkout, unless it was the last one to build there.
pub(crate) fn take_over(machine: &Machine) -> Result<()> {
    let output = shell::capture(machine.cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&output).context("cargo metadata is not JSON")?;
    let Some(folder) = metadata.get("build_directory").and_then(Value::as_str).map(PathBuf::from) else {
        return Ok(());
    };
    claim(&folder, &machine.root)
}

/// Marks the build folder as holding the crates of the checkout at `root`; new to it, all its sources count as changed.
fn claim(folder: &Path, root: &Path) -> Result<()> {
    let marker = folder.join("checkout");
    let owner = root.display().to_string();
    if fs::read_to_string(&marker).is_ok_and(|last| last == owner) {
        return Ok(());
    }
    let now = SystemTime::now();
    for sources in SOURCES {
        renew(&root.join(sources), now)?;
    }
    machine::write_if_changed(&marker, &owner)?;
    Ok(())
}

/// Sets the time of every Rust source under a folder.
fn renew(folder: &Path, now: SystemTime) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            renew(&path, now)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let touched = File::options().append(true).open(&path).and_then(|file| file.set_modified(now));
            touched.with_context(|| format!("cannot renew {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("workly-shared-build-{}-{name}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        for sources in SOURCES {
            fs::create_dir_all(folder.join(sources).join("deep")).unwrap();
        }
        folder
    }

    #[test]
    fn the_checkout_that_built_last_keeps_its_times_and_another_is_renewed() {
        let (folder, root) = (scratch("folder"), scratch("root"));
        let source = root.join("src-tauri/deep/lib.rs");
        fs::write(&source, "").unwrap();
        let old = SystemTime::now() - Duration::from_hours(1);
        let age = || File::options().append(true).open(&source).and_then(|file| file.set_modified(old)).unwrap();
        let is_old = || fs::metadata(&source).unwrap().modified().unwrap() < old + Duration::from_mins(1);
        age();
        claim(&folder, &root).unwrap();
        assert!(!is_old(), "the folder held another checkout's crates");
        age();
        claim(&folder, &root).unwrap();
        assert!(is_old(), "it holds this one's now");
        claim(&folder, Path::new("/elsewhere")).unwrap_err();
        fs::remove_dir_all(folder).unwrap();
        fs::remove_dir_all(root).unwrap();
    }
}
