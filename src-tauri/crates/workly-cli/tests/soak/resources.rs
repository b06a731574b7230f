//! What this process holds: memory, open files, threads, and what lies in shared memory.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::time::Duration;

use crate::support::progress::Deadline;

/// Memory that may be more at the end than at the beginning, KiB: what an allocator keeps, and what was learned.
const MEMORY_SLACK_KIB: u64 = 16 << 10;

/// What is held at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Resident memory, KiB.
    memory_kib: u64,
    descriptors: usize,
    threads: usize,
    /// Names in shared memory.
    shared: BTreeSet<String>,
}

impl Held {
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let number = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let names = |folder: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        Self {
            memory_kib: number("VmRSS:"),
            descriptors: names("/proc/self/fd").len(),
            threads: number("Threads:") as usize,
            shared: names("/dev/shm"),
        }
    }

    /// What is held once everything that ends by itself has ended, or can no longer be waited for.
    pub(crate) async fn at_rest(before: &Self) -> Self {
        let mut deadline = Deadline::of_children();
        loop {
            let held = Self::now();
            if before.is_kept_by(&held) || deadline.is_over() {
                return held;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether nothing has grown since this.
    pub(crate) fn is_kept_by(&self, later: &Self) -> bool {
        later.memory_kib <= self.memory_kib + MEMORY_SLACK_KIB
            && later.descriptors <= self.descriptors
            && later.threads <= self.threads
            && later.left_behind(self) == 0
    }

    /// Names in shared memory that are new since then.
    fn left_behind(&self, before: &Self) -> usize {
        self.shared.difference(&before.shared).count()
    }
}

/// What was held before something and after it.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) what: &'static str,
    pub(crate) before: Held,
    pub(crate) after: Held,
}

impl Change {
    pub(crate) fn is_flat(&self) -> bool {
        self.before.is_kept_by(&self.after)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, before, after } = self;
        let mib = |held: &Held| held.memory_kib as f64 / 1_024.0;
        write!(
            formatter,
            "{what:<12} {:>7.1} -> {:>6.1} {:>7} -> {:>4} {:>6} -> {:>4} {:>14}",
            mib(before),
            mib(after),
            before.descriptors,
            after.descriptors,
            before.threads,
            after.threads,
            after.left_behind(before),
        )
    }
}

/// The line over those of changes.
pub(crate) const HEADING: &str = "resources          memory, MiB      open files        threads  left in memory";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_and_left_open_is_seen() {
        let before = Held::now();
        let files: Vec<_> = (0..40).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(!before.is_kept_by(&Held::now()));
        drop(files);
        let shared = tempfile::tempdir_in("/dev/shm").unwrap();
        assert!(Held::now().left_behind(&before) > 0);
        drop(shared);
    }
}
