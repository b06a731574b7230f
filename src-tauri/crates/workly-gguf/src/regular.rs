//! Opening files without waiting for anybody: opening a pipe blocks until somebody writes into it.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

/// Opens a file for reading, if it is a regular one.
///
/// # Errors
///
/// When the system refuses; [`io::ErrorKind::IsADirectory`] for a folder, [`io::ErrorKind::InvalidInput`] for a pipe, a
/// socket or a device.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Looked at before, since opening alone does something to some devices.
    check(&fs::metadata(path)?)?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // A pipe that took its place meanwhile does not block either; for a file it means nothing.
        options.custom_flags(libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn check(data: &Metadata) -> io::Result<()> {
    if data.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if !data.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe, a socket or a device"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_without_waiting_for_somebody_to_write_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("m.gguf");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (done, opened) = std::sync::mpsc::channel();
        let _reader = std::thread::spawn(move || {
            let opened = open_regular(&pipe).map(drop).map_err(|error| error.kind());
            let header = crate::Header::read(&pipe).map_err(|error| error.fault());
            done.send((opened, header.map(drop)))
        });
        let (opened, header) = opened.recv_timeout(std::time::Duration::from_mins(1)).unwrap();
        assert_eq!(opened.unwrap_err(), io::ErrorKind::InvalidInput);
        assert_eq!(header.unwrap_err(), crate::Fault::NotGguf);
    }

    #[test]
    fn a_file_is_opened_and_a_folder_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        fs::write(&path, "GGUF").unwrap();
        assert_eq!(io::read_to_string(open_regular(&path).unwrap()).unwrap(), "GGUF");
        assert_eq!(open_regular(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(open_regular(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
