//! One program for one folder, whatever its spelling and whether there is a session bus.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use workly_files::places::{private_file, private_folder};

/// Name of the locked file inside Workly's folder; its content means nothing.
const LOCK: &str = "lock";

/// The right to work in a folder; given back when it is dropped, and by the system when the program ends.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    /// `None` on a file system that has no locks.
    _file: Option<File>,
}

/// Why a folder cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum Held {
    /// Another program works in it.
    #[error("another Workly works in this folder")]
    ByAnother,
    /// It cannot be made or written.
    #[error("{folder}: {error}", folder = .folder.display())]
    Unavailable {
        /// The folder.
        folder: PathBuf,
        /// What the system reported.
        error: io::Error,
    },
}

impl FolderLock {
    /// Makes the folder where there is none, closes it to others, and takes it for this program.
    ///
    /// # Errors
    ///
    /// When another program has it, or it cannot be made or written.
    pub fn take(folder: &Path) -> Result<Self, Held> {
        let unavailable = |error| Held::Unavailable { folder: folder.to_path_buf(), error };
        private_folder(folder).map_err(unavailable)?;
        // The lock is the file's, so that a link to the folder is the same folder.
        let folder = folder.canonicalize().map_err(unavailable)?;
        let file = private_file(&folder.join(LOCK)).map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { folder, _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(Held::ByAnother),
            Err(TryLockError::Error(error)) => {
                tracing::warn!("{} cannot be locked: {error}", folder.display());
                Ok(Self { folder, _file: None })
            }
        }
    }

    /// The folder, without links.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
