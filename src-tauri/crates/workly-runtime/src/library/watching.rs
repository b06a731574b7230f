//! Watching the searched folders, so that a model that comes or goes is seen at once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::apps::Place;
use super::scan::is_model_file;
use super::task::Order;

/// The watch over all folders. Dropping it ends the watch.
pub(super) struct Watching {
    watcher: Option<RecommendedWatcher>,
    /// The folders, and whether each was there.
    folders: BTreeMap<PathBuf, bool>,
}

impl Watching {
    /// Nothing is watched yet. Where the system can watch nothing, folders are searched when somebody asks.
    pub(super) fn start(orders: Sender<Order>) -> Self {
        let told = move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, concerns) {
                let _ = orders.send(Order::Changed);
            }
        };
        let watcher = notify::recommended_watcher(told);
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "folders of models cannot be watched")).ok();
        Self { watcher, folders: BTreeMap::new() }
    }

    /// Watches these folders and no others. Tells whether one of them has come, or is gone.
    pub(super) fn follow(&mut self, places: &[Place]) -> bool {
        let now: BTreeMap<PathBuf, bool> =
            places.iter().map(|place| (place.folder.clone(), place.folder.is_dir())).collect();
        if now == self.folders {
            return false;
        }
        let Some(watcher) = &mut self.watcher else {
            self.folders = now;
            return true;
        };
        for (folder, was_there) in &self.folders {
            if *was_there && now.get(folder) != Some(&true) {
                let _ = watcher.unwatch(folder);
            }
        }
        for (folder, is_there) in &now {
            if *is_there
                && self.folders.get(folder) != Some(&true)
                && let Err(error) = watcher.watch(folder, RecursiveMode::Recursive)
            {
                tracing::warn!(folder = %folder.display(), %error, "this folder cannot be watched");
            }
        }
        self.folders = now;
        true
    }
}

/// Whether an event may mean that a model came, went or changed. What a download writes has another name until it is
/// whole, and being read is no change.
fn concerns(event: &Event) -> bool {
    let may_be_a_model = |path: &PathBuf| is_model_file(path) || has_no_ending(path);
    !matches!(event.kind, EventKind::Access(_)) && (event.paths.is_empty() || event.paths.iter().any(may_be_a_model))
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
