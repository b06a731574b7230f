//! `cargo xtask bench --busy`: an answer beside programs that keep cores busy, and what a game beside it loses.
//!
//! Workly with as many threads as it takes, and its peer with all and with one, turn about in one run and at the same
//! priority. The game is a loop of sixty frames a second that computes for seven tenths of each.

use std::hint;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::busy::BusyCore;
use crate::machine::Machine;
use crate::peer::{self, Options};
use crate::{setup, workspace};

/// Short, since a side that collapses reads some tokens a second.
const PROMPT: &str = "Tell a long story about a lighthouse.";
/// Tokens of a side that stands it, and of one that may not.
const TOKENS: u32 = 100;
const FEW_TOKENS: u32 = 16;
/// Niceness of both sides; Workly takes it by itself.
const NICENESS: &str = "10";
/// A frame's time, and the part of it that is computed.
const FRAME: Duration = Duration::from_micros(16_667);
const COMPUTED: f64 = 0.7;
/// A frame that is this much late is seen.
const LATE: Duration = Duration::from_millis(1);
/// Frames of one measurement.
const FRAMES: u32 = 900;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Workly,
    PeerWithAll,
    PeerWithOne,
}

pub(crate) fn bench(machine: &Machine, options: &Options) -> Result<()> {
    let model = peer::model(machine, options)?;
    let package = setup::peer_package(machine)?;
    let program = workspace::build_program(machine, "workly-cli", &[], &[])?.program;
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let command = |side: Side, tokens: u32| -> Result<Command> {
        match side {
            Side::Workly => Ok(ours(machine, &program, &model, tokens)),
            Side::PeerWithAll => theirs(machine, &package, &model, cores, tokens),
            Side::PeerWithOne => theirs(machine, &package, &model, 1, tokens),
        }
    };
    let mut loads = vec![0, 1, cores];
    loads.dedup();
    println!("tokens/s, median of {}; {cores} cores, niceness {NICENESS}", options.rounds);
    println!("  {:<18} {:>10} {:>16} {:>16}", "cores kept busy", "Workly", "peer, all", "peer, one");
    for busy in loads {
        let _others = (0..busy).map(|_| BusyCore::start()).collect::<std::io::Result<Vec<_>>>()?;
        let mut speeds: [Vec<f64>; 3] = Default::default();
        for _ in 0..options.rounds {
            for (index, side) in [Side::Workly, Side::PeerWithAll, Side::PeerWithOne].into_iter().enumerate() {
                let tokens = if side == Side::PeerWithAll && busy > 0 { FEW_TOKENS } else { TOKENS };
                speeds[index].push(peer::measure(&mut command(side, tokens)?)?.decode);
            }
        }
        let [workly, all, one] = speeds.map(median);
        println!("  {busy:<18} {workly:>10.2} {all:>16.2} {one:>16.2}");
    }
    frames(&command)
}

/// What the game loses beside an answer of each side.
fn frames(command: &impl Fn(Side, u32) -> Result<Command>) -> Result<()> {
    let work = Work::of(FRAME.mul_f64(COMPUTED));
    println!("\nframes that came late, of {FRAMES}; a frame loop at 60 a second, {:.0} % of a core", COMPUTED * 100.0);
    for _ in 0..2 {
        println!("  {:<18} {:>6.2} %", "beside nothing", work.late());
        for side in [Side::Workly, Side::PeerWithAll] {
            let (late, speed) = beside(&work, &mut command(side, 4_000)?)?;
            println!("  {:<18} {late:>6.2} %{speed}", format!("beside {side:?}"));
        }
    }
    Ok(())
}

/// The frames beside an answer that goes on for longer than they do.
fn beside(work: &Work, command: &mut Command) -> Result<(f64, String)> {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("cannot start a side")?;
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let writes = Arc::new(AtomicBool::new(false));
    let (seen, told) = (Arc::clone(&writes), std::sync::mpsc::channel());
    let (sender, tokens) = told;
    let reader = thread::spawn(move || {
        for line in lines.map_while(std::io::Result::ok) {
            seen.store(true, Ordering::Relaxed);
            if line.contains("\"token\"") {
                let _ = sender.send(());
            }
        }
    });
    // The peer says nothing before its end: by then it has loaded and writes.
    let began = Instant::now();
    while !writes.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(8) {
        thread::sleep(Duration::from_millis(20));
    }
    while tokens.try_recv().is_ok() {}
    let began = Instant::now();
    let late = work.late();
    let written = std::iter::from_fn(|| tokens.try_recv().ok()).count();
    let speed = written as f64 / began.elapsed().as_secs_f64();
    child.kill().context("a side cannot be ended")?;
    child.wait().context("a side does not end")?;
    let _ = reader.join();
    Ok((late, if written > 0 { format!(", which writes {speed:.1} tokens/s meanwhile") } else { String::new() }))
}

fn ours(machine: &Machine, program: &Path, model: &Path, tokens: u32) -> Command {
    let mut command = machine.command(&program.to_string_lossy());
    command.arg("chat").arg("--model").arg(model).args(["--profile", "cpu_fallback", "--prompt", PROMPT]);
    command.args(["--max-tokens", &tokens.to_string(), "--temperature", "0", "--seed", "1", "--ignore-eos", "--json"]);
    command
}

fn theirs(machine: &Machine, package: &Path, model: &Path, threads: u32, tokens: u32) -> Result<Command> {
    let python = setup::python(machine)?;
    let mut command = machine.command("nice");
    command.args(["-n", NICENESS]).arg(python.get_program()).args(python.get_args());
    for (name, value) in python.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.arg(machine.root.join("src-tauri/crates/xtask/peer.py"));
    command.arg("--package-folder").arg(package).arg("--model").arg(model);
    command.args(["--prompt", PROMPT, "--context", "8192"]);
    command.args(["--threads", &threads.to_string(), "--tokens", &tokens.to_string()]);
    Ok(command)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// As much computing as takes a time on a core of one's own.
struct Work(u64);

impl Work {
    fn of(time: Duration) -> Self {
        // The fastest of some tries is one that nobody disturbed.
        let probe = Self(2_000_000);
        let fastest = (0..20).map(|_| probe.take()).min().unwrap_or(time);
        Self((probe.0 as f64 * time.as_secs_f64() / fastest.as_secs_f64()) as u64)
    }

    fn take(&self) -> Duration {
        let began = Instant::now();
        let mut state = 1_u64;
        for _ in 0..self.0 {
            state = hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
        began.elapsed()
    }

    /// Runs the frames; how many came late, per cent.
    fn late(&self) -> f64 {
        let mut late = 0_u32;
        let mut due = Instant::now();
        for _ in 0..FRAMES {
            due += FRAME;
            self.take();
            let now = Instant::now();
            if now > due + LATE {
                late += 1;
                // A game does not make up for a frame that was lost.
                due = now;
            } else {
                thread::sleep(due.saturating_duration_since(now));
            }
        }
        f64::from(late) * 100.0 / f64::from(FRAMES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_counts() {
        assert!((median(vec![9.0, 1.0, 3.0]) - 3.0).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
