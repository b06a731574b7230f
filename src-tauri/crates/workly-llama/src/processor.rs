//! What keeps the processor busy: this process, and the programs that go before it.

use std::time::{Duration, Instant};

/// Shorter, and the system's clock ticks are too coarse to say anything.
const SHORTEST: Duration = Duration::from_millis(90);

/// What the processor did between two looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Busy {
    /// Cores that programs which go before us kept busy.
    pub(crate) others: f64,
    /// Cores that this process used.
    pub(crate) own: f64,
}

/// The counters at a look.
#[derive(Debug, Clone, Copy)]
struct Counters {
    at: Instant,
    /// Seconds of all cores, of programs that are not nice, since the system started.
    others: f64,
    /// Seconds of this process since it started.
    own: f64,
}

/// Looks at the processor.
#[derive(Debug, Default)]
pub(crate) struct Processor {
    last: Option<Counters>,
}

impl Processor {
    /// Begins to look: what was before does not count.
    pub(crate) fn begin(&mut self) {
        self.last = counters();
    }

    /// What happened since the last look; `None` where that was a moment ago, or the system does not tell.
    pub(crate) fn look(&mut self) -> Option<Busy> {
        let last = self.last.as_ref()?;
        if last.at.elapsed() < SHORTEST {
            return None;
        }
        let now = counters()?;
        let seconds = now.at.duration_since(last.at).as_secs_f64();
        let busy = Busy {
            others: ((now.others - last.others) / seconds).max(0.0),
            own: ((now.own - last.own) / seconds).max(0.0),
        };
        self.last = Some(now);
        Some(busy)
    }
}

#[cfg(target_os = "linux")]
fn counters() -> Option<Counters> {
    let at = Instant::now();
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let own = own_seconds();
    // This process counts among the nice where it gives way, and among the others where it does not.
    let ours = if is_nice() { own.system } else { own.user + own.system };
    Some(Counters { at, others: not_nice(&text)? / ticks - ours, own: own.user + own.system })
}

/// Clock ticks of all cores in which neither the nice ran nor nobody; hypervisors take theirs too.
#[cfg(target_os = "linux")]
fn not_nice(stat: &str) -> Option<f64> {
    let all = stat.lines().next()?.strip_prefix("cpu ")?;
    let mut ticks = all.split_ascii_whitespace().map(|ticks| ticks.parse::<u64>().ok());
    let mut next = || ticks.next().flatten();
    let (user, _nice, system, _idle, _io) = (next()?, next()?, next()?, next()?, next()?);
    let rest: u64 = (0..3).map_while(|_| next()).sum();
    Some((user + system + rest) as f64)
}

#[cfg(target_os = "linux")]
struct Seconds {
    user: f64,
    system: f64,
}

#[cfg(target_os = "linux")]
fn own_seconds() -> Seconds {
    let usage = nix_usage();
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Seconds { user: seconds(usage.ru_utime), system: seconds(usage.ru_stime) }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std does not tell how long a process computed")]
fn nix_usage() -> libc::rusage {
    // SAFETY: all zeros is a value of this type of numbers, which the call then fills in.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    }
}

#[cfg(target_os = "linux")]
fn is_nice() -> bool {
    rustix::process::getpriority_process(None).is_ok_and(|priority| priority > 0)
}

/// Elsewhere as the system's own monitor tells it.
#[cfg(not(target_os = "linux"))]
fn counters() -> Option<Counters> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_the_nice_did_and_what_nobody_did_does_not_count() {
        let stat = "cpu  100 2000 30 40000 500 6 7 8 900 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(not_nice(stat), Some(151.0));
        // Older kernels tell fewer.
        assert_eq!(not_nice("cpu  1 2 3 4 5\n"), Some(4.0));
        for other in ["", "cpu", "cpu  1 2 x 4 5", "intr 1 2 3 4 5"] {
            assert_eq!(not_nice(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_thread_that_computes_is_seen_as_our_own_and_not_as_another_program() {
        let mut processor = Processor::default();
        assert_eq!(processor.look(), None, "nothing was begun");
        processor.begin();
        assert_eq!(processor.look(), None, "a moment ago");
        let began = Instant::now();
        let mut sum = 0_u64;
        while began.elapsed() < 2 * SHORTEST {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        let busy = processor.look().unwrap();
        assert!(busy.own > 0.02, "{busy:?}");
        assert!(busy.others.is_finite());
    }
}
