//! How a transfer goes, from the first byte to its place among the models.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;
use tokio::task;
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::models::{TransferKind, TransferState};

use super::check;
use super::job::{Halt, Job, Stop};
use super::problems;
use super::record::{FileRecord, Record};

/// How a transfer ended.
#[derive(Debug)]
pub(super) enum End {
    /// It is among the models; this is its first file.
    Done(PathBuf),
    /// It was told to stop.
    Stopped,
    /// It cannot go on.
    Failed(Problem),
}

impl Job {
    /// Works until it is done, stopped or failed.
    pub(super) async fn run(mut self) -> (Record, End) {
        let end = match self.bring_in().await {
            Ok(path) => End::Done(path),
            Err(Halt::Stopped) => End::Stopped,
            Err(Halt::Failed(problem)) => End::Failed(problem),
        };
        (self.record, end)
    }

    async fn bring_in(&mut self) -> Result<PathBuf, Halt> {
        let _claim = self.folder.claim(&self.record.id)?;
        // Another program may have worked on it since it was listed.
        match self.folder.load(&self.record.id) {
            Some(record) => self.record = record,
            None if self.record.files.is_empty() => return Err(self.unreadable().into()),
            None if self.record.files.iter().all(|file| self.folder.place(file).is_file()) => return Ok(self.first()),
            None => self.folder.save(&self.record)?,
        }
        self.record.problem = None;
        if self.record.outlived_the_machine() {
            self.folder.keep_what_is_certain(&self.record)?;
            self.folder.save(&self.record)?;
        }
        for index in 0..self.record.files.len() {
            self.show_received(index, self.folder.received(&self.record, index));
            if self.record.files[index].is_checked && self.folder.received(&self.record, index) > 0 {
                continue;
            }
            self.record.files[index].is_checked = false;
            match self.record.kind {
                TransferKind::Download => self.download(index).await?,
                TransferKind::Import => self.import(index).await?,
            }
            self.check(index).await?;
        }
        self.settle().await?;
        Ok(self.first())
    }

    fn first(&self) -> PathBuf {
        self.record.files.first().map(|file| self.folder.place(file)).unwrap_or_default()
    }

    fn unreadable(&self) -> Problem {
        let told = self.record.problem.clone();
        told.unwrap_or_else(|| Problem::new(ProblemCode::NotSaved, "Nothing is known of this transfer. Begin anew."))
    }

    /// Reads the whole file from the disk and judges it. One that is wrong is removed.
    async fn check(&mut self, index: usize) -> Result<(), Halt> {
        self.show(TransferState::Verifying, None);
        let (path, stop, file) = (self.part(index), self.stop.clone(), self.record.files[index].clone());
        let checked = task::spawn_blocking(move || check_file(&path, &file, &stop)).await;
        match checked {
            Ok(Ok(())) => {}
            Ok(Err(Wrong::Stopped)) => return Err(Halt::Stopped),
            Ok(Err(Wrong::Unreadable(error))) => return Err(self.folder.not_writable(&error).into()),
            Ok(Err(Wrong::File(problem))) => {
                let _ = fs::remove_file(self.part(index));
                self.file(index).forget_source();
                self.save()?;
                self.show_received(index, 0);
                return Err(problem.into());
            }
            Err(error) => return Err(self.folder.not_writable(&io::Error::other(error)).into()),
        }
        self.file(index).is_checked = true;
        self.save()?;
        self.show(TransferState::Running, None);
        Ok(())
    }

    /// Moves all files to their places, the first one last, so that a model is whole when it is seen.
    async fn settle(&mut self) -> Result<(), Halt> {
        let (folder, record) = (self.folder.clone(), self.record.clone());
        let moved = task::spawn_blocking(move || {
            for (index, file) in record.files.iter().enumerate().rev() {
                place(&folder.part(&record.id, index), &folder.place(file)).map_err(|error| {
                    if error.kind() == io::ErrorKind::AlreadyExists {
                        problems::exists(&file.name)
                    } else {
                        folder.not_writable(&error)
                    }
                })?;
            }
            folder.remove(&record)
        });
        match moved.await {
            Ok(result) => result.map_err(Halt::Failed),
            Err(error) => Err(self.folder.not_writable(&io::Error::other(error)).into()),
        }
    }
}

/// What is wrong with a file.
enum Wrong {
    Stopped,
    Unreadable(io::Error),
    File(Problem),
}

fn check_file(path: &Path, file: &FileRecord, stop: &Stop) -> Result<(), Wrong> {
    if let Some(expected) = &file.sha256 {
        let found = check::sha256(path, || stop.is_set()).map_err(Wrong::Unreadable)?.ok_or(Wrong::Stopped)?;
        if !found.eq_ignore_ascii_case(expected) {
            let message = format!(
                "What was downloaded is not “{}”: its SHA-256 is another one. It was removed; try again, or take \
                 another source.",
                file.name
            );
            let details = format!("expected {expected}\nfound    {found}");
            return Err(Wrong::File(problems::other_file(message).with_details(details)));
        }
    }
    check::header(path, &file.name).map_err(Wrong::File)?;
    // From now on it counts as right, also after a power cut. A file of the user's under a second name may not be ours
    // to write to; its content has long been on the disk.
    match File::options().append(true).open(path) {
        Ok(file) => file.sync_all().map_err(Wrong::Unreadable),
        Err(_) => Ok(()),
    }
}

/// Gives a finished file its place, on the disk for good; one that lies there stays.
fn place(part: &Path, place: &Path) -> io::Result<()> {
    if !part.exists() && place.is_file() {
        // It was moved before the program was ended.
        return Ok(());
    }
    let mut temporary = TempPath::try_from_path(part)?;
    temporary.disable_cleanup(true);
    temporary.persist_noclobber(place).map_err(|error| error.error)?;
    #[cfg(unix)]
    if let Some(folder) = place.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_file_never_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let (part, at) = (folder.path().join("a.part"), folder.path().join("a.gguf"));
        fs::write(&part, b"new").unwrap();
        fs::write(&at, b"old").unwrap();
        assert_eq!(place(&part, &at).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&part).unwrap(), fs::read(&at).unwrap()), (b"new".to_vec(), b"old".to_vec()));
        fs::remove_file(&at).unwrap();
        place(&part, &at).unwrap();
        assert_eq!(fs::read(&at).unwrap(), b"new");
        // The program was ended after the move.
        place(&part, &at).unwrap();
    }
}
