//! How many threads compute an answer while other programs want the processor too. Pure.
//!
//! llama.cpp's threads meet some hundred times a token. Where one of them has to share its core with another program, all
//! of them wait for it, so that two threads on one and a half free cores are slower than one.

/// What is left of a core that counts as a free one: everybody's background takes a little all the time.
const NEARLY_FREE: f64 = 0.35;
/// Share of a core that our own threads may leave unused while they compute: they wait for each other.
const OWN_WAITING: f64 = 0.3;
/// Looks in a row at which there has to be room before another thread begins.
const FIRST_HOLD: u32 = 4;
/// Most looks of such a hold, which doubles each time that another thread was a mistake.
const LONGEST_HOLD: u32 = 64;
/// Looks after another thread began during which taking it back counts as a mistake.
const ON_TRIAL: u32 = 8;
/// Looks without a change after which a mistake is forgotten by half.
const FORGIVEN_AFTER: u32 = 80;
/// How much longer a token may take with more threads, as a factor, before that counts as a mistake.
const NO_SLOWER: f64 = 1.05;
/// The share of the newest look in the time of a token at a number of threads.
const NEWEST: f64 = 0.4;

/// What was seen since the last look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Cores that programs that go before us kept busy: 1.5 is one and a half.
    pub others: f64,
    /// Cores that our own threads used, where they compute all the time; `None` where they also wait for a GPU.
    pub own: Option<f64>,
    /// Seconds that a token took on average; `None` where none was written.
    pub seconds_per_token: Option<f64>,
}

/// Follows the free cores.
#[derive(Debug, Clone)]
pub struct ThreadFollower {
    most: u32,
    cores: f64,
    present: u32,
    /// Seconds per token at each number of threads, from 1 on, as lately seen.
    seconds: Vec<Option<f64>>,
    /// Looks in a row that found room for more.
    room_for: u32,
    hold: u32,
    /// Looks since the number changed last, and whether it grew then.
    since_change: u32,
    has_grown: bool,
}

impl ThreadFollower {
    /// Begins with `most` threads, on a machine with so many `cores` for this process.
    pub fn new(most: u32, cores: u32) -> Self {
        let most = most.max(1);
        Self {
            most,
            cores: f64::from(cores.max(1)),
            present: most,
            seconds: vec![None; most as usize],
            room_for: 0,
            hold: FIRST_HOLD,
            since_change: 0,
            has_grown: false,
        }
    }

    /// The number of threads now.
    pub const fn threads(&self) -> u32 {
        self.present
    }

    /// Takes in what was seen since the last look, and returns the number of threads from now on: fewer at once, more
    /// only after a hold.
    pub fn look(&mut self, look: Look) -> u32 {
        self.since_change = self.since_change.saturating_add(1);
        if self.since_change.is_multiple_of(FORGIVEN_AFTER) {
            self.hold = (self.hold / 2).max(FIRST_HOLD);
        }
        if let Some(now) = look.seconds_per_token {
            let known = &mut self.seconds[self.present as usize - 1];
            *known = Some(known.map_or(now, |before| before + NEWEST * (now - before)));
        }
        let wanted = self.room(look);
        if wanted < self.present {
            self.shrink_to(wanted);
        } else if let Some(before) = self.better_before() {
            self.shrink_to(before);
        } else if wanted > self.present {
            self.room_for += 1;
            if self.room_for >= self.hold {
                self.change_to(wanted, true);
            }
        } else {
            self.room_for = 0;
        }
        self.present
    }

    /// The threads that there is room for.
    fn room(&self, look: Look) -> u32 {
        // Programs of our own rank are not seen as such, but our threads come short beside them.
        let short = look.own.map_or(0.0, |own| f64::from(self.present) - own - OWN_WAITING);
        let free = self.cores - look.others.max(short).max(0.0);
        // Nothing is left of a negative number, and a float too large is the most.
        ((free + NEARLY_FREE).floor().max(1.0) as u32).min(self.most)
    }

    /// Where more threads made tokens slower: how many there were before.
    fn better_before(&self) -> Option<u32> {
        let is_on_trial = self.has_grown && (2..=ON_TRIAL).contains(&self.since_change);
        let at = |threads: u32| Some((threads, self.seconds.get(threads as usize - 1).copied().flatten()?));
        let (before, then) = (1..self.present).rev().find_map(at).filter(|_| is_on_trial)?;
        let (_, now) = at(self.present)?;
        (now > then * NO_SLOWER).then_some(before)
    }

    fn shrink_to(&mut self, threads: u32) {
        if self.has_grown && self.since_change <= ON_TRIAL {
            self.hold = (self.hold * 2).min(LONGEST_HOLD);
        }
        self.change_to(threads, false);
    }

    fn change_to(&mut self, threads: u32, has_grown: bool) {
        self.present = threads;
        self.has_grown = has_grown;
        self.since_change = 0;
        self.room_for = 0;
        if has_grown {
            // What was seen there before was seen under another load.
            self.seconds[threads as usize - 1] = None;
        }
    }
}

#[cfg(test)]
mod tests;
