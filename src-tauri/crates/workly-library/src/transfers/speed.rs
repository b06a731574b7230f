//! How fast bytes come in, over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How far back a speed looks.
const WINDOW: Duration = Duration::from_secs(5);
/// Below this a speed means nothing.
const SHORTEST: Duration = Duration::from_millis(500);

/// What was received when.
#[derive(Debug, Default)]
pub(super) struct Speed {
    seen: VecDeque<(Instant, u64)>,
}

impl Speed {
    /// Notes how much is here; less than before means that it began anew.
    pub(super) fn note(&mut self, now: Instant, received: u64) {
        if self.seen.back().is_some_and(|(_, before)| *before > received) {
            self.seen.clear();
        }
        self.seen.push_back((now, received));
        // One that is older stays, so that the window is full.
        while self.seen.get(1).is_some_and(|(time, _)| now.duration_since(*time) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Forgets all.
    pub(super) fn reset(&mut self) {
        self.seen.clear();
    }

    /// Bytes per second; `None` before half a second was seen.
    pub(super) fn bytes_per_second(&self) -> Option<f64> {
        let ((start, before), (end, after)) = (self.seen.front()?, self.seen.back()?);
        let time = end.duration_since(*start);
        (time >= SHORTEST).then(|| (after - before) as f64 / time.as_secs_f64())
    }

    /// Seconds until `left` bytes are here at this speed.
    pub(super) fn seconds_left(&self, left: u64) -> Option<f64> {
        self.bytes_per_second().filter(|speed| *speed > 0.0).map(|speed| left as f64 / speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut speed = Speed::default();
        assert_eq!(speed.bytes_per_second(), None);
        for tick in 0..40u32 {
            // Fast for five seconds, then slow.
            let received = if tick < 20 { u64::from(tick) * 1000 } else { 19_000 + u64::from(tick - 19) * 10 };
            speed.note(start + Duration::from_millis(250) * tick, received);
        }
        let now = speed.bytes_per_second().unwrap();
        assert!((39.0..41.0).contains(&now), "{now}");
        assert!((9.0..11.0).contains(&speed.seconds_left(400).unwrap()));
        speed.note(start + Duration::from_secs(11), 0);
        assert_eq!(speed.bytes_per_second(), None);
    }

    #[test]
    fn nothing_coming_in_leaves_no_time_to_tell() {
        let start = Instant::now();
        let mut speed = Speed::default();
        for second in 0..3 {
            speed.note(start + Duration::from_secs(second), 100);
        }
        assert_eq!((speed.bytes_per_second(), speed.seconds_left(1)), (Some(0.0), None));
    }
}
