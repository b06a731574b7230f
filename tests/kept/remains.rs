//! What lies on the disk and in memory when a program is gone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use workly_store::DATABASE;

use crate::sound;

/// Looks at what a program left in its data folder, without changing it.
pub(crate) fn assert_sound(data: &Path) {
    let copy = tempfile::tempdir().unwrap();
    for part in ["", "-wal"] {
        let name = format!("{DATABASE}{part}");
        if data.join(&name).exists() {
            fs::copy(data.join(&name), copy.path().join(&name)).unwrap();
        }
    }
    sound::assert_sound(copy.path());
}

/// Nobody else can read anything in the folder.
pub(crate) fn assert_private(data: &Path) {
    let mut left = vec![data.to_owned()];
    while let Some(path) = left.pop() {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if about.is_dir() || about.is_file() {
            let mode = about.permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
        }
    }
}

/// Memory that programs share by name, where a worker's state could stay.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SharedMemory(BTreeSet<String>);

impl SharedMemory {
    /// What is there now. The page's engine keeps its own things there, and names them.
    pub(crate) fn now() -> Self {
        let names = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        Self(names.filter(|name| !name.to_lowercase().contains("webkit")).collect())
    }

    /// Nothing has come since.
    pub(crate) fn assert_nothing_new(&self) {
        let now = Self::now();
        let new: Vec<_> = now.0.difference(&self.0).collect();
        assert!(new.is_empty(), "in /dev/shm: {new:?}");
    }
}
