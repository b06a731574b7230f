//! `cargo xtask bench --ui`: how the window feels, in figures. One run prints them all.

use std::time::Duration;

use crate::{history, memory, start, streaming};

#[tokio::test]
#[ignore = "measures: cargo xtask bench --ui"]
async fn the_window() {
    println!("The window, on a display without a GPU; median (least - greatest), and what is aimed at.\n");
    warn_of_others();
    start::measure().await;
    memory::measure().await;
    streaming::measure().await;
    history::scrolling().await;
    history::search().await;
}

/// Says when the machine is not this program's alone.
pub(crate) fn warn_of_others() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|minute| minute.parse().ok()).unwrap_or(0.0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if load > processors as f64 / 4.0 {
        println!("  Other programs are at work (load {load:.1}, {processors} processors): expect worse figures.\n");
    }
}

/// Values of one figure.
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// From values in any order; none of them may be missing.
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// From times, in milliseconds.
    pub(crate) fn of_times(times: &[Duration]) -> Self {
        Self::new(times.iter().map(|time| time.as_secs_f64() * 1e3).collect())
    }

    /// The value that this share of the values does not exceed, 0 to 1.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }

    /// Prints the line of a figure: its median, least and greatest value.
    pub(crate) fn print(&self, name: &str, aim: &str) {
        let (median, least, greatest) = (self.quantile(0.5), self.quantile(0.0), self.quantile(1.0));
        line(name, &format!("{median:.1} ({least:.1} - {greatest:.1})"), aim);
    }

    /// Prints the line of a figure of which the rare large values count.
    pub(crate) fn print_tail(&self, name: &str, aim: &str) {
        let (median, tail, greatest) = (self.quantile(0.5), self.quantile(0.95), self.quantile(1.0));
        line(name, &format!("{median:.1}, 95 % within {tail:.1}, greatest {greatest:.1}"), aim);
    }
}

/// Prints a line.
pub(crate) fn line(name: &str, value: &str, aim: &str) {
    let aim = if aim.is_empty() { String::new() } else { format!("  (aim: {aim})") };
    println!("  {name:<58} {value}{aim}");
}
