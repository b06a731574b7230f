//! Folders and files that nobody else on the machine can read: what a person says to a model is nobody else's business.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a folder that only its owner can enter (0700), and repairs the mode of one that is there. One of another owner
/// is left as it is.
///
/// # Errors
///
/// When it cannot be made, or something else is in its place.
pub fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    repair(path, 0o700);
    Ok(())
}

/// Whatever this program makes from here on, only its owner can read. For the first line of a program.
pub fn private_umask() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Opens a file that only its owner can read (0600), makes it where there is none, and repairs the mode of one that is
/// there. What is in it stays.
///
/// # Errors
///
/// When it can be neither opened nor made.
pub fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    repair(path, 0o600);
    Ok(file)
}

/// Takes what group and others may do away. A file system without modes, or another owner, is no reason to stop.
#[cfg(unix)]
fn repair(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let is_open = path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o777 & !mode != 0);
    if is_open && let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(mode)) {
        tracing::warn!("{} can be read by others: {error}", path.display());
    }
}

#[cfg(not(unix))]
fn repair(_: &Path, _: u32) {}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_others_could_read_is_closed_to_them_and_keeps_its_content() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("new/workly");
        private_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.join("said");
        fs::write(&file, "something").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        private_folder(&folder).unwrap();
        drop(private_file(&file).unwrap());
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read(&file).unwrap(), b"something");
        assert!(private_folder(&file).is_err(), "a file is in the way");
    }
}
