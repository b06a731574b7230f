//! How many threads compute: as many as were asked for, or as many as there are free cores.

use std::time::{Duration, Instant};

use workly_core::thread_follow::{Look, ThreadFollower};

use crate::processor::Processor;

/// How often it is looked while an answer is written.
const EVERY: Duration = Duration::from_millis(250);
/// After a pause nothing is known, and the first look is not waited for so long.
const FIRST: Duration = Duration::from_millis(100);

/// The threads of a model's context.
#[derive(Debug)]
pub(crate) struct Threads {
    follower: Option<ThreadFollower>,
    /// Whether our threads compute all the time, and wait for no GPU.
    compute_alone: bool,
    processor: Processor,
    due: Instant,
    /// Single tokens since the last look, and the seconds they took.
    tokens: u32,
    seconds: f64,
}

impl Threads {
    /// `follow`: they follow the free cores, from `most` down. `compute_alone`: no GPU takes part.
    pub(crate) fn new(most: u32, follow: bool, compute_alone: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(most, |cores| cores.get() as u32);
        Self {
            follower: (follow && most > 1).then(|| ThreadFollower::new(most, cores)),
            compute_alone,
            processor: Processor::default(),
            due: Instant::now(),
            tokens: 0,
            seconds: 0.0,
        }
    }

    /// Work begins after a pause.
    pub(crate) fn begin(&mut self) {
        if self.follower.is_some() {
            self.processor.begin();
            self.due = Instant::now() + FIRST;
            (self.tokens, self.seconds) = (0, 0.0);
        }
    }

    /// A piece of work of so many tokens took so long. Returns the threads for the next one, where they change.
    pub(crate) fn worked(&mut self, tokens: usize, took: Duration) -> Option<u32> {
        let follower = self.follower.as_mut()?;
        if tokens == 1 {
            self.tokens += 1;
            self.seconds += took.as_secs_f64();
        }
        if Instant::now() < self.due {
            return None;
        }
        let busy = self.processor.look()?;
        self.due = Instant::now() + EVERY;
        let seconds_per_token = (self.tokens > 0).then(|| self.seconds / f64::from(self.tokens));
        (self.tokens, self.seconds) = (0, 0.0);
        let own = self.compute_alone.then_some(busy.own);
        let before = follower.threads();
        let threads = follower.look(Look { others: busy.others, own, seconds_per_token });
        (threads != before).then_some(threads)
    }
}
