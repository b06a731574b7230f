//! The program started as a person starts it, without a WebDriver.

use std::io::BufReader;
use std::process::{ChildStderr, ExitStatus, Stdio};
use std::time::Duration;

use super::progress::Deadline;
use super::{Group, PROGRAM, Surroundings, worker_of};

/// Arguments with which the first worker is the one that stays: none is started to look for a GPU.
pub(crate) const ONE_WORKER: &[&str] = &["--profile", "cpu_fallback"];

/// A running Workly; it ends when this is dropped.
pub(crate) struct Program(Group);

impl Program {
    /// Starts it with these arguments.
    pub(crate) fn start(surroundings: &Surroundings, arguments: &[&str]) -> Self {
        Self(Group::spawn(surroundings.command(PROGRAM).args(arguments).stdout(Stdio::null())))
    }

    /// Starts it with a log, whose lines are given to whoever reads them.
    pub(crate) fn start_with_log(surroundings: &Surroundings, arguments: &[&str]) -> (Self, BufReader<ChildStderr>) {
        let mut command = surroundings.command(PROGRAM);
        command.args(arguments).env("WORKLY_LOG", "workly=debug").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut group = Group::spawn(&mut command);
        let log = BufReader::new(group.process().stderr.take().unwrap());
        (Self(group), log)
    }

    /// Its process.
    pub(crate) fn id(&mut self) -> u32 {
        self.0.process().id()
    }

    /// Waits for its worker, which comes up with the first load.
    pub(crate) async fn worker(&mut self) -> u32 {
        let id = self.id();
        eventually("a worker", || async { worker_of(id) }).await
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let process = self.0.process();
        let mut deadline = Deadline::of_children();
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                return status;
            }
            assert!(!deadline.is_over(), "the program goes on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.0.process().try_wait().unwrap().is_none()
    }
}

/// Waits for something to be there.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let mut deadline = Deadline::of_children();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(!deadline.is_over(), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
