//! `gpu-history.csv`: one line for each full reading, for people and spreadsheets.
//!
//! A thread of its own writes, so that a slow disk delays no reading. A line that cannot be written is dropped; one
//! warning says so, until writing works again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;

use jiff::Zoned;
use workly_core::profile::Profile;

const HEADER: &str = "timestamp,vram_percent,gpu_percent,profile\n";
/// Size at which the file is set aside, bytes.
const LIMIT: u64 = 10_000_000;
/// Lines that may wait for a slow disk.
const WAITING: usize = 64;

/// One line of the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) time: SystemTime,
    pub(super) vram_percent: f32,
    pub(super) gpu_percent: Option<f32>,
    pub(super) profile: Option<Profile>,
}

/// The way to the thread that writes. Dropping it ends the thread once it has written what waits.
#[derive(Debug)]
pub(super) struct History {
    path: PathBuf,
    lines: SyncSender<Line>,
}

impl History {
    /// Starts writing to `path`, after what is there already.
    pub(super) fn start(path: PathBuf) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        let mut log = Log::new(path.clone(), LIMIT);
        std::thread::Builder::new().name("workly-history".into()).spawn(move || log.write_all(&waiting))?;
        Ok(Self { path, lines })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line. It is dropped where the disk is so slow that many wait.
    pub(super) fn add(&self, line: Line) {
        let _ = self.lines.try_send(line);
    }
}

struct Log {
    path: PathBuf,
    limit: u64,
    file: Option<(File, u64)>,
    warned: bool,
}

impl Log {
    const fn new(path: PathBuf, limit: u64) -> Self {
        Self { path, limit, file: None, warned: false }
    }

    fn write_all(&mut self, lines: &Receiver<Line>) {
        for line in lines {
            self.write(&format_line(&line));
        }
    }

    fn write(&mut self, line: &str) {
        match self.append(line) {
            Ok(()) => self.warned = false,
            Err(error) => {
                self.file = None;
                if !self.warned {
                    tracing::warn!(path = %self.path.display(), %error, "the GPU history cannot be written; free space or change the folder");
                }
                self.warned = true;
            }
        }
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64;
        if self.file.as_ref().is_some_and(|(_, size)| size + length > self.limit) {
            self.file = None;
            fs::rename(&self.path, self.path.with_extension("1.csv"))?;
        }
        let (file, size) = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        file.write_all(line.as_bytes())?;
        *size += length;
        Ok(())
    }
}

/// Opens the file at its end: with the header if it is new, on a fresh line if a crash cut the last one.
fn open(path: &Path) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let mut size = file.metadata()?.len();
    if size == 0 {
        file.write_all(HEADER.as_bytes())?;
        size = HEADER.len() as u64;
    } else {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            size += 1;
        }
    }
    Ok((file, size))
}

fn format_line(line: &Line) -> String {
    let time = Zoned::try_from(line.time).unwrap_or_default();
    format_line_at(&time, line)
}

fn format_line_at(time: &Zoned, line: &Line) -> String {
    let gpu = line.gpu_percent.map(|percent| format!("{percent:.1}")).unwrap_or_default();
    let profile = line.profile.map_or("", Profile::name);
    format!("{},{:.1},{gpu},{profile}\n", time.strftime("%Y-%m-%d %H:%M:%S"), line.vram_percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(gpu_percent: Option<f32>, profile: Option<Profile>) -> Line {
        Line { time: SystemTime::now(), vram_percent: 50.0, gpu_percent, profile }
    }

    #[test]
    fn a_line_is_the_seed_s_to_the_letter() {
        let time: Zoned = "2025-11-14T10:00:00[UTC]".parse().unwrap();
        let full = format_line_at(&time, &line(Some(40.0), Some(Profile::Performance)));
        assert_eq!(full, "2025-11-14 10:00:00,50.0,40.0,performance\n");
        assert_eq!(format_line_at(&time, &line(None, None)), "2025-11-14 10:00:00,50.0,,\n", "unknown is empty, not 0");
    }

    #[test]
    fn the_file_has_one_header_and_goes_on_after_a_cut_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/gpu-history.csv");
        Log::new(path.clone(), LIMIT).write("a\n");
        fs::write(&path, fs::read_to_string(&path).unwrap() + "cut").unwrap();
        Log::new(path.clone(), LIMIT).write("b\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{HEADER}a\ncut\nb\n"));
    }

    #[test]
    fn a_full_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gpu-history.csv");
        let mut log = Log::new(path.clone(), 100);
        for _ in 0..100 {
            log.write("2025-11-14 10:00:00,50.0,40.0,performance\n");
            assert!(fs::metadata(&path).unwrap().len() <= 100);
        }
        let old = fs::read_to_string(folder.path().join("gpu-history.1.csv")).unwrap();
        assert!(old.starts_with(HEADER) && old.len() <= 100);
        assert!(fs::read_to_string(&path).unwrap().starts_with(HEADER));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_warned_of_once_until_it_has_room_again() {
        let mut log = Log::new("/dev/full".into(), LIMIT);
        log.write("a\n");
        assert!(log.warned && log.file.is_none());
        log.write("b\n");
        assert!(log.warned);
        let folder = tempfile::tempdir().unwrap();
        log.path = folder.path().join("gpu-history.csv");
        log.write("c\n");
        assert!(!log.warned, "the next failure is worth a warning again");
        assert_eq!(fs::read_to_string(&log.path).unwrap(), format!("{HEADER}c\n"));
    }
}
