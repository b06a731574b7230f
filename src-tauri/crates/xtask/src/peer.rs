//! `cargo xtask bench --peer`: Workly and a peer on the same model and threads, turn about in one run.
//!
//! A machine's own noise is larger than the differences of interest, so the two alternate and medians are compared.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::machine::Machine;
use crate::{setup, shell, workspace};

/// Tokens of context on both sides.
const CONTEXT: &str = "4096";

/// A prompt of about 300 tokens: enough for its processing to be measured.
const PROMPT: &str = "\
A desktop computer has one graphics card and several programs that want it. A game draws sixty frames each second \
and needs every frame to be finished on time; when one comes late, the player sees a stutter. A program that \
records the screen copies each of those frames, compresses them and writes them to a disk. A renderer computes the \
light of a scene and takes all the memory it can get, for minutes or for hours. Between them a language model waits \
for questions: it holds its weights in the card's memory, and for each word of an answer it reads all of them once. \
When the memory is full, the driver moves parts of it to the main memory of the computer, and everything that \
touches them becomes many times slower. So a careful program watches how much memory is free and how busy the card \
is, and moves its own work to the processor before the others suffer. Moving has a price: the layers that were \
computed on the card are now computed on the processor, and the answer comes more slowly. Moving back too early has \
a price as well, because the game may only have shown a menu for some seconds. A good rule leaves quickly, returns \
slowly, and remembers how often a return turned out to be wrong. The person who asked the question should notice \
nothing of all this, except that the answer goes on. \
Explain in your own words which rules such a program should follow, and why each of them is needed.";

/// A sentence for prompts of other lengths, about 15 tokens long.
const SENTENCE: &str = "The keeper climbed the stairs of the lighthouse and looked out at the sea. ";
const TOKENS_OF_SENTENCE: usize = 15;
/// Tokens of an answer whose first token alone counts.
const FEW_TOKENS: u32 = 2;
/// Rounds of a prompt of 2,000 tokens; shorter ones have as many as are asked for.
const LONG_ROUNDS: u32 = 3;

/// What the figures mean, on both sides.
const DEFINITIONS: [&str; 5] = [
    "  The peer's package is prebuilt, and not for this very processor: a part of a ratio may be its compiler's, not",
    "  its code's.",
    "  First token: from handing the message to the loaded model, templating and tokenizing included, to the",
    "  arrival of the first token. Prompt speed: prompt tokens over that time. Decode: the intervals between",
    "  generated tokens over the time from the first to the last.",
];

/// How the comparison is run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Threads on both sides.
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// How often each side runs; the order is ours, peer, ours, peer, and so on.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Tokens generated in each run.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..))]
    tokens: u32,
    /// The model file; the embedded model where none is named.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Lengths of prompts whose first token is waited for, in tokens, roughly.
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [32, 512, 2_000])]
    first_token: Vec<usize>,
}

/// One figure of a run.
type Figure = fn(&Measured) -> f64;

/// What one run measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    /// Generated tokens per second, the prompt's time excluded.
    pub(crate) decode: f64,
    /// Prompt tokens over the time to the first token: templating and tokenizing are in it on both sides.
    prompt: f64,
    /// Milliseconds from handing the message over to the first token.
    first_token_ms: f64,
    prompt_tokens: u64,
    tokens: u64,
}

pub(crate) fn bench(machine: &Machine, options: &Options) -> Result<()> {
    let model = model(machine, options)?;
    let package = setup::peer_package(machine)?;
    let program = workspace::build_program(machine, "workly-cli", &[], &[])?.program;

    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        ours.push(measure(&mut our_command(machine, &program, &model, options, PROMPT, options.tokens))?);
        peer.push(measure(&mut peer_command(machine, &package, &model, options, PROMPT, options.tokens)?)?);
        println!(
            "round {round}: ours {:.1} tokens/s, peer {:.1} tokens/s",
            ours.last().map_or(0.0, |run| run.decode),
            peer.last().map_or(0.0, |run| run.decode),
        );
    }
    println!("\n{}", report(&ours, &peer, options.threads));
    println!("\nFirst token, ms; median (min - max)");
    println!("  {:<16} {:>24} {:>24}  peer/ours", "prompt tokens", "ours", "peer");
    for tokens in &options.first_token {
        let prompt = SENTENCE.repeat((tokens / TOKENS_OF_SENTENCE).max(1));
        let rounds = if *tokens > 1_000 { options.rounds.min(LONG_ROUNDS) } else { options.rounds };
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(measure(&mut our_command(machine, &program, &model, options, &prompt, FEW_TOKENS))?);
            peer.push(measure(&mut peer_command(machine, &package, &model, options, &prompt, FEW_TOKENS)?)?);
        }
        println!("{}", first_token(&ours, &peer));
    }
    Ok(())
}

/// A line of the table of first tokens.
fn first_token(ours: &[Measured], peer: &[Measured]) -> String {
    let [left, right] = [ours, peer].map(|runs| Spread::of(runs, |run| run.first_token_ms));
    let [tokens, others] = [ours, peer].map(|runs| runs.first().map_or(0, |run| run.prompt_tokens));
    let counted = if tokens == others { tokens.to_string() } else { format!("{tokens}, peer {others}") };
    format!("  {counted:<16} {:>24} {:>24}  {:.3}", left.to_string(), right.to_string(), right.median / left.median)
}

/// The model file asked for, or the embedded one.
pub(crate) fn model(machine: &Machine, options: &Options) -> Result<PathBuf> {
    let model = options.model.clone().unwrap_or_else(|| setup::embedded_model(machine));
    if !model.exists() {
        bail!("the model {} is missing: `cargo xtask setup` fetches the embedded one", model.display());
    }
    Ok(model)
}

fn our_command(
    machine: &Machine,
    program: &Path,
    model: &Path,
    options: &Options,
    prompt: &str,
    tokens: u32,
) -> Command {
    let mut command = machine.command(&program.to_string_lossy());
    command.arg("chat").arg("--model").arg(model);
    command.args(["--profile", "cpu_fallback", "--threads", &options.threads.to_string()]);
    command.args(["--prompt", prompt, "--max-tokens", &tokens.to_string()]);
    command.args(["--temperature", "0", "--seed", "1", "--ignore-eos", "--context", CONTEXT, "--json"]);
    command
}

fn peer_command(
    machine: &Machine,
    package: &Path,
    model: &Path,
    options: &Options,
    prompt: &str,
    tokens: u32,
) -> Result<Command> {
    let mut command = setup::python(machine)?;
    command.arg(machine.root.join("src-tauri/crates/xtask/peer.py"));
    command.arg("--package-folder").arg(package).arg("--model").arg(model);
    command.args(["--prompt", prompt, "--context", CONTEXT]);
    command.args(["--threads", &options.threads.to_string(), "--tokens", &tokens.to_string()]);
    Ok(command)
}

pub(crate) fn measure(command: &mut Command) -> Result<Measured> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = shell::capture(command)?;
    output.lines().find_map(parse_done).with_context(|| format!("{program} printed no `done` line:\n{output}"))
}

/// Reads the line that ends a turn.
fn parse_done(line: &str) -> Option<Measured> {
    let done: Value = serde_json::from_str(line).ok()?;
    if done.get("type")?.as_str()? != "done" {
        return None;
    }
    let number = |name: &str| done.get(name).and_then(Value::as_f64);
    let count = |name: &str| done.get(name).and_then(Value::as_u64);
    let first_token_ms = number("time_to_first_token_ms")?;
    let prompt_tokens = count("prompt_tokens")?;
    Some(Measured {
        decode: number("tokens_per_second")?,
        prompt: prompt_tokens as f64 / first_token_ms * 1000.0,
        first_token_ms,
        prompt_tokens,
        tokens: count("tokens")?,
    })
}

fn report(ours: &[Measured], peer: &[Measured], threads: u32) -> String {
    let rows: [(&str, Figure); 3] = [
        ("decode tokens/s", |run| run.decode),
        ("prompt tokens/s", |run| run.prompt),
        ("first token, ms", |run| run.first_token_ms),
    ];
    let mut lines = vec![
        format!("{threads} threads, {} rounds; median (min - max)", ours.len()),
        format!("  {:<16} {:>24} {:>24}  ours/peer", "", "ours", "peer"),
    ];
    for (name, value) in rows {
        let (left, right) = (Spread::of(ours, value), Spread::of(peer, value));
        lines.push(format!(
            "  {name:<16} {:>24} {:>24}  {:.3}",
            left.to_string(),
            right.to_string(),
            left.median / right.median
        ));
    }
    let counts = |runs: &[Measured]| runs.first().map_or((0, 0), |run| (run.prompt_tokens, run.tokens));
    let ((our_prompt, our_tokens), (peer_prompt, peer_tokens)) = (counts(ours), counts(peer));
    lines.push(format!(
        "  Prompt tokens: ours {our_prompt}, peer {peer_prompt}; generated: ours {our_tokens}, peer {peer_tokens}."
    ));
    if (our_prompt, our_tokens) != (peer_prompt, peer_tokens) {
        lines.push("  These differ, so the two did not do the same work: compare with care.".to_owned());
    }
    lines.extend(DEFINITIONS.map(str::to_owned));
    lines.join("\n")
}

/// Median, least and greatest of a figure.
struct Spread {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Spread {
    fn of(runs: &[Measured], value: Figure) -> Self {
        let mut values: Vec<f64> = runs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let half = values.len() / 2;
        let median =
            if values.len().is_multiple_of(2) { f64::midpoint(at(half.wrapping_sub(1)), at(half)) } else { at(half) };
        Self { median, least: at(0), greatest: at(values.len().wrapping_sub(1)) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:.1} ({:.1} - {:.1})", self.median, self.least, self.greatest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(decode: f64) -> Measured {
        Measured { decode, prompt: 300.0, first_token_ms: 1000.0, prompt_tokens: 300, tokens: 200 }
    }

    #[test]
    fn the_line_that_ends_a_turn_is_read_and_no_other() {
        let line = r#"{"type":"done","tokens":200,"tokens_per_second":80.5,"prompt_tokens":300,
                       "cached_prompt_tokens":0,"time_to_first_token_ms":1500.0,"stop":"length"}"#;
        let measured = parse_done(line).unwrap();
        assert!((measured.prompt - 200.0).abs() < 1e-9);
        assert!((measured.decode - 80.5).abs() < 1e-9);
        assert_eq!(parse_done(r#"{"type":"token","index":0}"#), None);
        assert_eq!(parse_done("warming up"), None);
    }

    #[test]
    fn the_report_gives_medians_and_their_ratio() {
        let text = report(&[run(90.0), run(110.0), run(100.0)], &[run(50.0), run(40.0)], 2);
        assert!(text.contains("100.0 (90.0 - 110.0)"), "{text}");
        assert!(text.contains("45.0 (40.0 - 50.0)  2.222"), "{text}");
        assert!(!text.contains("These differ"), "{text}");
    }

    #[test]
    fn a_line_of_first_tokens_gives_their_ratio_and_whether_the_prompts_differ() {
        let slow = Measured { first_token_ms: 2_000.0, ..run(1.0) };
        let line = first_token(&[run(1.0)], &[slow]);
        assert!(line.starts_with("  300 ") && line.ends_with("  2.000"), "{line}");
        let other = Measured { prompt_tokens: 302, ..slow };
        assert!(first_token(&[run(1.0)], &[other]).starts_with("  300, peer 302 "));
    }

    #[test]
    fn unequal_work_is_pointed_out() {
        let other = Measured { tokens: 12, ..run(1.0) };
        assert!(report(&[run(1.0)], &[other], 2).contains("These differ"));
    }
}
