//! From the start of the program to a window one can type into.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use crate::figures::Sample;
use crate::harness::Surroundings;
use crate::harness::program::Program;
use crate::harness::screen::Screen;

/// Starts that count; one before them warms the file cache.
const STARTS: usize = 5;
/// Height of the part of the page that is looked at, pixels.
const HEADER: u16 = 60;

pub(crate) async fn measure() {
    let mut times = Vec::new();
    for _ in 0..=STARTS {
        times.push(once().await);
    }
    let (ready, drawn): (Vec<Duration>, Vec<Duration>) = times.into_iter().skip(1).unzip();
    Sample::of_times(&ready).print("start to a page that takes input, ms", "under 1000");
    Sample::of_times(&drawn).print("start to its first picture on the screen, ms", "");
}

/// The time until the page's script has run, and until the page is to be seen.
async fn once() -> (Duration, Duration) {
    let surroundings = Surroundings::new();
    let screen = Screen::of(&surroundings);
    let started = Instant::now();
    let (_program, mut log) = Program::start_with_log(&surroundings, &[]);
    let mut line = String::new();
    while !line.contains("the page is there") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the program ended");
    }
    let ready = started.elapsed();
    let window = screen.window().await;
    while !screen.picture_down_to(window, HEADER).has_drawing() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (ready, started.elapsed())
}
