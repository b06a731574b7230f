//! Deadlines that follow progress, for the tests of every crate. On a busy machine everything takes longer, so a clock
//! says little; what hangs, however, is silent and computes nothing.
#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses its own part")]

use std::time::{Duration, Instant};

/// Nothing heard for so long, and next to nothing computed in that time: it hangs.
const QUIET: Duration = Duration::from_secs(45);
/// Processor time within `QUIET` that counts as being at work; a program that lives and only waits takes less.
const WORK: Duration = Duration::from_millis(250);
/// Whatever is computed, a wait in which nothing was heard for so long is over: what turns in circles hangs as well.
const LONGEST: Duration = Duration::from_mins(10);
/// Time between two looks of a wait that polls.
const POLL: Duration = Duration::from_millis(5);

/// Whose processor time is progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// That of the processes below this one: a wait that polls computes itself.
    Children,
    /// That of this process as well.
    All,
}

/// When a wait is given up.
#[derive(Debug)]
pub(crate) struct Deadline {
    whose: Whose,
    /// When something was heard last.
    heard: Instant,
    /// Since when no work was seen.
    idle_since: Instant,
    /// What had been computed then.
    computed: Option<Duration>,
}

impl Deadline {
    /// For a wait that polls for what other processes do.
    pub(crate) fn of_children() -> Self {
        Self::of(Whose::Children)
    }

    /// For a wait that sleeps until it is told.
    pub(crate) fn of_all() -> Self {
        Self::of(Whose::All)
    }

    fn of(whose: Whose) -> Self {
        Self { whose, heard: Instant::now(), idle_since: Instant::now(), computed: None }
    }

    /// Something was heard: the wait begins anew.
    pub(crate) fn heard(&mut self) {
        *self = Self::of(self.whose);
    }

    /// Whether it is of no use to wait on.
    pub(crate) fn is_over(&mut self) -> bool {
        if self.idle_since.elapsed() < QUIET {
            return false;
        }
        let now = computed(self.whose);
        let before = self.computed.replace(now);
        self.idle_since = Instant::now();
        let is_idle = before.is_some_and(|before| now.saturating_sub(before) < WORK);
        is_idle || self.heard.elapsed() >= LONGEST
    }

    /// Time until it is worth asking whether it is over.
    pub(crate) fn next_look(&self) -> Duration {
        QUIET.saturating_sub(self.idle_since.elapsed())
    }
}

/// Polls until there is something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut deadline = Deadline::of_children();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!deadline.is_over(), "waited in vain for {what}");
        std::thread::sleep(POLL);
    }
}

/// Waits for the end of a future that polls nothing.
pub(crate) async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    unless_it_hangs(future).await.unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// The same for a future that may hang.
pub(crate) async fn unless_it_hangs<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut deadline = Deadline::of_all();
    loop {
        if let Ok(output) = tokio::time::timeout(deadline.next_look(), &mut future).await {
            return Some(output);
        }
        if deadline.is_over() {
            return None;
        }
    }
}

/// The next message of a channel; `None` when there will be none.
pub(crate) fn receive<T>(what: &str, channel: &std::sync::mpsc::Receiver<T>) -> Option<T> {
    use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
    let mut deadline = Deadline::of_all();
    loop {
        match channel.recv_timeout(deadline.next_look()) {
            Ok(message) => return Some(message),
            Err(Disconnected) => return None,
            Err(Timeout) if deadline.is_over() => panic!("waited in vain for {what}"),
            Err(Timeout) => {}
        }
    }
}

/// Processor time that this process and all below it have taken.
#[cfg(target_os = "linux")]
pub(crate) fn computed(whose: Whose) -> Duration {
    use std::collections::HashMap;
    /// Linux counts the time of processes in hundredths of a second on every machine.
    const TICK_MS: u64 = 10;
    let own = std::process::id();
    let stats: HashMap<u32, Stat> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            Some((id, Stat::read(&std::fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect();
    let is_below = |mut id: u32| loop {
        match stats.get(&id) {
            Some(stat) if stat.parent == own => return true,
            Some(stat) if stat.parent > 1 => id = stat.parent,
            _ => return false,
        }
    };
    let below: u64 =
        stats.iter().filter(|(id, _)| is_below(**id)).map(|(_, stat)| stat.own + stat.ended_children).sum();
    let here = stats.get(&own).map_or(0, |stat| stat.ended_children + if whose == Whose::All { stat.own } else { 0 });
    Duration::from_millis((below + here) * TICK_MS)
}

/// Elsewhere the clock alone decides.
#[cfg(not(target_os = "linux"))]
pub(crate) fn computed(_: Whose) -> Duration {
    Duration::ZERO
}

/// What `/proc/PID/stat` says of a process; times in ticks.
#[cfg(target_os = "linux")]
struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

#[cfg(target_os = "linux")]
impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The name before the last parenthesis may hold anything.
        let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}
