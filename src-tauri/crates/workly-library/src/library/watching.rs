//! Watching the folders that were searched, so that a model that comes or goes is seen at once.
//!
//! Each folder is watched by itself and not with all below it: somebody may well add a whole home folder, and a system
//! has only so many watches for all programs together.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use notify::event::{ModifyKind, RemoveKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::scan::is_model_file;

/// Folders that are watched at the most.
const MOST_FOLDERS: usize = 2_048;

/// The watch over all folders. Dropping it ends the watch.
pub(super) struct Watching {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watching {
    /// Nothing is watched yet. `changed` is called when a model may have come, gone or changed. Where the system can watch
    /// nothing, folders are searched when somebody asks.
    pub(super) fn start(changed: impl Fn() + Send + 'static) -> Self {
        let told = move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, concerns) {
                changed();
            }
        };
        let watcher = notify::recommended_watcher(told);
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "folders of models cannot be watched")).ok();
        Self { watcher, folders: BTreeSet::new() }
    }

    /// Watches these folders and no others. Tells whether one was added.
    pub(super) fn follow(&mut self, folders: &BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let gone: Vec<PathBuf> = self.folders.difference(folders).cloned().collect();
        for folder in gone {
            // One that is gone from the disk is watched no more already.
            let _ = watcher.unwatch(&folder);
            self.folders.remove(&folder);
        }
        let room = MOST_FOLDERS.saturating_sub(self.folders.len());
        let new: Vec<PathBuf> = folders.difference(&self.folders).take(room).cloned().collect();
        let mut added = false;
        for folder in new {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder);
                    added = true;
                }
                Err(error) => tracing::warn!(folder = %folder.display(), %error, "this folder cannot be watched"),
            }
        }
        added
    }
}

/// Whether an event may mean that a model came, went or changed. What a download writes has another name until it is
/// whole, and being read is no change.
fn concerns(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(_) => false,
        EventKind::Remove(RemoveKind::Folder | RemoveKind::Other | RemoveKind::Any)
        | EventKind::Modify(ModifyKind::Name(_)) => true,
        _ => event.paths.is_empty() || event.paths.iter().any(|path| is_model_file(path) || has_no_ending(path)),
    }
}

/// Folders, Ollama's blobs and its manifests.
fn has_no_ending(path: &Path) -> bool {
    path.extension().is_none_or(OsStr::is_empty) || path.is_dir()
}

impl fmt::Debug for Watching {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Watching").field("folders", &self.folders).finish_non_exhaustive()
    }
}
