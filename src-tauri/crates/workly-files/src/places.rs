//! Where things lie: Workly's own data, the worker's program, the model that comes with Workly.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// File name of the model that comes with Workly.
pub const EMBEDDED_MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Everything Workly writes lies here: `WORKLY_DATA_DIR`, else the system's folder for application data.
///
/// `None` where the system has no such folder.
pub fn data_dir() -> Option<PathBuf> {
    match env::var_os("WORKLY_DATA_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => Some(folder.into()),
        None => dirs::data_dir().map(|folder| folder.join("workly")),
    }
}

/// Makes a folder that only its user can look into, and repairs one that others can: the folder and those below it get
/// mode 0700, files 0600, where they are ours. Links are not followed, and a file that has another name elsewhere, such
/// as a model that was imported without a copy, is left as it is.
///
/// # Errors
///
/// When the folder cannot be made, or its own mode not be repaired. What lies below is repaired as far as it can be.
pub fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        private::repair(&path.canonicalize()?)
    }
    #[cfg(not(unix))]
    builder.create(path)
}

/// Opens a file that only its user can read (0600), makes it where there is none, and repairs the mode of one that is
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
    #[cfg(unix)]
    private::repair_file(path)?;
    Ok(file)
}

/// Modes of Unix.
#[cfg(unix)]
mod private {
    use std::fs::{self, Metadata, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::Path;

    /// Everybody else's part of a mode.
    const OTHERS: u32 = 0o077;

    pub(super) fn repair(folder: &Path) -> io::Result<()> {
        let owner = rustix::process::geteuid().as_raw();
        close(folder, &fs::symlink_metadata(folder)?, owner)?;
        for entry in fs::read_dir(folder)?.flatten() {
            repair_below(&entry.path(), owner);
        }
        Ok(())
    }

    pub(super) fn repair_file(path: &Path) -> io::Result<()> {
        close(path, &fs::metadata(path)?, rustix::process::geteuid().as_raw())
    }

    fn repair_below(path: &Path, owner: u32) {
        let Ok(about) = fs::symlink_metadata(path) else { return };
        let is_ours_alone = about.is_file() && about.nlink() == 1;
        if !is_ours_alone && !about.is_dir() {
            return;
        }
        if let Err(error) = close(path, &about, owner) {
            tracing::warn!(path = %path.display(), %error, "others can read it");
        }
        if about.is_dir() {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                repair_below(&entry.path(), owner);
            }
        }
    }

    fn close(path: &Path, about: &Metadata, owner: u32) -> io::Result<()> {
        let mode = about.mode() & 0o7777;
        if about.uid() != owner || mode & OTHERS == 0 {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS))
    }
}

/// The program that holds models: `workly-cli`, beside the running program.
///
/// # Errors
///
/// When the running program's own place is unknown.
pub fn worker_program() -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(format!("workly-cli{}", env::consts::EXE_SUFFIX)))
}

/// The model that comes with Workly: in the given folder of bundled resources, beside the program, in the
/// installation's library folder, or in the checkout that the program was built from.
pub fn embedded_model(resources: Option<&Path>) -> Option<PathBuf> {
    let program = env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    // A program of the development profile lies in `target/debug` of its checkout, or of a target folder elsewhere.
    let around = beside.and_then(|folder| folder.ancestors().nth(2)).map(Path::to_path_buf);
    let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    [
        resources.map(Path::to_path_buf),
        beside.map(Path::to_path_buf),
        beside.map(|folder| folder.join("../lib/workly")),
        around,
    ]
    .into_iter()
    .flatten()
    .chain([checkout.canonicalize().unwrap_or_else(|_| checkout.to_path_buf())])
    .map(|folder| folder.join("models").join(EMBEDDED_MODEL))
    .find(|path| path.is_file())
}

/// Writes a new file named after the time, such as `workly-gpu-20251114-100000.csv`; nothing is overwritten.
///
/// # Errors
///
/// When the folder cannot be written to.
pub fn write_new(folder: &Path, stem: &str, ending: &str, content: &[u8]) -> io::Result<PathBuf> {
    let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let mut number = 1;
    loop {
        let name =
            if number == 1 { format!("{stem}-{time}.{ending}") } else { format!("{stem}-{time}-{number}.{ending}") };
        let path = folder.join(name);
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                io::Write::write_all(&mut file, content)?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_others_could_read_is_closed_to_them_and_what_lies_elsewhere_is_left() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let elsewhere = tempfile::tempdir().unwrap();
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data/workly");
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

        private_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);

        let (own, linked, imported) =
            (folder.join("logs/a.log"), elsewhere.path().join("l"), elsewhere.path().join("m"));
        fs::create_dir(folder.join("logs")).unwrap();
        for file in [&own, &linked, &imported] {
            fs::write(file, "text").unwrap();
            set(file, 0o644);
        }
        symlink(&linked, folder.join("link")).unwrap();
        fs::hard_link(&imported, folder.join("model.gguf")).unwrap();
        set(&folder.join("logs"), 0o755);
        set(&folder, 0o755);
        private_folder(&folder).unwrap();
        assert_eq!([&folder, &folder.join("logs")].map(|folder| mode(folder)), [0o700; 2]);
        assert_eq!(mode(&own), 0o600);
        assert_eq!([&linked, &imported].map(|file| mode(file)), [0o644; 2]);
    }

    #[test]
    fn a_new_file_never_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..3u8).map(|text| write_new(folder.path(), "a", "csv", &[text]).unwrap()).collect();
        for (text, path) in (0..3u8).zip(&paths) {
            assert_eq!(std::fs::read(path).unwrap(), [text]);
        }
        assert!(write_new(&folder.path().join("nowhere"), "a", "csv", b"").is_err());
    }
}
