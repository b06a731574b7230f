//! When a worker counts as silent, dead or stuck. Pure: time comes in as an argument.

use std::time::{Duration, Instant};

use crate::process_work::ProcessWork;

/// How often a busy worker is judged.
pub(crate) const JUDGE_EVERY: Duration = Duration::from_millis(100);
/// How late a round may come before it means that the supervisor itself was held up.
const LATE_AFTER: Duration = Duration::from_millis(500);
/// How many times longer a load may take that nobody can look into.
const UNSEEN_LOADS: u32 = 10;

/// How patient the supervisor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the start to the worker's hello.
    pub hello: Duration,
    /// Silence after which the user is told.
    pub silent: Duration,
    /// Silence after which the worker is ended.
    pub dead: Duration,
    /// Time without progress, though alive, after which the worker is ended. While it reads a model, what its process
    /// reads counts as progress; where the system does not tell that, ten times as long.
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
pub(crate) enum Judgement {
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

/// The rounds in which a worker is judged. The supervisor may be paused between two: by a stop signal, a frozen
/// container, a machine that swaps. That time is nobody's silence.
#[derive(Debug)]
pub(crate) struct Rounds {
    last: Instant,
}

impl Rounds {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { last: now }
    }

    /// A round begins. Tells the time since the last one for which the supervisor was away.
    pub(crate) fn missed(&mut self, now: Instant) -> Duration {
        let gap = now.saturating_duration_since(self.last);
        self.last = now;
        if gap > LATE_AFTER { gap.saturating_sub(JUDGE_EVERY) } else { Duration::ZERO }
    }
}

/// A load, as the system sees its process.
#[derive(Debug, Clone, Copy)]
enum Load {
    /// None is under way.
    None,
    /// Nobody can tell what it reads.
    Unseen,
    /// It had read so much when it last got on.
    Seen { work: ProcessWork, advanced: Instant },
}

/// Keeps time of what a busy worker says, and while it loads of what it reads.
#[derive(Debug)]
pub(crate) struct Watch {
    patience: Patience,
    rounds: Rounds,
    heard: Instant,
    advanced: Instant,
    progress: u64,
    load: Load,
    busy: bool,
    silent: bool,
}

impl Watch {
    pub(crate) const fn new(patience: Patience, now: Instant) -> Self {
        let rounds = Rounds::new(now);
        Self { patience, rounds, heard: now, advanced: now, progress: 0, load: Load::None, busy: false, silent: false }
    }

    /// The worker has been given something to do, or has finished all it had.
    pub(crate) fn set_busy(&mut self, busy: bool, now: Instant) {
        if busy && !self.busy {
            self.heard = now;
            self.advanced = now;
            // An idle worker is not judged.
            self.rounds = Rounds::new(now);
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

    /// A round begins at `now`: what the supervisor missed before it is not the worker's.
    pub(crate) fn begin_round(&mut self, now: Instant) {
        let missed = self.rounds.missed(now);
        let later = |instant: Instant| (instant + missed).min(now);
        self.heard = later(self.heard);
        self.advanced = later(self.advanced);
        if let Load::Seen { advanced, .. } = &mut self.load {
            *advanced = later(*advanced);
        }
    }

    /// The worker reads a model, and this is what the system tells of that.
    pub(crate) fn saw_load(&mut self, seen: Option<ProcessWork>, now: Instant) {
        self.load = match (self.load, seen) {
            (_, None) => Load::Unseen,
            (Load::Seen { work, advanced }, Some(seen)) if !seen.is_beyond(&work) => Load::Seen { work, advanced },
            (Load::Seen { .. }, Some(work)) => Load::Seen { work, advanced: now },
            // The first look tells nothing of what was read before.
            (Load::None | Load::Unseen, Some(work)) => Load::Seen { work, advanced: self.advanced },
        };
    }

    /// The worker reads no model.
    pub(crate) const fn saw_no_load(&mut self) {
        self.load = Load::None;
    }

    /// What to make of it at `now`. Each fall into silence and each return is told once.
    pub(crate) fn judge(&mut self, now: Instant) -> Judgement {
        let since = |instant: Instant| now.saturating_duration_since(instant);
        let was_silent = self.silent;
        self.silent = self.busy && since(self.heard) >= self.patience.silent;
        if !self.busy {
            return Judgement::Fine;
        }
        let (alive, advanced, stuck) = match self.load {
            Load::None => (self.heard, self.advanced, self.patience.stuck),
            Load::Unseen => (self.heard, self.advanced, self.patience.stuck * UNSEEN_LOADS),
            Load::Seen { advanced, .. } => (self.heard.max(advanced), self.advanced.max(advanced), self.patience.stuck),
        };
        if since(alive) >= self.patience.dead {
            Judgement::Dead
        } else if since(advanced) >= stuck {
            Judgement::Stuck
        } else {
            match (was_silent, self.silent) {
                (false, true) => Judgement::FellSilent,
                (true, false) => Judgement::Resumed,
                _ => Judgement::Fine,
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
        assert!(patience.silent + JUDGE_EVERY <= seconds(2.0));
        assert!(patience.silent > 4 * crate::protocol::HEARTBEAT_INTERVAL, "a few late heartbeats are no silence");
        assert!(patience.dead <= seconds(10.0));
    }

    #[test]
    fn silence_is_told_once_then_ends_in_death() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        assert_eq!(watch.judge(start + seconds(1.0)), Judgement::Fine);
        assert_eq!(watch.judge(start + seconds(1.9)), Judgement::FellSilent);
        assert_eq!(watch.judge(start + seconds(5.0)), Judgement::Fine);
        assert_eq!(watch.judge(start + seconds(10.0)), Judgement::Dead);
    }

    #[test]
    fn a_worker_that_comes_back_is_told() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        watch.judge(start + seconds(3.0));
        watch.heard_heartbeat(1, start + seconds(4.0));
        assert_eq!(watch.judge(start + seconds(4.1)), Judgement::Resumed);
        assert_eq!(watch.judge(start + seconds(4.2)), Judgement::Fine);
    }

    #[test]
    fn an_idle_worker_may_be_silent_for_ever() {
        let start = Instant::now();
        let mut watch = Watch::new(Patience::default(), start);
        assert_eq!(watch.judge(start + seconds(1e6)), Judgement::Fine);
        watch.set_busy(true, start + seconds(1e6));
        assert_eq!(watch.judge(start + seconds(1e6 + 1.0)), Judgement::Fine);
    }

    #[test]
    fn heartbeats_without_progress_do_not_count_as_work() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        for second in 1..120 {
            watch.heard_heartbeat(7, start + seconds(f64::from(second)));
            assert_eq!(watch.judge(start + seconds(f64::from(second))), Judgement::Fine);
        }
        watch.heard_heartbeat(7, start + seconds(121.5));
        assert_eq!(watch.judge(start + seconds(121.5)), Judgement::Stuck);
    }

    #[test]
    fn progress_resets_the_time() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        for second in 1..1000 {
            watch.heard_heartbeat(second, start + Duration::from_secs(second));
            assert_eq!(watch.judge(start + Duration::from_secs(second)), Judgement::Fine);
        }
    }

    /// Judges in rounds from `from` to `to`, seconds after `start`, and tells what was made of the worker.
    fn rounds(watch: &mut Watch, start: Instant, from: f64, to: f64) -> Vec<Judgement> {
        let first = (from * 10.0).ceil() as u32;
        let rounds = (first..).map(|round| start + JUDGE_EVERY * round).take_while(|now| *now <= start + seconds(to));
        let judged = rounds.map(|now| {
            watch.begin_round(now);
            watch.judge(now)
        });
        judged.filter(|judgement| *judgement != Judgement::Fine).collect()
    }

    #[test]
    fn a_supervisor_that_was_paused_blames_nobody() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        assert_eq!(rounds(&mut watch, start, 0.0, 1.0), []);
        assert_eq!(rounds(&mut watch, start, 600.0, 600.5), [], "ten minutes passed in which nobody listened");
        assert_eq!(rounds(&mut watch, start, 600.6, 620.0).last(), Some(&Judgement::Dead), "now it was listened to");
    }

    #[test]
    fn a_pause_is_not_charged_to_what_follows_an_idle_time() {
        let start = Instant::now();
        let mut watch = Watch::new(Patience::default(), start);
        watch.set_busy(true, start + seconds(500.0));
        let told = rounds(&mut watch, start, 500.1, 511.0);
        assert_eq!(told[..2], [Judgement::FellSilent, Judgement::Dead], "the idle time did not put its end off");
    }

    #[test]
    fn a_load_that_reads_on_is_never_ended() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        for second in 0..1_000_u32 {
            let now = start + seconds(f64::from(second));
            let read = u64::from(second) << 20;
            watch.begin_round(now);
            watch.heard_heartbeat(7, now);
            watch.saw_load(Some(ProcessWork { read, ..ProcessWork::default() }), now);
            assert_eq!(watch.judge(now), Judgement::Fine, "second {second}");
        }
        let mark = ProcessWork { read: 999 << 20, ..ProcessWork::default() };
        let ended = (1_000..2_000).find(|second| {
            let now = start + seconds(f64::from(*second));
            watch.heard_heartbeat(7, now);
            watch.saw_load(Some(mark), now);
            watch.judge(now) == Judgement::Stuck
        });
        assert_eq!(ended, Some(999 + 120), "it stopped reading after second 999");
    }

    #[test]
    fn a_load_that_reads_on_may_be_silent() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        let mut told = Vec::new();
        for second in 0..60_u32 {
            let now = start + seconds(f64::from(second));
            watch.saw_load(Some(ProcessWork { resident: u64::from(second) << 22, ..ProcessWork::default() }), now);
            told.push(watch.judge(now));
        }
        told.retain(|judgement| *judgement != Judgement::Fine);
        assert_eq!(told, [Judgement::FellSilent], "the silence is told, and nothing is done about it");
        watch.saw_no_load();
        assert_eq!(watch.judge(start + seconds(60.0)), Judgement::Dead);
    }

    #[test]
    fn a_load_that_nobody_sees_may_take_long() {
        let start = Instant::now();
        let mut watch = busy_watch(start);
        let mut ended = None;
        for second in 1..10_000_u32 {
            let now = start + seconds(f64::from(second));
            watch.heard_heartbeat(7, now);
            watch.saw_load(None, now);
            if watch.judge(now) == Judgement::Stuck {
                ended = Some(second);
                break;
            }
        }
        assert_eq!(ended, Some(1_201));
    }
}
