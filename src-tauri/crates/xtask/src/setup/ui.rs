//! The UI's packages and its build, each repeated only when what it is made from has changed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Found, begin};
use crate::machine::{Machine, remove, write_if_changed};
use crate::shell;

/// Stamps lie in `node_modules`: what lies in `dist` would be bundled into the program.
const PACKAGES_STAMP: &str = "node_modules/.workly-packages";
const BUILD_STAMP: &str = "node_modules/.workly-build";

/// Folders of `ui/` that are made, not written.
const GENERATED: &[&str] = &["node_modules", "dist", "coverage", "test-results"];

/// Runs npm in the UI's folder.
pub(crate) fn npm(machine: &Machine) -> Command {
    let mut command = machine.command("npm");
    command.current_dir(folder(machine));
    command
}

pub(super) fn ensure_packages(machine: &mut Machine) -> Result<Found> {
    let ui = folder(machine);
    let manifests = ["package.json", "package-lock.json"].map(|name| ui.join(name));
    if let Some(absent) = manifests.iter().find(|path| !path.exists()) {
        bail!("{} is missing: this checkout is not complete", absent.display());
    }
    let hash = hash_of(&ui, &manifests)?;
    let stamp = ui.join(PACKAGES_STAMP);
    if matches(&stamp, &hash) {
        return Ok(Found::There);
    }
    begin("UI packages");
    shell::with_progress(npm(machine).args(["ci", "--no-audit", "--no-fund"]))?;
    write_if_changed(&stamp, &hash)?;
    Ok(Found::Missing)
}

pub(super) fn ensure_build(machine: &mut Machine) -> Result<Found> {
    let ui = folder(machine);
    let mut sources = Vec::new();
    collect_sources(&ui, &mut sources)?;
    let hash = hash_of(&ui, &sources)?;
    let stamp = ui.join(BUILD_STAMP);
    if ui.join("dist/index.html").exists() && matches(&stamp, &hash) {
        return Ok(Found::There);
    }
    begin("UI build");
    remove(&stamp)?;
    shell::with_progress(npm(machine).args(["run", "build"]))?;
    if !ui.join("dist/index.html").exists() {
        bail!("`npm run build` ended well and left no ui/dist/index.html");
    }
    write_if_changed(&stamp, &hash)?;
    Ok(Found::Missing)
}

fn folder(machine: &Machine) -> PathBuf {
    machine.root.join("ui")
}

fn matches(stamp: &Path, hash: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|present| present == hash)
}

/// Every file the build may read, without tests and hidden files.
fn collect_sources(folder: &Path, sources: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if !GENERATED.contains(&name.as_str()) && !name.starts_with('.') {
                collect_sources(&entry.path(), sources)?;
            }
        } else if !name.contains(".test.") && !name.starts_with('.') {
            sources.push(entry.path());
        }
    }
    Ok(())
}

/// A hash over names and contents, the same in whatever order the files were found.
fn hash_of(base: &Path, files: &[PathBuf]) -> Result<String> {
    let mut files = files.to_vec();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.strip_prefix(base).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources_hash(folder: &Path) -> Result<String> {
        let mut sources = Vec::new();
        collect_sources(folder, &mut sources)?;
        hash_of(folder, &sources)
    }

    #[test]
    fn the_build_is_repeated_for_sources_and_not_for_what_is_made_from_them() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("workly-ui-test-{}", std::process::id()));
        fs::create_dir_all(folder.join("src"))?;
        fs::create_dir_all(folder.join("node_modules/x"))?;
        fs::write(folder.join("src/app.ts"), "1")?;
        let first = sources_hash(&folder)?;

        fs::write(folder.join("node_modules/x/index.js"), "2")?;
        fs::write(folder.join("src/app.test.ts"), "3")?;
        assert_eq!(sources_hash(&folder)?, first);

        fs::write(folder.join("src/app.ts"), "4")?;
        let changed = sources_hash(&folder)?;
        assert_ne!(changed, first);

        fs::rename(folder.join("src/app.ts"), folder.join("src/main.ts"))?;
        assert_ne!(sources_hash(&folder)?, changed);
        fs::remove_dir_all(folder)?;
        Ok(())
    }
}
