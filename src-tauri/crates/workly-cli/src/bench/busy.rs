//! `bench --busy`: how fast an answer is written on the CPU while cores are kept busy.

use std::hint;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, bail};
use serde::Serialize;
use workly_core::answer::StopReason;
use workly_files::places;
use workly_runtime::manager::{ModelManager, ModelSettings, Patience};
use workly_runtime::monitor::{Monitor, MonitorSettings, Sources};
use workly_wire::answer::{AnswerEvent, AnswerStats};

use super::distribution::Distribution;
use super::run::request;

/// Tokens of one answer, and answers at each load; those of the loads alternate.
const TOKENS: u32 = 100;
const ROUNDS: usize = 3;

/// What is printed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    model: String,
    /// The most that compute; fewer do while cores are busy.
    threads: u32,
    loads: Vec<Load>,
}

#[derive(Debug, Serialize)]
struct Load {
    busy_cores: u32,
    tokens_per_second: Distribution,
    time_to_first_token_ms: Distribution,
}

/// Measures with 0 and with so many busy cores.
///
/// # Errors
///
/// When the model does not load, or an answer fails.
pub(super) async fn measure(settings: ModelSettings, cores: u32, prompt_tokens: u32) -> anyhow::Result<Report> {
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let monitor = Arc::new(Monitor::start(Sources::from_environment(), MonitorSettings::default())?);
    let manager = ModelManager::start(program, settings, Patience::default(), monitor, places::data_dir().as_deref());
    manager.load().await?;
    let Some(model) = manager.snapshot().borrow().model.clone() else { bail!("no model is loaded") };
    let loads = if cores == 0 { vec![0] } else { vec![0, cores] };
    let mut measured = vec![Vec::new(); loads.len()];
    // The first answer reads the prompt, which the others find in the KV cache.
    for round in 0..=ROUNDS {
        for (busy, answers) in loads.iter().zip(&mut measured) {
            let _others = (0..*busy).map(|_| Busy::start()).collect::<io::Result<Vec<_>>>()?;
            let stats = answer(&manager, prompt_tokens).await?;
            if round > 0 {
                answers.push(stats);
            }
        }
    }
    manager.shut_down().await;
    let of = |answers: &[AnswerStats], figure: fn(&AnswerStats) -> f64| Distribution::of(answers.iter().map(figure));
    let loads = loads.iter().zip(&measured).map(|(busy, answers)| Load {
        busy_cores: *busy,
        tokens_per_second: of(answers, |stats| stats.tokens_per_second),
        time_to_first_token_ms: of(answers, |stats| stats.time_to_first_token_ms),
    });
    Ok(Report { model: model.name, threads: model.threads, loads: loads.collect() })
}

async fn answer(manager: &ModelManager, prompt_tokens: u32) -> anyhow::Result<AnswerStats> {
    let mut stream =
        manager.answer(workly_wire::answer::AnswerRequest { max_tokens: Some(TOKENS), ..request(prompt_tokens) });
    while let Some(event) = stream.next().await {
        match event {
            AnswerEvent::Done(stats) if stats.stop == StopReason::Length => return Ok(stats),
            AnswerEvent::Done(stats) => bail!("the answer ended early: {:?}", stats.stop),
            AnswerEvent::Failed(problem) => return Err(problem.into()),
            _ => {}
        }
    }
    bail!("the answer ended without a word")
}

impl Report {
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{} on the CPU, at most {} threads, {TOKENS} tokens an answer\n", self.model, self.threads)?;
        writeln!(out, "{:<34}{:>9}{:>9}{:>9}{:>9}{:>9}", "", "min", "median", "p90", "p99", "max")?;
        for load in &self.loads {
            let cores = if load.busy_cores == 1 { "core" } else { "cores" };
            writeln!(out, "{} {cores} kept busy", load.busy_cores)?;
            writeln!(out, "{:<34}{}", "  tokens/s", load.tokens_per_second)?;
            writeln!(out, "{:<34}{}", "  first token, ms", load.time_to_first_token_ms)?;
        }
        Ok(())
    }
}

/// A thread that computes without a pause; it ends when this is dropped.
struct Busy {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Busy {
    fn start() -> io::Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ends);
        let spin = move || {
            while !until.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        };
        let thread = thread::Builder::new().name("busy-core".to_owned()).spawn(spin)?;
        Ok(Self { ends, thread: Some(thread) })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
