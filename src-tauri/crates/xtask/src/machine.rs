//! Where things are on this machine: the checkout, the user's cache, and programs fetched for this project alone.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell;

const SCRATCH_PREFIX: &str = "scratch-";
const SCRATCH_LIFETIME: Duration = Duration::from_hours(24);

/// The checkout and the folders this user's machine offers to it.
pub(crate) struct Machine {
    /// The repository's root folder.
    pub(crate) root: PathBuf,
    /// Workly's folder in the user's cache: shared by every checkout, safe to delete at any time.
    pub(crate) cache: PathBuf,
    /// Folders searched before `PATH` by programs started from here.
    extra_path: Vec<PathBuf>,
}

impl Machine {
    /// The machine as the environment describes it.
    pub(crate) fn of_this_user() -> Result<Self> {
        // Asked at run time: checkouts share compiled programs, so the folder this was compiled in may be another one.
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").context("start this as `cargo xtask`")?;
        let root = Path::new(&folder)
            .ancestors()
            .nth(3)
            .context("xtask lies three folders below the repository's root")?
            .to_path_buf();
        let Some(cache) = user_cache(|name| std::env::var_os(name)) else {
            bail!("no folder for caches: set HOME (or XDG_CACHE_HOME) and run again");
        };
        Ok(Self { root, cache: cache.join("workly"), extra_path: Vec::new() })
    }

    /// Lets programs in `folder` be found, before those of `PATH`.
    pub(crate) fn add_to_path(&mut self, folder: PathBuf) {
        if !self.extra_path.contains(&folder) {
            self.extra_path.push(folder);
        }
    }

    /// The full path of a program, as a command of this machine would find it.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        shell::find_in(program, self.search_path())
    }

    /// A command in the repository's root, with this machine's search path.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = match self.find(program) {
            Some(path) => Command::new(path),
            None => Command::new(program),
        };
        shell::leave_cargo_run(&mut command);
        command.current_dir(&self.root);
        if let Ok(path) = std::env::join_paths(self.search_path()) {
            command.env("PATH", path);
        }
        command
    }

    /// The cargo that started this program, in the repository's root.
    pub(crate) fn cargo(&self) -> Command {
        match std::env::var_os("CARGO") {
            Some(cargo) => self.command(&cargo.to_string_lossy()),
            None => self.command("cargo"),
        }
    }

    /// A new empty folder in the cache, on the same file system as what will be moved out of it.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        Scratch::within(&self.cache)
    }

    fn search_path(&self) -> impl Iterator<Item = PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let inherited: Vec<PathBuf> = std::env::split_paths(&path).collect();
        self.extra_path.clone().into_iter().chain(inherited)
    }
}

/// The user's cache folder: `XDG_CACHE_HOME`, else what the system uses.
fn user_cache(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA").filter(|_| cfg!(windows)))
        .or_else(|| Some(folder("HOME")?.join(".cache")))
}

/// A folder that is removed when this value is dropped, unless it was moved away before.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn within(parent: &Path) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        remove_abandoned(parent);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{SCRATCH_PREFIX}{}-{number}", std::process::id()));
        remove(&path)?;
        fs::create_dir_all(&path).with_context(|| format!("cannot create the folder {}", path.display()))?;
        Ok(Self { path })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder's content appear at `target` in one step, in place of what was there.
    pub(crate) fn move_to(self, target: &Path) -> Result<()> {
        remove(target)?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(&self.path, target)
            .with_context(|| format!("cannot move the finished folder to {}", target.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left-overs in a cache do no harm; there is nobody to tell here.
        let _ = remove(&self.path);
    }
}

/// Removes scratch folders of runs that were killed; one in use is never a day old.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let is_scratch = entry.file_name().to_string_lossy().starts_with(SCRATCH_PREFIX);
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
        if is_scratch && age.is_some_and(|age| age > SCRATCH_LIFETIME) {
            let _ = remove(&entry.path());
        }
    }
}

/// Removes a file or folder; that it is not there is no error.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file only when its content would change, so that nothing is rebuilt for a newer date.
pub(crate) fn write_if_changed(path: &Path, content: &str) -> Result<bool> {
    if fs::read_to_string(path).is_ok_and(|present| present == content) {
        return Ok(false);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    }

    #[cfg(unix)]
    #[test]
    fn the_cache_folder_follows_the_environment() {
        assert_eq!(
            user_cache(with(&[("XDG_CACHE_HOME", "/x/cache"), ("HOME", "/home/a")])),
            Some(PathBuf::from("/x/cache"))
        );
        assert_eq!(
            user_cache(with(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/home/a")])),
            Some(PathBuf::from("/home/a/.cache"))
        );
        assert_eq!(user_cache(with(&[])), None);
    }

    #[test]
    fn a_scratch_folder_disappears_unless_it_is_moved_away() -> Result<()> {
        let parent = std::env::temp_dir().join(format!("workly-scratch-test-{}", std::process::id()));
        let dropped = Scratch::within(&parent)?;
        let dropped_path = dropped.path().to_path_buf();
        drop(dropped);
        assert!(!dropped_path.exists());

        let moved = Scratch::within(&parent)?;
        fs::write(moved.path().join("file"), "new")?;
        let target = parent.join("target");
        fs::create_dir_all(&target)?;
        fs::write(target.join("old"), "old")?;
        moved.move_to(&target)?;
        assert!(target.join("file").exists());
        assert!(!target.join("old").exists());
        fs::remove_dir_all(parent)?;
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn only_scratch_folders_of_long_ago_are_cleared_away() -> Result<()> {
        let parent = std::env::temp_dir().join(format!("workly-abandoned-test-{}", std::process::id()));
        for name in ["scratch-1-0", "scratch-2-0", "models"] {
            fs::create_dir_all(parent.join(name))?;
        }
        let long_ago = std::time::SystemTime::now() - SCRATCH_LIFETIME * 2;
        for name in ["scratch-1-0", "models"] {
            fs::File::open(parent.join(name))?.set_modified(long_ago)?;
        }
        remove_abandoned(&parent);
        assert!(!parent.join("scratch-1-0").exists());
        assert!(parent.join("scratch-2-0").exists());
        assert!(parent.join("models").exists());
        fs::remove_dir_all(parent)?;
        Ok(())
    }

    #[test]
    fn a_file_with_the_same_content_is_left_alone() -> Result<()> {
        let path = std::env::temp_dir().join(format!("workly-write-test-{}", std::process::id()));
        assert!(write_if_changed(&path, "one")?);
        assert!(!write_if_changed(&path, "one")?);
        assert!(write_if_changed(&path, "two")?);
        fs::remove_file(path)?;
        Ok(())
    }
}
