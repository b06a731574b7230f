//! Starting other programs: streamed, with progress, or captured; and saying what went wrong with them.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a long step that is silent itself shows that it lives.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// Lines of a failed program's output that are shown.
const TAIL_LINES: usize = 25;
/// A line of progress is cut to this many characters.
const PROGRESS_WIDTH: usize = 90;

/// Runs a program with its own output on this terminal; an exit status other than 0 is an error.
pub(crate) fn stream(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", describe(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", describe(command));
    }
    Ok(())
}

/// Runs a program and returns what it wrote to stdout; its stderr goes into the error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{}`", describe(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` ended with {}\n{}",
            describe(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program that may take minutes: its last line of output is shown every few seconds, and the end of its
/// output where it fails.
pub(crate) fn with_progress(command: &mut Command) -> Result<()> {
    println!("  $ {}", describe(command));
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", describe(command)))?;
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        send_lines(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        send_lines(stderr, sender);
    }

    let mut tail: VecDeque<String> = VecDeque::new();
    let mut next_report = started + PROGRESS_INTERVAL;
    loop {
        let wait = next_report.saturating_duration_since(Instant::now());
        match lines.recv_timeout(wait) {
            Ok(line) => {
                tail.push_back(line);
                if tail.len() > TAIL_LINES {
                    tail.pop_front();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= next_report {
            let last = tail.back().map_or("", String::as_str);
            let shown: String = last.chars().take(PROGRESS_WIDTH).collect();
            println!("  … {:>3} s  {shown}", started.elapsed().as_secs());
            next_report = Instant::now() + PROGRESS_INTERVAL;
        }
    }
    let status = child.wait()?;
    if !status.success() {
        let output: Vec<String> = tail.into_iter().map(|line| format!("  | {line}")).collect();
        bail!("`{}` ended with {status}; the end of its output:\n{}", describe(command), output.join("\n"));
    }
    Ok(())
}

/// Sends the lines of a pipe, which is drained to its end; a carriage return ends a line too (progress bars).
fn send_lines(pipe: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
            let text = String::from_utf8_lossy(&bytes);
            if let Some(line) = text.split(['\r', '\n']).map(str::trim_end).rfind(|part| !part.is_empty())
                && sender.send(line.to_owned()).is_err()
            {
                return;
            }
            bytes.clear();
        }
    });
}

/// A command line as a person would type it.
pub(crate) fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name).chain(command.get_args()).map(quoted).collect::<Vec<String>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |character: char| character.is_alphanumeric() || "-_./=:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The first file of that name in the given folders (or the path itself where it has folders in it).
pub(crate) fn find_in(program: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let endings: &[&str] = if cfg!(windows) { &[".exe", ".cmd", ""] } else { &[""] };
    if Path::new(program).components().count() > 1 {
        return Some(PathBuf::from(program));
    }
    folders
        .flat_map(|folder| endings.iter().map(move |ending| folder.join(format!("{program}{ending}"))))
        .find(|path| is_executable(path))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// Takes back what `cargo run` put into the environment for this program.
///
/// Inherited, `CARGO_PKG_*` makes some build scripts run again, and the library path would let a test find shared
/// libraries in `target/` that an installed program would miss.
pub(crate) fn leave_cargo_run(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    for name in ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
        let Some(value) = std::env::var_os(name) else {
            continue;
        };
        match without_cargo_folders(&value) {
            Some(kept) => command.env(name, kept),
            None => command.env_remove(name),
        };
    }
}

/// A library search path without the folders cargo and rustup add; `None` where nothing is left.
fn without_cargo_folders(value: &OsStr) -> Option<OsString> {
    let added = |folder: &Path| {
        let parts: Vec<String> =
            folder.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let built = |name: &str| ["debug", "release"].contains(&name);
        let last = parts.last().map_or("", String::as_str);
        let before_last = parts.iter().rev().nth(1).map_or("", String::as_str);
        parts.iter().any(|part| part == "rustlib" || part == "toolchains")
            || built(last)
            || (last == "deps" && built(before_last))
    };
    let kept: Vec<PathBuf> = std::env::split_paths(value).filter(|folder| !added(folder)).collect();
    if kept.is_empty() {
        return None;
    }
    std::env::join_paths(kept).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_described_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["nextest", "run", "-E", "not binary(window)", ""]);
        assert_eq!(describe(&command), "cargo nextest run -E 'not binary(window)' ''");
    }

    #[cfg(unix)]
    #[test]
    fn the_library_path_loses_only_what_cargo_added() {
        let cargo_added = "/w/target/debug:/c/workly-build/debug/deps:/r/toolchains/stable/lib/rustlib/x/lib";
        assert_eq!(without_cargo_folders(OsStr::new(cargo_added)), None);
        let with_own = format!("{cargo_added}:/opt/driver/lib");
        assert_eq!(without_cargo_folders(OsStr::new(&with_own)), Some(OsString::from("/opt/driver/lib")));
    }

    #[cfg(unix)]
    #[test]
    fn a_failing_program_is_named_with_the_end_of_its_output() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo broken >&2; exit 3"]);
        let message = with_progress(&mut command).unwrap_err().to_string();
        assert!(message.contains("exit status: 3"), "{message}");
        assert!(message.contains("| broken"), "{message}");
        assert!(message.contains("echo first"), "{message}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let message = format!("{:#}", stream(&mut Command::new("no-such-program-here")).unwrap_err());
        assert!(message.contains("no-such-program-here"), "{message}");
    }
}
