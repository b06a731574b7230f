//! When the library looks again by itself. No clock in here: times come in.

use std::time::{Duration, Instant};

/// How long folders must be quiet before they are searched again, and the longest that is waited for.
const QUIET: Duration = Duration::from_millis(300);
const AT_MOST: Duration = Duration::from_secs(3);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Folders changed: search them.
    Search,
    /// Look at the figures that nobody tells of.
    Tick,
}

/// What is due and when. Only what was done moves a deadline; what else happens meanwhile does not.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Time between two ticks.
    every: Duration,
    tick: Instant,
    /// When folders that changed are searched, at the latest and at the earliest.
    search: Option<(Instant, Instant)>,
}

impl Schedule {
    /// A tick after this time, and after each look again.
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Self { every, tick: now + every, search: None }
    }

    /// Something changed in a folder.
    pub(super) fn changed(&mut self, now: Instant) {
        let latest = self.search.map_or(now + AT_MOST, |(latest, _)| latest);
        self.search = Some((latest, now + QUIET));
    }

    /// All folders were searched.
    pub(super) fn searched(&mut self, now: Instant) {
        self.search = None;
        self.tick = now + self.every;
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Instant {
        let search = self.search.map(|(latest, earliest)| latest.min(earliest));
        search.map_or(self.tick, |search| search.min(self.tick))
    }

    /// What is due now. A tick is given once, a search until it is done.
    pub(super) fn take(&mut self, now: Instant) -> Option<Due> {
        if self.search.is_some_and(|(latest, earliest)| latest.min(earliest) <= now) {
            return Some(Due::Search);
        }
        (self.tick <= now).then(|| {
            self.tick = now + self.every;
            Due::Tick
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    #[test]
    fn a_tick_comes_in_time_whatever_is_told_meanwhile() {
        let start = Instant::now();
        let mut schedule = Schedule::new(EVERY, start);
        let mut ticks = Vec::new();
        // A card is told of every half second, which the schedule does not hear of.
        for half in 1..=200u32 {
            let now = start + Duration::from_millis(500) * half;
            if schedule.take(now) == Some(Due::Tick) {
                ticks.push((now - start).as_secs());
            }
            assert!(schedule.next() > now);
        }
        assert_eq!(ticks, [30, 60, 90]);
    }

    #[test]
    fn folders_are_searched_once_they_are_quiet_or_after_a_while() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut schedule = Schedule::new(EVERY, start);
        schedule.changed(at(0));
        assert_eq!((schedule.take(at(299)), schedule.take(at(300))), (None, Some(Due::Search)));
        schedule.searched(at(300));
        assert_eq!(schedule.take(at(300)), None);
        let mut now = 1_000;
        while schedule.take(at(now)).is_none() {
            schedule.changed(at(now));
            now += 200;
        }
        assert_eq!(now, 4_000, "changes without an end are waited for no longer than three seconds");
    }
}
