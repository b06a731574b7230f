//! What is remembered of a transfer while it is under way, and where: `<models>/.incoming/<id>.json` beside
//! `<id>.part`. A record is written before the first byte and goes after the last one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sysinfo::System;
use workly_core::problem::{Problem, ProblemCode};
use workly_files::whole_file;
use workly_wire::models::{HashSource, TransferKind};

use super::names;

/// The folder inside that of models; hidden, so that nobody takes an unfinished file for a model.
const FOLDER: &str = ".incoming";
/// How far two tellings of when the machine was started may be apart: clocks are set right.
const SAME_START: u64 = 60;
/// The version of the records that this program writes and reads.
const VERSION: u32 = 1;

/// A transfer, as it is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) id: String,
    pub(super) kind: TransferKind,
    pub(super) title: String,
    pub(super) catalogue_id: Option<String>,
    /// When it was asked for, milliseconds since 1970.
    pub(super) asked_ms: i64,
    /// When the machine was started that wrote last, seconds since 1970: what is in a file's tail after a power cut is
    /// anybody's guess. `None` where the system does not tell.
    pub(super) machine_started: Option<u64>,
    /// The files it consists of: one, or the parts of a split model.
    pub(super) files: Vec<FileRecord>,
    /// Why it ended without being done.
    pub(super) problem: Option<Problem>,
}

/// One file of a transfer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    /// Its address, or its path on this machine.
    pub(super) source: String,
    /// The name it is going to have among the models.
    pub(super) name: String,
    /// Bytes that the catalogue is certain of.
    pub(super) expected_bytes: Option<u64>,
    /// Bytes that the source tells.
    pub(super) bytes: Option<u64>,
    /// SHA-256 it must have, in hexadecimal digits.
    pub(super) sha256: Option<String>,
    /// Who says so.
    pub(super) hash: HashSource,
    /// What tells this version of the file from another: a strong `ETag`, a `Last-Modified`, or a local file's time.
    pub(super) validator: Option<String>,
    /// The `.part` is a copy of ours, not a second name of the user's file.
    pub(super) is_copy: bool,
    /// Bytes that are on the disk for good, whatever happens to the machine.
    pub(super) synced: u64,
    /// It is whole and was found right.
    pub(super) is_checked: bool,
}

impl FileRecord {
    pub(super) fn new(source: String, name: String) -> Self {
        Self {
            source,
            name,
            expected_bytes: None,
            bytes: None,
            sha256: None,
            hash: HashSource::None,
            validator: None,
            is_copy: false,
            synced: 0,
            is_checked: false,
        }
    }

    /// Forgets what the source told, since it holds for another version of the file.
    pub(super) fn forget_source(&mut self) {
        (self.bytes, self.validator, self.synced, self.is_checked) = (None, None, 0, false);
        if self.hash == HashSource::Host {
            (self.sha256, self.hash) = (None, HashSource::None);
        }
    }
}

impl Record {
    pub(super) fn new(id: String, kind: TransferKind, title: String, files: Vec<FileRecord>) -> Self {
        let asked_ms = jiff::Timestamp::now().as_millisecond();
        let machine_started = System::boot_time().ok();
        Self { version: VERSION, id, kind, title, catalogue_id: None, asked_ms, machine_started, files, problem: None }
    }

    /// Whether it brings the same files in, from the same sources.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        let wanted = |record: &Self| -> Vec<_> {
            let of = |file: &FileRecord| {
                let certain = file.sha256.clone().filter(|_| file.hash == HashSource::Catalogue);
                (file.source.clone(), file.name.clone(), file.expected_bytes, certain)
            };
            record.files.iter().map(of).collect()
        };
        wanted(self) == wanted(other)
    }

    /// Whether the machine was started anew since this was written; from now on it was not.
    pub(super) fn outlived_the_machine(&mut self) -> bool {
        let now = System::boot_time().ok();
        let before = std::mem::replace(&mut self.machine_started, now);
        matches!((before, now), (Some(before), Some(now)) if before.abs_diff(now) > SAME_START)
    }

    /// Bytes of all files, once all are known.
    pub(super) fn total(&self) -> Option<u64> {
        self.files.iter().map(|file| file.bytes.or(file.expected_bytes)).sum()
    }

    /// What the files are checked against: the weakest of all.
    pub(super) fn hash(&self) -> HashSource {
        let of = |source| self.files.iter().any(|file| file.hash == source);
        match (of(HashSource::None), of(HashSource::Host), of(HashSource::Catalogue)) {
            (false, true, _) => HashSource::Host,
            (false, false, true) => HashSource::Catalogue,
            _ => HashSource::None,
        }
    }
}

/// Where models lie, and what is on its way to them. The functions read and write files: not for an async task's own
/// thread, but for short looks.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    models: PathBuf,
    incoming: PathBuf,
}

/// A transfer that no other program works on as long as this is held.
#[derive(Debug)]
pub(super) struct Claim(#[expect(dead_code, reason = "held for its lock")] File);

impl Folder {
    pub(super) fn new(models: PathBuf) -> Self {
        let incoming = models.join(FOLDER);
        Self { models, incoming }
    }

    pub(super) fn models(&self) -> &Path {
        &self.models
    }

    /// Where a finished file goes.
    pub(super) fn place(&self, file: &FileRecord) -> PathBuf {
        self.models.join(&file.name)
    }

    /// Where a file grows.
    pub(super) fn part(&self, id: &str, index: usize) -> PathBuf {
        let name = if index == 0 { format!("{id}.part") } else { format!("{id}.{}.part", index + 1) };
        self.incoming.join(name)
    }

    fn record_path(&self, id: &str) -> PathBuf {
        self.incoming.join(format!("{id}.json"))
    }

    fn lock_path(&self, id: &str) -> PathBuf {
        self.incoming.join(format!("{id}.lock"))
    }

    /// Bytes that are here of a file.
    pub(super) fn received(&self, record: &Record, index: usize) -> u64 {
        let length = |path: PathBuf| fs::metadata(path).map(|facts| facts.len()).ok();
        let place = || record.files.get(index).filter(|file| file.is_checked).and_then(|file| length(self.place(file)));
        length(self.part(&record.id, index)).or_else(place).unwrap_or(0)
    }

    /// Bytes that are here of all files.
    pub(super) fn received_of_all(&self, record: &Record) -> u64 {
        (0..record.files.len()).map(|index| self.received(record, index)).sum()
    }

    /// Cuts off what may never have reached the disk before the machine went down.
    ///
    /// # Errors
    ///
    /// When a file cannot be changed, with what to do about it.
    pub(super) fn keep_what_is_certain(&self, record: &Record) -> Result<(), Problem> {
        for (index, file) in record.files.iter().enumerate() {
            // A second name of the user's own file is never written to; it is made anew.
            if file.is_checked || (record.kind == TransferKind::Import && !file.is_copy) {
                continue;
            }
            let cut = File::options()
                .write(true)
                .open(self.part(&record.id, index))
                .and_then(|part| if part.metadata()?.len() > file.synced { part.set_len(file.synced) } else { Ok(()) });
            match cut {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.not_writable(&error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes a record, wholly or not at all.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written to, with what to do about it.
    pub(super) fn save(&self, record: &Record) -> Result<(), Problem> {
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.incoming)?;
            let mut text = serde_json::to_vec_pretty(record)?;
            text.push(b'\n');
            whole_file::write(&self.record_path(&record.id), &text)
        };
        write().map_err(|error| self.not_writable(&error))
    }

    /// Reads one record; `None` where there is none that can be used.
    pub(super) fn load(&self, id: &str) -> Option<Record> {
        read(&self.record_path(id)).ok().filter(|record| record.id == id)
    }

    /// All that was left behind, the oldest first. A record that cannot be read is one without files and with its
    /// problem, so that it can be dismissed.
    pub(super) fn left_behind(&self) -> Vec<Record> {
        let entries = fs::read_dir(&self.incoming).into_iter().flatten().filter_map(Result::ok);
        let mut records: Vec<Record> = entries
            .filter_map(|entry| {
                let path = entry.path();
                let id = path.file_name()?.to_str()?.strip_suffix(".json").filter(|id| names::is_id(id))?.to_owned();
                let record = match read(&path) {
                    Ok(record) if record.id == id => record,
                    result => {
                        let detail = result.err().map(|error| error.to_string()).unwrap_or_default();
                        unreadable(id, detail)
                    }
                };
                Some(record)
            })
            .collect();
        records.sort_by(|one, other| (one.asked_ms, &one.id).cmp(&(other.asked_ms, &other.id)));
        records
    }

    /// Takes a transfer for this program alone.
    ///
    /// # Errors
    ///
    /// When another program works on it, or the folder cannot be written to.
    pub(super) fn claim(&self, id: &str) -> Result<Claim, Problem> {
        let open = || {
            fs::create_dir_all(&self.incoming)?;
            File::options().create(true).truncate(false).write(true).open(self.lock_path(id))
        };
        let file = open().map_err(|error| self.not_writable(&error))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let message = "Another Workly program is bringing this model in. Wait for it, or end it first.";
                Err(Problem::new(ProblemCode::DownloadFailed, message))
            }
            // A file system without locks: there is nobody to ask.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Claim(file)),
        }
    }

    /// Removes what lies in the folder of a transfer; the record goes last.
    ///
    /// # Errors
    ///
    /// When something cannot be removed, with what to do about it.
    pub(super) fn remove(&self, record: &Record) -> Result<(), Problem> {
        let parts = (0..record.files.len().max(1)).map(|index| self.part(&record.id, index));
        for path in parts.chain([self.lock_path(&record.id), self.record_path(&record.id)]) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let message = format!("“{}” cannot be removed. Delete it by hand.", path.display());
                    return Err(Problem::new(ProblemCode::NotSaved, message).with_details(error.to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The problem of a folder that cannot be written to.
    pub(super) fn not_writable(&self, error: &io::Error) -> Problem {
        if is_full(error) {
            return super::problems::disk_ran_full(&self.models);
        }
        let message =
            format!("“{}” cannot be written to. Check the folder and its permissions.", self.models.display());
        Problem::new(ProblemCode::NotSaved, message).with_details(error.to_string())
    }
}

/// Whether a write failed for want of room.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn read(path: &Path) -> io::Result<Record> {
    let record: Record = serde_json::from_slice(&fs::read(path)?)?;
    // The names become paths, and the file may be anybody's.
    let is_sound = record.version == VERSION
        && names::is_id(&record.id)
        && record.files.iter().all(|file| {
            Path::new(&file.name).file_name().is_some_and(|name| name == file.name.as_str())
                && names::files(&file.name).is_ok_and(|files| files.iter().any(|(_, own)| *own == file.name))
        });
    if is_sound { Ok(record) } else { Err(io::Error::other("it is not of this version, or names files it may not")) }
}

fn unreadable(id: String, detail: String) -> Record {
    let message = "What is remembered of this transfer cannot be read. Dismiss it and begin anew.";
    let problem = Problem::new(ProblemCode::NotSaved, message).with_details(detail);
    let mut record = Record::new(id.clone(), TransferKind::Download, id, Vec::new());
    record.problem = Some(problem);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> Record {
        let file = FileRecord::new("https://example.org/a.gguf".to_owned(), "a.gguf".to_owned());
        Record::new(id.to_owned(), TransferKind::Download, "A".to_owned(), vec![file])
    }

    #[test]
    fn a_record_comes_back_as_it_was_and_goes_with_its_files() {
        let models = tempfile::tempdir().unwrap();
        let folder = Folder::new(models.path().join("models"));
        let one = record("one");
        folder.save(&one).unwrap();
        fs::write(folder.part("one", 0), b"1234").unwrap();
        assert_eq!(folder.left_behind(), std::slice::from_ref(&one));
        assert_eq!(folder.received_of_all(&one), 4);
        folder.remove(&one).unwrap();
        assert_eq!(fs::read_dir(folder.incoming).unwrap().count(), 0);
    }

    #[test]
    fn a_record_that_cannot_be_used_is_shown_and_not_followed() {
        let models = tempfile::tempdir().unwrap();
        let folder = Folder::new(models.path().to_path_buf());
        let mut outside = record("outside");
        outside.files[0].name = "../../outside.gguf".to_owned();
        let mut newer = record("newer");
        newer.version += 1;
        for record in [&outside, &newer] {
            folder.save(record).unwrap();
        }
        fs::write(folder.record_path("torn"), b"{\"version\": 1, ").unwrap();
        let found = folder.left_behind();
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|record| record.files.is_empty() && record.problem.is_some()));
    }

    #[test]
    fn two_programs_do_not_work_on_one_transfer() {
        let models = tempfile::tempdir().unwrap();
        let folder = Folder::new(models.path().to_path_buf());
        let claim = folder.claim("one").unwrap();
        assert!(folder.claim("one").is_err());
        assert!(folder.claim("other").is_ok());
        drop(claim);
        assert!(folder.claim("one").is_ok());
    }
}
