//! When to look at the card, and how much to ask. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two looks at the memory while the guard is on.
const GUARD: Duration = Duration::from_millis(500);
/// Time between two looks while memory that was given back is awaited.
const SETTLING: Duration = Duration::from_millis(250);
/// Time after which a first reading over the line is repeated.
const REREAD: Duration = Duration::from_millis(250);
/// Least time between two readings of temperature and power.
const SENSORS: Duration = Duration::from_secs(10);

/// How closely the card is to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    /// Full readings at the interval: a model is loaded, or somebody looks.
    pub(super) full: bool,
    /// The memory in between: a model is on the card, or a clock towards it runs.
    pub(super) guard: bool,
    /// The memory more often still: some of it was given back and is awaited.
    pub(super) settling: bool,
    /// Time between full readings.
    pub(super) interval: Duration,
}

/// What is to be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) full: bool,
    pub(super) sensors: bool,
}

/// The times of the next looks. They lie on a grid: one that is late does not delay those after it.
#[derive(Debug)]
pub(super) struct Cadence {
    demand: Demand,
    full: Instant,
    guard: Instant,
    sensors: Instant,
    reread: Option<Instant>,
}

impl Cadence {
    pub(super) fn new(now: Instant) -> Self {
        let demand = Demand { full: false, guard: false, settling: false, interval: Duration::from_secs(5) };
        Self { demand, full: now, guard: now, sensors: now, reread: None }
    }

    /// Takes a new demand: what begins now is due now, and a shorter interval counts from now.
    pub(super) fn adapt(&mut self, demand: Demand, now: Instant) {
        if demand.full && !self.demand.full {
            self.full = self.full.max(now);
        }
        if (demand.guard && !self.demand.guard) || (demand.settling && !self.demand.settling) {
            self.guard = now;
        }
        self.full = self.full.min(now + demand.interval);
        self.reread = self.reread.filter(|_| demand.guard);
        self.demand = demand;
    }

    /// When to look next; `None`: not at all.
    pub(super) fn next(&self) -> Option<Instant> {
        let regular = match self.demand {
            // A full reading waits for the guard's next look, so that the memory is asked for once.
            Demand { guard: true, .. } => Some(self.guard),
            Demand { full: true, .. } => Some(self.full),
            _ => None,
        };
        regular.into_iter().chain(self.reread).min()
    }

    /// What is due now, if anything; it is then no longer due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        let repeat = self.reread.take_if(|at| *at <= now).is_some();
        let regular = if self.demand.guard { self.guard <= now } else { self.demand.full && self.full <= now };
        if self.demand.guard && regular {
            advance(&mut self.guard, if self.demand.settling { SETTLING } else { GUARD }, now);
        }
        let full = regular && self.demand.full && self.full <= now;
        let tick = self.full;
        if full {
            advance(&mut self.full, self.demand.interval, now);
        }
        let sensors = full && self.sensors <= tick;
        if sensors {
            self.sensors = tick + SENSORS;
        }
        (regular || repeat).then_some(Due { full, sensors })
    }

    /// A full reading is wanted now.
    pub(super) fn hurry(&mut self, now: Instant) {
        (self.full, self.guard) = (self.full.min(now), self.guard.min(now));
    }

    /// A reading was over the line that was not before: look again soon.
    pub(super) fn repeat_soon(&mut self, now: Instant) {
        if self.demand.guard {
            self.reread = Some(now + REREAD);
        }
    }
}

fn advance(at: &mut Instant, step: Duration, now: Instant) {
    *at += step;
    if *at <= now {
        *at = now + step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(full: bool, guard: bool, seconds: u64) -> Demand {
        Demand { full, guard, settling: false, interval: Duration::from_secs(seconds) }
    }

    /// Looks for so many seconds and counts all looks, the full ones and those at the sensors.
    fn count(cadence: &mut Cadence, start: Instant, seconds: u64) -> (u32, u32, u32) {
        let (mut all, mut full, mut sensors) = (0, 0, 0);
        while let Some(at) = cadence.next().filter(|at| *at < start + Duration::from_secs(seconds)) {
            // Timers fire a little late.
            if let Some(due) = cadence.take_due(at + Duration::from_millis(1)) {
                all += 1;
                full += u32::from(due.full);
                sensors += u32::from(due.sensors);
            }
        }
        (all, full, sensors)
    }

    #[test]
    fn an_hour_with_the_guard_on_asks_no_more_than_it_may() {
        let start = Instant::now();
        let mut cadence = Cadence::new(start);
        cadence.adapt(demand(true, true, 5), start);
        assert_eq!(count(&mut cadence, start, 3600), (7200, 720, 360));
    }

    #[test]
    fn a_guard_that_comes_on_between_two_full_readings_adds_no_look_for_them() {
        let start = Instant::now();
        let mut cadence = Cadence::new(start);
        cadence.adapt(demand(true, false, 5), start);
        cadence.take_due(start);
        let later = start + Duration::from_millis(1234);
        cadence.adapt(demand(true, true, 5), later);
        let (all, full, _) = count(&mut cadence, later, 3600);
        assert!(all <= 7200 && full <= 720, "{all} {full}");
    }

    #[test]
    fn nothing_is_due_while_nobody_asks_and_the_first_look_is_at_once() {
        let start = Instant::now();
        let mut cadence = Cadence::new(start);
        assert_eq!((cadence.next(), cadence.take_due(start)), (None, None));
        let later = start + Duration::from_secs(100);
        cadence.adapt(demand(true, false, 5), later);
        assert_eq!(cadence.next(), Some(later));
        assert_eq!(cadence.take_due(later), Some(Due { full: true, sensors: true }));
        assert_eq!(cadence.next(), Some(later + Duration::from_secs(5)));
    }

    #[test]
    fn a_reading_over_the_line_is_repeated_once_after_a_quarter_of_a_second() {
        let start = Instant::now();
        let mut cadence = Cadence::new(start);
        cadence.adapt(demand(true, true, 5), start);
        cadence.take_due(start);
        cadence.repeat_soon(start);
        let soon = start + Duration::from_millis(250);
        assert_eq!(cadence.next(), Some(soon));
        assert_eq!(cadence.take_due(soon), Some(Due { full: false, sensors: false }));
        assert_eq!(cadence.next(), Some(start + GUARD));
    }

    #[test]
    fn a_shorter_interval_counts_from_now_and_a_machine_that_slept_does_not_catch_up() {
        let start = Instant::now();
        let mut cadence = Cadence::new(start);
        cadence.adapt(demand(true, false, 60), start);
        cadence.take_due(start);
        cadence.adapt(demand(true, false, 2), start);
        assert_eq!(cadence.next(), Some(start + Duration::from_secs(2)));
        let late = start + Duration::from_secs(1000);
        assert!(cadence.take_due(late).is_some());
        assert_eq!(cadence.next(), Some(late + Duration::from_secs(2)));
    }
}
