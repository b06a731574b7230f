//! Memory of the program and all that it starts, without a model, beside a window with nothing in it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::figures::{Sample, line};
use crate::harness::screen::Screen;
use crate::harness::{Group, PROGRAM, Surroundings, children};

const ROUNDS: usize = 3;
/// How long a window is left alone before it is measured.
const REST: Duration = Duration::from_secs(5);

pub(crate) async fn measure() {
    let (mut ours, mut empty) = (Vec::new(), Vec::new());
    let window_alone = Path::new(PROGRAM).with_file_name("examples").join("empty_window");
    for _ in 0..ROUNDS {
        // A model that is not there starts no worker.
        ours.push(mib_of(Path::new(PROGRAM), &["--model", "/no/such/model.gguf"]).await);
        empty.push(mib_of(&window_alone, &[]).await);
    }
    let (ours, empty) = (Sample::new(ours), Sample::new(empty));
    ours.print("memory without a model, MiB (PSS of all processes)", "");
    empty.print("memory of an empty Tauri window, MiB", "");
    let above = ours.quantile(0.5) - empty.quantile(0.5);
    line("memory above the empty window, MiB", &format!("{above:.1}"), "60 at most");
}

async fn mib_of(program: &Path, arguments: &[&str]) -> f64 {
    let surroundings = Surroundings::new();
    let mut command = surroundings.command(program.to_str().unwrap());
    let mut group = Group::spawn(command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()));
    let screen = Screen::of(&surroundings);
    screen.any_window().await;
    tokio::time::sleep(REST).await;
    let kib: u64 = family(group.process().id()).into_iter().map(proportional_kib).sum();
    kib as f64 / 1024.0
}

/// A process and all that it started, directly or not.
pub(crate) fn family(id: u32) -> Vec<u32> {
    let mut members = vec![id];
    let mut next = 0;
    while let Some(parent) = members.get(next).copied() {
        members.extend(children(parent));
        next += 1;
    }
    members
}

/// The proportional set size: memory of its own, and its share of what several processes use.
pub(crate) fn proportional_kib(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}
