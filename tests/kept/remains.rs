//! What lies on the disk and in memory when a program is gone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use workly_store::DATABASE;

use crate::sound;

/// How often, and after which time, something that is new in shared memory is looked for again.
const LOOKS: u32 = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a program left in its data folder is sound and private, and nothing new stays in memory that programs share.
pub(crate) fn assert_clean(data: &Path, shared: &SharedMemory) {
    assert_sound(data);
    assert_private(data);
    shared.assert_nothing_new();
}

/// Looks at what is in a data folder, without changing it.
fn assert_sound(data: &Path) {
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
fn assert_private(data: &Path) {
    let mut left = vec![data.to_owned()];
    while let Some(path) = left.pop() {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if about.is_dir() || about.is_file() {
            let (mode, expected) = (about.permissions().mode() & 0o777, if about.is_dir() { 0o700 } else { 0o600 });
            assert_eq!(mode, expected, "{} is {mode:o}", path.display());
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

    /// Nothing has come since, or not to stay: other programs have things there for a moment.
    fn assert_nothing_new(&self) {
        let mut new = Self::now().0;
        new.retain(|name| !self.0.contains(name));
        let mut looks = 0;
        while !new.is_empty() && looks < LOOKS {
            std::thread::sleep(LOOK_AGAIN);
            let now = Self::now().0;
            new.retain(|name| now.contains(name));
            looks += 1;
        }
        assert!(new.is_empty(), "in /dev/shm: {new:?}");
    }
}
