//! Functions of the C library in other words, for one program: a disk that takes its time, a clock that is wrong.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Compiles a shared library that is loaded before the C library; the folder is kept by whoever asked.
pub(crate) fn compile(folder: &Path, source: &str) -> PathBuf {
    let library = folder.join("preload.so");
    let mut compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-x", "c", "-o"])
        .arg(&library)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    compiler.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success());
    library
}

/// A disk whose `fsync` takes a second.
pub(crate) const SLOW_DISK: &str = "
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) { usleep(1000000); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { usleep(1000000); return syscall(SYS_fdatasync, fd); }
";
