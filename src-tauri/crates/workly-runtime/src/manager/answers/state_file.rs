//! A place for the checkpoints of one conversation, on their way from one worker to the next.

use std::path::PathBuf;
use std::sync::Arc;

/// On Linux a file in memory that has no name, so that nothing of the conversation stays behind when Workly is killed.
/// Workers reach it through this process's descriptors. Elsewhere a private file in the system's folder for temporary
/// files. It is gone with its last clone.
#[derive(Debug, Clone)]
pub(crate) struct StateFile(Option<Arc<Held>>);

#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Held(std::os::fd::OwnedFd);

#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Held(tempfile::TempDir);

impl StateFile {
    /// An empty one. Where the system has none to give, the next worker computes the tokens anew.
    pub(crate) fn new() -> Self {
        Self(Held::new().inspect_err(|error| tracing::warn!("no file for a saved state: {error}")).ok().map(Arc::new))
    }

    /// Where workers of this program find it.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.as_ref().map(|held| held.path()).unwrap_or_default()
    }
}

impl StateFile {
    /// Empties it, because memory is short: whoever writes to it saves no more.
    pub(crate) fn give_up(&self) {
        let path = self.path();
        let emptied = std::fs::OpenOptions::new().write(true).truncate(true).open(path);
        if let Err(error) = emptied {
            tracing::warn!("checkpoints cannot be given up: {error}");
        }
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let Some(held) = self.0.take() else { return };
        // Giving gigabytes back takes a moment that the manager's task does not have.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(held))),
            Err(_) => drop(held),
        }
    }
}

#[cfg(target_os = "linux")]
impl Held {
    fn new() -> std::io::Result<Self> {
        use rustix::fs::{MemfdFlags, memfd_create};
        Ok(Self(memfd_create("workly-kv-cache", MemfdFlags::CLOEXEC)?))
    }

    fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd as _;
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}

#[cfg(not(target_os = "linux"))]
impl Held {
    fn new() -> std::io::Result<Self> {
        tempfile::Builder::new().prefix("workly-kv-cache-").tempdir().map(Self)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("state")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_written_under_its_path_is_read_there_and_has_no_name_anywhere() {
        let file = StateFile::new();
        std::fs::write(file.path(), b"kept").unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), b"kept");
        let target = std::fs::read_link(file.path()).unwrap();
        assert!(target.to_string_lossy().contains("memfd:workly-kv-cache"), "{target:?}");
        let path = file.path();
        drop(file);
        assert!(std::fs::read(path).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_it_holds_is_given_back_where_nobody_waits() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            // The one thread there is for that is busy.
            let (ends, busy) = std::sync::mpsc::channel::<()>();
            let thread = tokio::task::spawn_blocking(move || busy.recv());
            let file = StateFile::new();
            let path = file.path();
            drop(file);
            assert!(std::fs::metadata(path).is_ok(), "it was given back by the task itself");
            drop(ends);
            let _ = thread.await;
        });
    }
}
