//! Programs for tests to supervise: shell scripts, and this test program itself in a process of its own.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs::File;
use std::io::Write as _;

use tempfile::NamedTempFile;
use workly_engine::frame;
use workly_engine::protocol::{Envelope, OWN_ID, PROTOCOL_VERSION, Reply};
use workly_engine::worker::WorkerProgram;

/// Names the part that a process of its own plays; tests that are run otherwise find it absent.
pub(crate) const PART: &str = "WORKLY_TEST_PART";

/// Starts one ignored test of this program. Its standard output is free of the test runner's words: what the test
/// writes to [`out`] is all that comes.
const OWN_PROCESS: &str = r#"exec "$0" --exact "$1" --ignored --nocapture 3>&1 >/dev/null"#;

pub(crate) fn hello() -> (u64, Reply) {
    (OWN_ID, Reply::Hello { protocol: PROTOCOL_VERSION, version: "test".into() })
}

/// A file with frames.
pub(crate) fn frames(replies: &[(u64, Reply)]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    for (id, reply) in replies {
        file.write_all(&frame::encode(&Envelope { id: *id, reply: reply.clone() }).unwrap()).unwrap();
    }
    file
}

/// A shell script with these files as its `$1`, `$2` and so on.
pub(crate) fn script(source: &str, files: &[&NamedTempFile]) -> WorkerProgram {
    let mut arguments = vec!["-c".into(), source.into(), "worker".into()];
    arguments.extend(files.iter().map(|file| file.path().into()));
    WorkerProgram { program: "/bin/sh".into(), arguments, environment: vec![] }
}

/// The ignored test of this name, as a program.
pub(crate) fn own_process(test: &str, part: &str) -> WorkerProgram {
    let this = std::env::current_exe().unwrap();
    let arguments = vec!["-c".into(), OWN_PROCESS.into(), this.into(), test.into()];
    WorkerProgram { program: "/bin/sh".into(), arguments, environment: vec![(PART.into(), part.into())] }
}

/// The part that this process plays.
pub(crate) fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Where a process of its own is heard.
pub(crate) fn out() -> File {
    File::options().write(true).open("/dev/fd/3").unwrap()
}
