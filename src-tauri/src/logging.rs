//! The log: to standard error for whoever started the program in a terminal, and to a file a day beside the settings.

use std::fs;
use std::path::{Path, PathBuf};

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};
use workly_files::places;

/// Days that are kept.
const DAYS: usize = 5;
/// What goes into the file where `WORKLY_LOG` says nothing: enough to understand a report, nothing of what is chatted.
const FILE_FILTER: &str = "warn,workly=info,workly_runtime=info,workly_engine=info,workly_gpu=info";

/// Folder of the log files.
pub(crate) fn folder() -> Option<PathBuf> {
    places::data_dir().map(|folder| folder.join("logs"))
}

/// Starts logging. A folder that cannot be written to leaves standard error alone.
pub(crate) fn start() {
    let filter = |otherwise: &str| EnvFilter::try_from_env("WORKLY_LOG").unwrap_or_else(|_| EnvFilter::new(otherwise));
    let terminal = fmt::layer().with_writer(std::io::stderr).with_filter(filter("warn"));
    let file = folder().map(|folder| {
        // The appender complains of a folder it would make itself.
        let _ = fs::create_dir_all(&folder);
        RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix("workly")
            .filename_suffix("log")
            .max_log_files(DAYS)
            .build(folder)
    });
    let (file, fault) = match file {
        Some(Ok(file)) => (Some(file), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let file = file.map(|file| fmt::layer().with_writer(file).with_ansi(false).with_filter(filter(FILE_FILTER)));
    tracing_subscriber::registry().with(terminal).with(file).init();
    if let Some(error) = fault {
        tracing::warn!(%error, "no log file is written");
    }
}

/// The last lines of the newest log file; none where there is no file.
pub(crate) fn last_lines(folder: &Path, count: usize) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let logs = names.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
    // A day in a name sorts as the days do.
    let Some(newest) = logs.max() else { return Vec::new() };
    let text = fs::read(newest).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_those_of_the_newest_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(last_lines(&folder.path().join("nowhere"), 3), Vec::<String>::new());
        for (name, text) in
            [("workly.2026-11-09.log", "old\n"), ("workly.2026-11-10.log", "1\n2\n3\n"), ("x.txt", "no")]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(last_lines(folder.path(), 2), ["2", "3"]);
        assert_eq!(last_lines(folder.path(), 9).len(), 3);
    }
}
