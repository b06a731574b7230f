//! How many crashes of its workers a model is forgiven. Pure: time is an argument.
//!
//! Three crashes on the GPU within 5 minutes: this model stays on the CPU with this driver. Three on the CPU: it is
//! stopped and the user is told. 240 s of running without one forgive the oldest. The figures are those of Chromium's
//! GPU process (three, then a lower mode), VS Code's extension host (three in 5 minutes) and Firefox (240 s is stable).

/// Crashes that exhaust the budget.
const CRASHES: usize = 3;
/// Time after which a crash no longer counts, milliseconds.
const WINDOW_MS: u64 = 300_000;
/// Time of stable running that forgives one crash, milliseconds.
const STABLE_MS: u64 = 240_000;

/// Where a worker computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Some layers on the GPU.
    Gpu,
    /// None.
    Cpu,
}

/// What follows from a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another worker may try.
    GoOn,
    /// The model stays on the CPU.
    CpuOnly,
    /// The model is stopped.
    Stop,
}

/// The crashes of one model's workers that still count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrashBudget {
    gpu: Vec<u64>,
    cpu: Vec<u64>,
}

impl CrashBudget {
    /// A budget that begins with crashes on the GPU of earlier runs, milliseconds on the clock of every later call.
    pub fn with_gpu_crashes(times: Vec<u64>) -> Self {
        Self { gpu: times, cpu: Vec::new() }
    }

    /// Crashes on the GPU that still count, milliseconds.
    pub fn gpu_crashes(&self) -> &[u64] {
        &self.gpu
    }

    /// Notes a crash at `now` of a worker that had run since `since`, both in milliseconds, and tells what follows.
    pub fn crashed(&mut self, place: Place, since: u64, now: u64) -> Verdict {
        let (crashes, exhausted) = match place {
            Place::Gpu => (&mut self.gpu, Verdict::CpuOnly),
            Place::Cpu => (&mut self.cpu, Verdict::Stop),
        };
        let forgiven = usize::try_from(now.saturating_sub(since) / STABLE_MS).unwrap_or(usize::MAX);
        crashes.drain(..forgiven.min(crashes.len()));
        crashes.retain(|at| now.saturating_sub(*at) < WINDOW_MS);
        crashes.push(now);
        if crashes.len() >= CRASHES { exhausted } else { Verdict::GoOn }
    }

    /// The user wants it tried again.
    pub fn forgive(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;

    /// Lets workers crash at these seconds, each started where the one before ended.
    fn crash_at(place: Place, seconds: &[u64]) -> Vec<Verdict> {
        let mut budget = CrashBudget::default();
        let mut since = 0;
        let crash = |at: &u64| {
            let verdict = budget.crashed(place, since, at * SECOND);
            since = at * SECOND;
            verdict
        };
        seconds.iter().map(crash).collect()
    }

    #[test]
    fn three_crashes_in_five_minutes_exhaust_the_budget() {
        use Verdict::{CpuOnly, GoOn, Stop};
        assert_eq!(crash_at(Place::Gpu, &[10, 20, 30]), [GoOn, GoOn, CpuOnly]);
        assert_eq!(crash_at(Place::Cpu, &[10, 20, 30]), [GoOn, GoOn, Stop]);
        assert_eq!(crash_at(Place::Gpu, &[0, 150, 299]), [GoOn, GoOn, CpuOnly]);
        assert_eq!(crash_at(Place::Gpu, &[0, 150, 300]), [GoOn, GoOn, GoOn], "the first no longer counts");
    }

    #[test]
    fn stable_running_forgives_the_oldest() {
        use Verdict::GoOn;
        assert_eq!(crash_at(Place::Cpu, &[0, 10, 250]), [GoOn, GoOn, GoOn]);
        assert_eq!(crash_at(Place::Cpu, &[0, 10, 249]), [GoOn, GoOn, Verdict::Stop]);
    }

    #[test]
    fn the_two_places_are_counted_apart_and_the_user_can_start_over() {
        let mut budget = CrashBudget::with_gpu_crashes(vec![0, 1]);
        assert_eq!(budget.crashed(Place::Cpu, 0, 2), Verdict::GoOn);
        assert_eq!(budget.crashed(Place::Gpu, 0, 3), Verdict::CpuOnly);
        assert_eq!(budget.gpu_crashes(), [0, 1, 3]);
        budget.forgive();
        assert_eq!(budget.crashed(Place::Gpu, 0, 4), Verdict::GoOn);
    }
}
