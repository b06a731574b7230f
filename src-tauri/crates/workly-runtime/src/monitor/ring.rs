//! The last hour's full readings, in memory that does not grow.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use workly_core::profile::Profile;

const HOUR_MS: u64 = 3_600_000;
/// One reading a second for an hour.
const CAPACITY: usize = 3600;

/// One full reading, for charts and for trying out thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// On the monitor's clock, milliseconds.
    pub time_ms: u64,
    /// On the wall clock, milliseconds since 1970.
    pub unix_ms: u64,
    /// VRAM of the card, bytes.
    pub vram_total: u64,
    /// VRAM in use by everyone, bytes.
    pub vram_used: u64,
    /// VRAM of Workly's own worker, bytes, where known.
    pub own_bytes: Option<u64>,
    /// Utilization, 0-100, where known.
    pub gpu_percent: Option<f32>,
    /// The profile the model ran in.
    pub profile: Option<Profile>,
}

impl Point {
    pub(super) fn unix_ms(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }
}

#[derive(Debug)]
pub(super) struct Ring {
    points: VecDeque<Point>,
}

impl Ring {
    pub(super) fn new() -> Self {
        Self { points: VecDeque::with_capacity(CAPACITY) }
    }

    /// Adds a point, unless the one before it is less than a second old: the hour must fit.
    pub(super) fn push(&mut self, point: Point) {
        if self.points.back().is_some_and(|last| point.time_ms < last.time_ms + 990) {
            return;
        }
        if self.points.len() == CAPACITY {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// The points of the hour before `now_ms`, oldest first.
    pub(super) fn points(&self, now_ms: u64) -> Vec<Point> {
        let from = now_ms.saturating_sub(HOUR_MS);
        self.points.iter().filter(|point| point.time_ms >= from).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(time_ms: u64) -> Point {
        let (own_bytes, gpu_percent, profile) = (None, None, None);
        Point { time_ms, unix_ms: 0, vram_total: 100, vram_used: 1, own_bytes, gpu_percent, profile }
    }

    #[test]
    fn it_holds_an_hour_and_its_memory_does_not_grow() {
        let mut ring = Ring::new();
        let capacity = ring.points.capacity();
        for second in 0..10_000 {
            ring.push(point(second * 1000));
        }
        assert_eq!(ring.points.capacity(), capacity);
        assert!(capacity * size_of::<Point>() < 512 << 10);
        let points = ring.points(9_999_000);
        assert_eq!((points.first().unwrap().time_ms, points.last().unwrap().time_ms), (6_400_000, 9_999_000));
    }

    #[test]
    fn older_points_are_left_out_and_faster_ones_thinned() {
        let mut ring = Ring::new();
        for step in 0..1000 {
            ring.push(point(step * 500));
        }
        assert_eq!(ring.points(499_500).len(), 500);
        assert_eq!(ring.points(HOUR_MS + 499_000).len(), 1);
    }
}
