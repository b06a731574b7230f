//! Watching the file for edits from outside.
//!
//! The folder is watched, not the file: editors that write a new file and rename it over the old one would be lost
//! otherwise. An edit is told once it has been quiet for a moment, because editors write in several steps.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// How long the file must be quiet before it is read.
const QUIET: Duration = Duration::from_millis(150);
/// The longest an edit waits for quiet.
const AT_MOST: Duration = Duration::from_secs(2);
/// Time between two looks where the system tells of no changes.
const POLL: Duration = Duration::from_secs(2);

/// Tells of edits to one file. Dropping it ends the watch.
pub struct SettingsWatch {
    _watcher: Box<dyn Watcher + Send + Sync>,
    edits: mpsc::Receiver<()>,
}

impl SettingsWatch {
    /// Watches a file that need not exist; its folder must.
    ///
    /// # Errors
    ///
    /// When the system can watch nothing there.
    pub fn start(path: &Path) -> notify::Result<Self> {
        let (sender, edits) = mpsc::channel(1);
        let places = places(path);
        let names: Vec<OsString> = places.iter().filter_map(|place| place.file_name().map(Into::into)).collect();
        let handler = move |event: notify::Result<Event>| {
            let concerns = match &event {
                // Being opened and read, by ourselves for instance, is no edit.
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
                Ok(event) => {
                    event.paths.iter().any(|path| path.file_name().is_some_and(|name| names.iter().any(|n| n == name)))
                }
                // Something may have been missed.
                Err(_) => true,
            };
            if concerns {
                // One waiting edit stands for all that come before it is taken.
                let _ = sender.try_send(());
            }
        };
        let watcher = begin::<RecommendedWatcher>(handler.clone(), &places, Config::default()).or_else(|error| {
            tracing::warn!(%error, "the system tells of no edits; looking every {} s", POLL.as_secs());
            begin::<PollWatcher>(handler, &places, Config::default().with_poll_interval(POLL))
        })?;
        Ok(Self { _watcher: watcher, edits })
    }

    /// Waits for an edit, and until it has been quiet since; `None` once nothing is watched any more.
    pub async fn edited(&mut self) -> Option<()> {
        self.edits.recv().await?;
        let latest = Instant::now() + AT_MOST;
        while let Ok(Some(())) = timeout_at(latest.min(Instant::now() + QUIET), self.edits.recv()).await {}
        Some(())
    }
}

/// The file, and what it points to where it is a link.
fn places(path: &Path) -> Vec<PathBuf> {
    let target = path.canonicalize().ok().filter(|target| target != path);
    [path.to_path_buf()].into_iter().chain(target).collect()
}

fn begin<W: Watcher + Send + Sync + 'static>(
    handler: impl notify::EventHandler,
    places: &[PathBuf],
    config: Config,
) -> notify::Result<Box<dyn Watcher + Send + Sync>> {
    let mut watcher = W::new(handler, config)?;
    let mut folders: Vec<&Path> = places.iter().filter_map(|place| place.parent()).collect();
    folders.dedup();
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(Box::new(watcher))
}

impl std::fmt::Debug for SettingsWatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SettingsWatch").finish_non_exhaustive()
    }
}
