//! What is said when a transfer does not go well: what happened, and what to do.

use std::path::Path;
use std::time::Duration;

use workly_core::problem::{Problem, ProblemCode};

/// Bytes as people read them, in decimal units.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

pub(super) fn disk_full(folder: &Path, needed: u64, free: u64) -> Problem {
    let message = format!(
        "{} more are needed on the disk of “{}” and {} are free. Free some space, then try again; what is here already \
         is kept.",
        size(needed),
        folder.display(),
        size(free)
    );
    Problem::new(ProblemCode::DiskFull, message)
}

pub(super) fn disk_ran_full(folder: &Path) -> Problem {
    let message = format!(
        "The disk of “{}” is full. Free some space, then try again; what is here already is kept.",
        folder.display()
    );
    Problem::new(ProblemCode::DiskFull, message)
}

pub(super) fn unreachable(host: &str, detail: impl Into<String>) -> Problem {
    let message = format!("{host} cannot be reached. Check the connection; what is here already is kept.");
    Problem::new(ProblemCode::DownloadFailed, message).with_details(detail)
}

pub(super) fn broke_off(host: &str, detail: impl Into<String>) -> Problem {
    let message = format!("{host} broke the download off. What is here already is kept.");
    Problem::new(ProblemCode::DownloadFailed, message).with_details(detail)
}

pub(super) fn stalled(host: &str, patience: Duration) -> Problem {
    let seconds = patience.as_secs_f64();
    let message =
        format!("{host} sent nothing, or next to nothing, for {seconds:.0} seconds. What is here already is kept.");
    Problem::new(ProblemCode::DownloadFailed, message)
}

pub(super) fn busy(host: &str, status: u16) -> Problem {
    let message = format!("{host} cannot serve the file at the moment. What is here already is kept.");
    Problem::new(ProblemCode::DownloadFailed, message).with_details(format!("HTTP status {status}"))
}

pub(super) fn refused(message: impl Into<String>) -> Problem {
    Problem::new(ProblemCode::DownloadRefused, message)
}

pub(super) fn other_file(message: impl Into<String>) -> Problem {
    Problem::new(ProblemCode::HashMismatch, message)
}

pub(super) fn exists(name: &str) -> Problem {
    let message = format!("“{name}” is in the library already. Rename or delete it there to bring in another one.");
    Problem::new(ProblemCode::ModelExists, message)
}

pub(super) fn not_a_model(name: &str) -> Problem {
    let message = format!("“{name}” is not a GGUF model file. Workly runs models in the GGUF format.");
    Problem::new(ProblemCode::NotGguf, message)
}

pub(super) fn source_unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => ProblemCode::ModelMissing,
        _ => ProblemCode::NoPermission,
    };
    let message = format!("“{}” cannot be read. Check that the file is there and may be read.", path.display());
    Problem::new(code, message).with_details(error.to_string())
}
