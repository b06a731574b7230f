//! `cargo xtask test`: the gates every change passes, in order, with a table at the end.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::machine::Machine;
use crate::setup::{self, Purpose};
use crate::shell;

/// The tests that open a real window: a display server and a browser driver of their own, so they come last.
const WINDOW_TESTS: &str = "package(workly) & \
    (binary(window) | binary(panel) | binary(chat) | binary(models) | binary(shell) | binary(kept) | binary(produce))";

/// A gate, by the name it has on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// rustfmt has nothing to change.
    Fmt,
    /// Every program builds; the gates after it need them.
    Build,
    /// Clippy with warnings as errors.
    Clippy,
    /// Unit and integration tests, without the window.
    Tests,
    /// Examples in the documentation.
    Doctests,
    /// Licences, banned and duplicate crates, sources.
    Deny,
    /// Dependencies that nothing uses.
    Unused,
    /// Known vulnerabilities, where the database can be reached.
    Advisories,
    /// Types of the UI.
    SvelteCheck,
    /// Tests of the UI.
    Vitest,
    /// The built window, end to end.
    Window,
}

impl Name {
    /// Whether the gate needs programs in the target folder.
    fn needs_build(self) -> bool {
        matches!(self, Self::Tests | Self::Window)
    }

    /// Whether the gate says nothing true once the build has failed.
    fn falls_with_build(self) -> bool {
        matches!(self, Self::Clippy | Self::Tests | Self::Doctests | Self::Window)
    }

    fn label(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

#[derive(Debug, Clone)]
struct Line {
    gate: String,
    outcome: Outcome,
    time: Duration,
}

/// Sets up, runs the gates and prints the table; the exit code is a failure when any gate failed.
pub(crate) fn test(machine: &mut Machine, only: &[Name]) -> Result<ExitCode> {
    setup::all(machine, Purpose::Test)?;
    let mut lines: Vec<Line> = Vec::new();
    let mut build_failed = false;
    for gate in chosen(only) {
        if build_failed && gate.falls_with_build() {
            let outcome = Outcome::Skipped("the build failed".to_owned());
            lines.push(Line { gate: gate.label(), outcome, time: Duration::ZERO });
            continue;
        }
        let started = Instant::now();
        let outcome = pass(machine, gate)?;
        let time = started.elapsed();
        println!("== {}: {} ({})", gate.label(), said(&outcome), seconds(time));
        build_failed |= gate == Name::Build && matches!(outcome, Outcome::Failed(_));
        lines.push(Line { gate: gate.label(), outcome, time });
    }
    println!("\n{}", summary(&lines));
    let failed = lines.iter().any(|line| matches!(line.outcome, Outcome::Failed(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The gates to run, in their order; none named means all.
fn chosen(only: &[Name]) -> Vec<Name> {
    let wanted = |gate: &Name| {
        only.is_empty() || only.contains(gate) || (*gate == Name::Build && only.iter().any(|name| name.needs_build()))
    };
    Name::value_variants().iter().copied().filter(wanted).collect()
}

/// Runs one gate with its runner's own output on the terminal.
fn pass(machine: &Machine, gate: Name) -> Result<Outcome> {
    let mut command = command_of(machine, gate);
    println!("\n== {}: {}", gate.label(), shell::describe(&command));
    if gate == Name::Advisories {
        return advisories(&mut command);
    }
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", shell::describe(&command)))?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed(status.to_string()) })
}

/// All cargo gates share the dev profile and select the whole workspace with its tests: any other profile, or other
/// features chosen for a smaller selection, would build llama.cpp a second time.
fn command_of(machine: &Machine, gate: Name) -> Command {
    let cargo = |arguments: &[&str]| {
        let mut command = machine.cargo();
        command.args(arguments);
        command
    };
    let npm = |arguments: &[&str]| {
        let mut command = setup::npm(machine);
        command.args(arguments);
        command
    };
    let mut command = match gate {
        Name::Fmt => cargo(&["fmt", "--all", "--check"]),
        Name::Build => cargo(&["build", "--workspace", "--all-targets"]),
        Name::Clippy => cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        Name::Tests => cargo(&["nextest", "run", "--workspace", "-E", &format!("not ({WINDOW_TESTS})")]),
        Name::Doctests => cargo(&["test", "--doc", "--workspace"]),
        Name::Deny => cargo(&["deny", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]),
        Name::Unused => cargo(&["shear"]),
        Name::Advisories => cargo(&["deny", "check", "advisories"]),
        Name::SvelteCheck => npm(&["run", "check"]),
        Name::Vitest => npm(&["test"]),
        Name::Window => cargo(&["nextest", "run", "--workspace", "-E", WINDOW_TESTS]),
    };
    // The same behaviour on a person's machine and on a server: runners look at these.
    command.env_remove("CI").env_remove("NEXTEST_PROFILE");
    // An unreachable database must not stop everything behind a password prompt.
    command.env("GIT_TERMINAL_PROMPT", "0");
    command
}

/// Known vulnerabilities fail the gate; a database that cannot be reached does not.
fn advisories(command: &mut Command) -> Result<Outcome> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shell::describe(command)))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let outcome = if output.status.success() {
        Outcome::Passed
    } else if is_unreachable(&text) {
        return Ok(Outcome::Skipped("database not reachable".to_owned()));
    } else {
        Outcome::Failed(output.status.to_string())
    };
    println!("{}{text}", String::from_utf8_lossy(&output.stdout));
    Ok(outcome)
}

fn is_unreachable(message: &str) -> bool {
    message.contains("failed to fetch advisory database")
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Failed(why) => format!("FAILED, {why}"),
        Outcome::Skipped(why) => format!("skipped, {why}"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// The table at the end, and one line that says it all.
fn summary(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.gate.len()).max().unwrap_or(0);
    let mut rows: Vec<String> = lines
        .iter()
        .map(|line| {
            let (gate, time) = (&line.gate, seconds(line.time));
            format!("  {gate:<width$}  {time:>9}  {}", said(&line.outcome))
        })
        .collect();
    let failed: Vec<&str> =
        lines.iter().filter(|line| matches!(line.outcome, Outcome::Failed(_))).map(|line| line.gate.as_str()).collect();
    rows.push(if failed.is_empty() {
        "All gates that ran passed.".to_owned()
    } else {
        format!("Failed: {}.", failed.join(", "))
    });
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(gate: &str, outcome: Outcome) -> Line {
        Line { gate: gate.to_owned(), outcome, time: Duration::from_millis(1_250) }
    }

    #[test]
    fn every_gate_runs_unless_some_are_named() {
        assert_eq!(chosen(&[]).len(), Name::value_variants().len());
        assert_eq!(chosen(&[Name::Fmt]), [Name::Fmt]);
    }

    #[test]
    fn a_gate_that_starts_programs_brings_the_build_with_it() {
        assert_eq!(chosen(&[Name::Window]), [Name::Build, Name::Window]);
    }

    #[test]
    fn the_summary_names_what_failed_and_why_something_was_skipped() {
        let text = summary(&[
            line("fmt", Outcome::Passed),
            line("vitest", Outcome::Failed("exit status: 1".to_owned())),
            line("advisories", Outcome::Skipped("database not reachable".to_owned())),
        ]);
        assert_eq!(
            text,
            "  fmt             1.2 s  passed\n\
             \x20 vitest          1.2 s  FAILED, exit status: 1\n\
             \x20 advisories      1.2 s  skipped, database not reachable\n\
             Failed: vitest."
        );
        assert!(summary(&[line("fmt", Outcome::Passed)]).ends_with("All gates that ran passed."));
    }

    #[test]
    fn only_a_failed_fetch_counts_as_unreachable() {
        assert!(is_unreachable("[ERROR] failed to fetch advisory database https://host/db with cli"));
        assert!(!is_unreachable("error[vulnerability]: use after free"));
    }
}
