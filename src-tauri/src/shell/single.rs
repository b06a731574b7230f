//! One program for one data folder: a lock on the folder decides, and the session bus brings the first one's window to
//! the front. Either may be missing: a system without a bus, a folder that cannot be locked.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tauri::Wry;
use tauri::plugin::TauriPlugin;

use crate::shell::actions::{self, Action};
#[cfg(target_os = "linux")]
use crate::shell::messages::{Words, language_of};

/// Name of the locked file, in the data folder.
const LOCK: &str = "desktop.lock";

/// A program that was killed leaves the lock to what it was just starting, for a moment.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// What this program found when it started.
pub(crate) struct Claim {
    /// Held until the process ends; none where there is nothing to lock.
    lock: Option<File>,
    /// Whether another program has the folder.
    taken: bool,
    /// Name on the session bus.
    name: String,
}

/// Another program has the data folder, and it could not be asked to show itself.
#[derive(Debug)]
pub(crate) struct AlreadyRuns;

impl fmt::Display for AlreadyRuns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("another Workly runs with this data folder")
    }
}

impl Claim {
    /// Takes the folder, if no other program has it.
    pub(crate) fn take(folder: Option<&Path>) -> Self {
        let name = instance_name(folder);
        let locked = folder.map(|folder| lock(&folder.join(LOCK), &name));
        match locked {
            Some(Ok(lock)) => Self { lock: Some(lock), taken: false, name },
            Some(Err(TryLockError::WouldBlock)) => Self { lock: None, taken: true, name },
            // A file system without locks: the bus decides alone.
            Some(Err(TryLockError::Error(_))) | None => Self { lock: None, taken: false, name },
        }
    }

    /// Where another program has the folder, it is asked to show its window, and this one ends. Else this one shows its
    /// window when it is asked to. None where there is nobody to ask, and where a program that has nothing to do with our
    /// folder has the name on the bus: that is no reason not to start.
    pub(crate) fn plugin(&self) -> Option<TauriPlugin<Wry>> {
        let is_of_use =
            if self.taken { somebody_listens(&self.name) } else { self.lock.is_none() || is_free(&self.name) };
        is_of_use.then(|| {
            tauri_plugin_single_instance::Builder::new()
                .dbus_id(&self.name)
                .callback(|app, _, _| actions::perform(app, Action::Show))
                .build()
        })
    }

    /// Says that another program has the folder, where this one is still here although it was to ask that one; `quietly`
    /// without a dialog. Keep the claim for as long as the program runs.
    ///
    /// # Errors
    ///
    /// Where another program has the folder.
    pub(crate) fn check(&self, quietly: bool) -> Result<(), AlreadyRuns> {
        if !self.taken {
            return Ok(());
        }
        if !quietly {
            say_it_runs();
        }
        Err(AlreadyRuns)
    }
}

/// Takes the lock; one that nobody answers for is waited for, but not for long.
fn lock(path: &Path, name: &str) -> Result<File, TryLockError> {
    let until = Instant::now() + LEFT_BEHIND;
    loop {
        match try_lock(path) {
            Err(TryLockError::WouldBlock) if Instant::now() < until && !somebody_listens(name) => {
                thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

fn try_lock(path: &Path) -> Result<File, TryLockError> {
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

/// A name for the session bus, the same for every spelling of a data folder, and from one version to the next.
fn instance_name(folder: Option<&Path>) -> String {
    let base = "app.workly.desktop";
    let Some(folder) = folder else { return base.to_owned() };
    let folder = folder.canonicalize().or_else(|_| std::path::absolute(folder)).unwrap_or_else(|_| folder.to_owned());
    let digest = ring::digest::digest(&ring::digest::SHA256, folder.as_os_str().as_encoded_bytes());
    let short = digest.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    format!("{base}.d{short:016x}")
}

#[cfg(target_os = "linux")]
fn somebody_listens(name: &str) -> bool {
    is_owned(name).unwrap_or(false)
}

/// Elsewhere the plugin finds out by itself.
#[cfg(not(target_os = "linux"))]
fn somebody_listens(_: &str) -> bool {
    true
}

fn is_free(name: &str) -> bool {
    !cfg!(target_os = "linux") || !somebody_listens(name)
}

/// Whether a program has the name on the session bus; none where there is no bus.
#[cfg(target_os = "linux")]
fn is_owned(name: &str) -> Option<bool> {
    let connection = zbus::blocking::Connection::session().ok()?;
    let bus = zbus::blocking::fdo::DBusProxy::new(&connection).ok()?;
    bus.name_has_owner(format!("{name}.SingleInstance").try_into().ok()?).ok()
}

/// Says in a dialog why nothing opens.
#[cfg(target_os = "linux")]
fn say_it_runs() {
    use gtk::prelude::{DialogExt as _, GtkWindowExt as _};
    let words = Words::of(language_of("system"));
    let (parent, flags) = (None::<&gtk::Window>, gtk::DialogFlags::empty());
    let dialog = gtk::MessageDialog::new(parent, flags, gtk::MessageType::Info, gtk::ButtonsType::Close, words.runs);
    dialog.set_title("Workly");
    dialog.run();
}

#[cfg(not(target_os = "linux"))]
fn say_it_runs() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_folder_has_the_same_name_and_every_folder_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::create_dir(&one).unwrap();
        let of = |folder: &Path| instance_name(Some(folder));
        assert_eq!(of(&one), of(&one.join("../one/")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&one, folder.path().join("link")).unwrap();
            assert_eq!(of(&one), of(&folder.path().join("link")));
        }
        assert_ne!(of(&one), of(&two));
        // The parts of a bus name are separated by dots, and none begins with a digit.
        let name = of(&one);
        assert!(name.split('.').all(|part| part.starts_with(|first: char| first.is_ascii_alphabetic())), "{name}");
    }

    #[test]
    fn the_name_of_a_folder_stays_the_same_from_one_version_to_the_next() {
        assert_eq!(instance_name(Some(Path::new("/no/such/folder"))), "app.workly.desktop.d1237cdc01b21d3ec");
    }

    #[test]
    fn a_folder_is_taken_once_and_free_again_when_its_program_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Claim::take(Some(folder.path()));
        assert!(first.lock.is_some() && !first.taken);
        let second = Claim::take(Some(folder.path()));
        assert!(second.lock.is_none() && second.taken);
        drop(first);
        assert!(!Claim::take(Some(folder.path())).taken);
    }
}
