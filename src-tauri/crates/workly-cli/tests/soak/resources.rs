//! What this process holds: memory, open files, threads, and what lies in shared memory.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::time::Duration;

use crate::support::progress::Deadline;

/// Memory that may be more at the end than halfway, KiB. In the first half the allocator is still finding its size; what
/// leaks goes on in the second.
const MEMORY_SLACK_KIB: u64 = 4 << 10;

/// Conversations at rest whose checkpoints are kept, and one under way: so many files there may be, whatever came before.
const MOST_CHECKPOINTS: usize = 11;

/// What is held at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Resident memory, KiB.
    memory_kib: u64,
    /// Open files, those of checkpoints aside.
    descriptors: usize,
    /// Files of checkpoints.
    checkpoints: usize,
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
        let files = names("/proc/self/fd");
        let is_checkpoints = |file: &&String| {
            let target = fs::read_link(format!("/proc/self/fd/{file}")).unwrap_or_default();
            target.to_string_lossy().contains("workly-kv-cache")
        };
        let checkpoints = files.iter().filter(is_checkpoints).count();
        Self {
            memory_kib: number("VmRSS:"),
            descriptors: files.len() - checkpoints,
            checkpoints,
            threads: number("Threads:") as usize,
            shared: names("/dev/shm"),
        }
    }

    /// What is held once everything that ends by itself has ended, or can no longer be waited for.
    pub(crate) async fn at_rest(before: &Self) -> Self {
        let mut deadline = Deadline::of_children();
        loop {
            let held = Self::now();
            if held.has_no_more_than(before) || deadline.is_over() {
                return held;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether no file, thread or name in shared memory came to those of before.
    fn has_no_more_than(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors
            && self.checkpoints <= MOST_CHECKPOINTS
            && self.threads <= before.threads
            && self.left_behind(before) == 0
    }

    /// Names in shared memory that are new since then.
    fn left_behind(&self, before: &Self) -> usize {
        self.shared.difference(&before.shared).count()
    }
}

/// What was held before something, in the middle of it, and after it.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) what: &'static str,
    pub(crate) before: Held,
    pub(crate) halfway: Held,
    pub(crate) after: Held,
}

impl Change {
    pub(crate) fn is_flat(&self) -> bool {
        self.after.has_no_more_than(&self.before) && self.after.memory_kib <= self.halfway.memory_kib + MEMORY_SLACK_KIB
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, before, halfway, after } = self;
        let mib = |held: &Held| held.memory_kib as f64 / 1_024.0;
        write!(
            formatter,
            "{what:<10} {:>7.1} -> {:>6.1} -> {:>6.1} {:>7} -> {:>3} {:>7} -> {:>3} {:>15}",
            mib(before),
            mib(halfway),
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
pub(crate) const HEADING: &str = "resources            memory, MiB       open files        threads  left in memory";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_and_left_open_is_seen() {
        let before = Held::now();
        let files: Vec<_> = (0..40).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(!Held::now().has_no_more_than(&before));
        drop(files);
        let shared = tempfile::tempdir_in("/dev/shm").unwrap();
        assert!(Held::now().left_behind(&before) > 0);
        drop(shared);
    }

    #[test]
    fn memory_that_goes_on_growing_in_the_second_half_is_not_flat() {
        let held =
            |memory_kib| Held { memory_kib, descriptors: 10, checkpoints: 1, threads: 8, shared: BTreeSet::new() };
        let change =
            |middle, end| Change { what: "test", before: held(10_000), halfway: held(middle), after: held(end) };
        assert!(change(18_000, 20_000).is_flat());
        assert!(!change(18_000, 26_000).is_flat());
    }
}
