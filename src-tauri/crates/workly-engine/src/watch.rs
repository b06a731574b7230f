//! When a worker counts as silent, dead or stuck. Pure: time comes in as an argument.

use std::time::{Duration, Instant};

/// How patient the supervisor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the start to the worker's hello.
    pub hello: Duration,
    /// Silence after which the user is told.
    pub silent: Duration,
    /// Silence after which the worker is ended.
    pub dead: Duration,
    /// Time without progress, though alive, after which the worker is ended.
    pub stuck: Duration,
    /// From being asked to stop to being ended.
    pub farewell: Duration,
}

impl Default for Patience {
    /// The user is to read of a silence within 2 s; one prompt chunk of a large model may take many seconds.
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(20),
            silent: Duration::from_millis(1_750),
            dead: Duration::from_secs(10),
            stuck: Duration::from_mins(2),
            farewell: Duration::from_secs(1),
        }
    }
}

/// What to make of a worker at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is at work, or has nothing to do.
    Fine,
    /// It has just become silent.
    FellSilent,
    /// It has just come back.
    Resumed,
    /// It has been silent for too long.
    Dead,
    /// It lives but gets nowhere.
    Stuck,
}

/// Keeps time of what a busy worker says.
#[derive(Debug)]
pub(crate) struct Watch {
    patience: Patience,
    heard: Instant,
    advanced: Instant,
    progress: u64,
    busy: bool,
    silent: bool,
}

impl Watch {
    pub(crate) const fn new(patience: Patience, now: Instant) -> Self {
        Self { patience, heard: now, advanced: now, progress: 0, busy: false, silent: false }
    }

    /// The worker has been given something to do, or has finished all it had.
    pub(crate) fn set_busy(&mut self, busy: bool, now: Instant) {
        if busy && !self.busy {
            self.heard = now;
            self.advanced = now;
        }
        self.busy = busy;
    }

    /// The worker said something that is in itself progress.
    pub(crate) fn heard_work(&mut self, now: Instant) {
        self.heard = now;
        self.advanced = now;
    }

    /// The worker said how far it is.
    pub(crate) fn heard_heartbeat(&mut self, progress: u64, now: Instant) {
        self.heard = now;
        if progress != self.progress {
            self.progress = progress;
            self.advanced = now;
        }
    }

    /// What to make of it at `now`. Each fall into silence and each return is told once.
    pub(crate) fn judge(&mut self, now: Instant) -> Verdict {
        let silence = now.saturating_duration_since(self.heard);
        let was_silent = self.silent;
        self.silent = self.busy && silence >= self.patience.silent;
        if !self.busy {
            return Verdict::Fine;
        }
        if silence >= self.patience.dead {
            Verdict::Dead
        } else if now.saturating_duration_since(self.advanced) >= self.patience.stuck {
            Verdict::Stuck
        } else {
            match (was_silent, self.silent) {
                (false, true) => Verdict::FellSilent,
                (true, false) => Verdict::Resumed,
                _ => Verdict::Fine,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn busy_watch(start: Instant) -> Watch {
        let mut watch = Watch::new(Patience::default(), start);
        watch.set_busy(true, start);
        watch
    }

    #[test]
    fn a_person_reads_of_a_silence_within_two_seconds() {
        let patience = Patience::default();
        assert!(patience.silent + crate::supervision::JUDGE_EVERY <= seconds(2.0));
        assert!(patience.silent > 4 * crate::protocol::HEARTBEAT_INTERVAL, "a few late heartbeats are no silence");
        assert!(patience.dead <= seconds(10.0));
    }

    #[test]
    fn silence_is_told_once_then_ends_in_death() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        assert_eq!(watch.judge(start + seconds(1.0)), Verdict::Fine);
        assert_eq!(watch.judge(start + seconds(1.9)), Verdict::FellSilent);
        assert_eq!(watch.judge(start + seconds(5.0)), Verdict::Fine);
        assert_eq!(watch.judge(start + seconds(10.0)), Verdict::Dead);
    }

    #[test]
    fn a_worker_that_comes_back_is_told() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        watch.judge(start + seconds(3.0));
        watch.heard_heartbeat(1, start + seconds(4.0));
        assert_eq!(watch.judge(start + seconds(4.1)), Verdict::Resumed);
        assert_eq!(watch.judge(start + seconds(4.2)), Verdict::Fine);
    }

    #[test]
    fn an_idle_worker_may_be_silent_for_ever() {
        let start = Instant::now();
        let mut watch = Watch::new(Patience::default(), start);
        assert_eq!(watch.judge(start + seconds(1e6)), Verdict::Fine);
        watch.set_busy(true, start + seconds(1e6));
        assert_eq!(watch.judge(start + seconds(1e6 + 1.0)), Verdict::Fine);
    }

    #[test]
    fn heartbeats_without_progress_do_not_count_as_work() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        for second in 1..120 {
            watch.heard_heartbeat(7, start + seconds(f64::from(second)));
            assert_eq!(watch.judge(start + seconds(f64::from(second))), Verdict::Fine);
        }
        watch.heard_heartbeat(7, start + seconds(121.5));
        assert_eq!(watch.judge(start + seconds(121.5)), Verdict::Stuck);
    }

    #[test]
    fn progress_resets_the_time() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        for second in 1..1000 {
            watch.heard_heartbeat(second, start + Duration::from_secs(second));
            assert_eq!(watch.judge(start + Duration::from_secs(second)), Verdict::Fine);
        }
    }
}
