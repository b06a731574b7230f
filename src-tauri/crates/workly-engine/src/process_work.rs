//! What the system tells of a process that reads.

/// Bytes of growth that count as work: a driver that looks at its own small files all the time does not load.
const STEP_BYTES: u64 = 1 << 20;

/// What a process has read so far. The figures overlap, so they are not added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ProcessWork {
    /// Bytes that it asked of files.
    pub(crate) read: u64,
    /// Bytes that came from a disk for it.
    pub(crate) fetched: u64,
    /// Bytes of memory-mapped files that it had to wait for.
    pub(crate) faulted: u64,
    /// Bytes of memory that it holds.
    pub(crate) resident: u64,
}

impl ProcessWork {
    /// Whether it has read something worth naming since.
    pub(crate) const fn is_beyond(&self, earlier: &Self) -> bool {
        const fn grew(now: u64, before: u64) -> bool {
            now >= before.saturating_add(STEP_BYTES)
        }
        grew(self.read, earlier.read)
            || grew(self.fetched, earlier.fetched)
            || grew(self.faulted, earlier.faulted)
            || grew(self.resident, earlier.resident)
    }

    /// What the system tells of a process now; `None` where it tells nothing.
    #[cfg(target_os = "linux")]
    pub(crate) fn of(process_id: u32) -> Option<Self> {
        let page = rustix::param::page_size() as u64;
        let tell = |file: &str| std::fs::read_to_string(format!("/proc/{process_id}/{file}")).ok();
        let stat = tell("stat")?;
        // A process that lets no one look into it hides what it read, and shows the rest.
        let io = tell("io").unwrap_or_default();
        let read_so_far = |name: &str| {
            let line = io.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
        };
        // After the name, which may contain anything, field 3 is the first.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let major_faults: u64 = fields.nth(12 - 3)?.parse().ok()?;
        let resident_pages: u64 = fields.nth(24 - 13)?.parse().ok()?;
        Some(Self {
            read: read_so_far("rchar:"),
            fetched: read_so_far("read_bytes:"),
            faulted: major_faults.saturating_mul(page),
            resident: resident_pages.saturating_mul(page),
        })
    }

    /// Nobody tells here.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(_process_id: u32) -> Option<Self> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_this_process_reads_and_holds_is_seen() {
        let before = ProcessWork::of(std::process::id()).unwrap();
        assert!(!before.is_beyond(&before));
        std::io::copy(&mut std::fs::File::open("/dev/zero").unwrap().take(4 << 20), &mut std::io::sink()).unwrap();
        let after = ProcessWork::of(std::process::id()).unwrap();
        assert!(after.read >= before.read + (4 << 20), "{before:?} {after:?}");
        assert!(after.is_beyond(&before));

        let held = vec![1_u8; 64 << 20];
        let holding = ProcessWork::of(std::process::id()).unwrap();
        assert!(holding.resident >= 64 << 20, "{holding:?} with {} bytes", held.len());
        assert_eq!(ProcessWork::of(u32::MAX), None);
    }

    #[test]
    fn a_little_reading_is_no_work() {
        let mark = ProcessWork { read: 10 << 20, ..ProcessWork::default() };
        assert!(!ProcessWork { read: mark.read + 4_096, resident: 4_096, ..mark }.is_beyond(&mark));
        assert!(ProcessWork { faulted: 1 << 20, ..mark }.is_beyond(&mark));
        assert!(!ProcessWork { read: 0, ..mark }.is_beyond(&mark));
    }
}
