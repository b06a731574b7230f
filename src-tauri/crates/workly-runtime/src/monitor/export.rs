//! The last hour as CSV, for a spreadsheet or a bug report.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Zoned;
use workly_core::profile::Profile;

use super::ring::Point;

/// Points as CSV: local time, sizes in MiB, percentages of the card. Unknown is empty.
pub fn to_csv(points: &[Point]) -> String {
    let mut text = "timestamp,vram_total_mib,vram_used_mib,own_mib,vram_percent,gpu_percent,profile\n".to_owned();
    for point in points.iter().filter(|point| point.vram_total > 0) {
        let time = Zoned::try_from(UNIX_EPOCH + Duration::from_millis(point.unix_ms)).unwrap_or_default();
        let own = point.own_bytes.map(|own| (own >> 20).to_string()).unwrap_or_default();
        let percent = point.vram_used as f64 * 100.0 / point.vram_total as f64;
        let gpu = point.gpu_percent.map(|percent| format!("{percent:.1}")).unwrap_or_default();
        let profile = point.profile.map_or("", Profile::name);
        let (time, total, used) = (time.strftime("%Y-%m-%d %H:%M:%S"), point.vram_total >> 20, point.vram_used >> 20);
        let _ = writeln!(text, "{time},{total},{used},{own},{percent:.1},{gpu},{profile}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_is_known_and_leaves_empty_what_is_not() {
        let known = Point {
            time_ms: 0,
            unix_ms: 1_763_114_400_000,
            vram_total: 6000 << 20,
            vram_used: 3000 << 20,
            own_bytes: Some(1000 << 20),
            gpu_percent: Some(40.0),
            profile: Some(Profile::Balanced),
        };
        let unknown = Point { own_bytes: None, gpu_percent: None, profile: None, ..known };
        let text = to_csv(&[known, unknown, Point { vram_total: 0, ..known }]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].ends_with(",6000,3000,1000,50.0,40.0,balanced"), "{}", lines[1]);
        assert!(lines[2].ends_with(",6000,3000,,50.0,,"), "{}", lines[2]);
    }
}
