//! Taking in one file of this machine: a second name of it where the file system allows that, else a copy.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tokio::task;
use workly_core::problem::Problem;
use workly_gguf::open_regular;

use super::job::{Halt, Job, Live, Stop};
use super::problems;

/// Bytes that are copied at a time.
const BLOCK: u64 = 16 << 20;

impl Job {
    /// Brings a file's content into its part.
    pub(super) async fn import(&mut self, index: usize) -> Result<(), Halt> {
        let (source, part) = (PathBuf::from(&self.record.files[index].source), self.part(index));
        let (bytes, stamp) = stamp(&source).map_err(|error| problems::source_unreadable(&source, &error))?;
        let file = self.file(index);
        let goes_on = file.is_copy && file.validator.as_ref() == Some(&stamp) && file.bytes == Some(bytes);
        if !goes_on {
            // Never written to: it may be the user's own file under a second name.
            match fs::remove_file(&part) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.folder.not_writable(&error).into());
                }
                _ => {}
            }
            (file.validator, file.bytes, file.is_copy) = (Some(stamp), Some(bytes), false);
            self.save()?;
            if fs::hard_link(&source, &part).is_ok() {
                self.show_received(index, bytes);
                return Ok(());
            }
            self.file(index).is_copy = true;
            self.save()?;
        }
        let have = self.folder.received(&self.record, index);
        self.make_sure_of_room(bytes.saturating_sub(have)).await?;
        let (live, stop) = (self.live.clone(), self.stop.clone());
        self.show_received(index, have);
        let before = live.lock().received.saturating_sub(have);
        let copied = task::spawn_blocking({
            let source = source.clone();
            move || copy(&source, &part, bytes, before, &live, &stop)
        });
        match copied.await.map_err(io::Error::other).flatten() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Halt::Stopped),
            Err(error) => Err(self.not_copied(&source, &error).into()),
        }
    }

    fn not_copied(&self, source: &Path, error: &io::Error) -> Problem {
        match open_regular(source) {
            Err(error) => problems::source_unreadable(source, &error),
            Ok(_) => self.folder.not_writable(error),
        }
    }
}

/// Length of a file, and what tells this version of it from another.
fn stamp(path: &Path) -> io::Result<(u64, String)> {
    let facts = fs::metadata(path)?;
    let modified = facts.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((facts.len(), format!("{}-{}", facts.len(), modified.as_nanos())))
}

/// Copies what is not there yet; `false`: it was stopped.
fn copy(source: &Path, part: &Path, bytes: u64, before: u64, live: &Live, stop: &Stop) -> io::Result<bool> {
    let mut from = open_regular(source)?;
    let mut to = File::options().create(true).truncate(false).write(true).open(part)?;
    let mut have = to.metadata()?.len();
    if have > bytes {
        to.set_len(0)?;
        have = 0;
    }
    from.seek(io::SeekFrom::Start(have))?;
    to.seek(io::SeekFrom::Start(have))?;
    while have < bytes {
        if stop.is_set() {
            return Ok(false);
        }
        let copied = io::copy(&mut (&from).take(BLOCK), &mut to)?;
        if copied == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was copied"));
        }
        have += copied;
        live.lock().received = before + have;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (source, part) = (folder.path().join("a.gguf"), folder.path().join("a.part"));
        let content: Vec<u8> = (0..1_000_000u32).map(|at| (at % 251) as u8).collect();
        fs::write(&source, &content).unwrap();
        fs::write(&part, &content[..400_000]).unwrap();
        let (live, (_sender, stop)) = (Live::default(), Stop::new());
        assert!(copy(&source, &part, 1_000_000, 5, &live, &stop).unwrap());
        assert!(fs::read(&part).unwrap() == content);
        assert_eq!(live.lock().received, 1_000_005);
        fs::remove_file(&part).unwrap();
        assert_eq!(copy(&source, &part, 1_000_001, 0, &live, &stop).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
