//! `cargo xtask screenshots`, `bench --ui` and `bench --idle`: what is produced from the built window. The work is done
//! by `tests/produce`, beside the tests that drive the window in the same way.

use anyhow::{Result, bail};

use crate::machine::Machine;
use crate::setup::{self, Purpose};
use crate::shell;

/// Takes the pictures.
pub(crate) fn screenshots(machine: &mut Machine) -> Result<()> {
    produce(machine, "screenshots::every_page")
}

/// Prints the figures.
pub(crate) fn figures(machine: &mut Machine) -> Result<()> {
    produce(machine, "figures::the_window")
}

/// Prints what the window costs while nothing is asked of it.
pub(crate) fn idle(machine: &mut Machine) -> Result<()> {
    produce(machine, "idle::the_window")
}

fn produce(machine: &mut Machine, name: &str) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the window is driven on Linux only so far");
    }
    setup::all(machine, Purpose::Run)?;
    // The whole workspace, as always, and with it the worker and the window that Workly is compared with.
    shell::stream(machine.cargo().args(["build", "--workspace", "--bins", "--examples"]))?;
    let mut command = machine.cargo();
    command.args(["test", "--workspace", "--test", "produce", "--", "--ignored", "--exact", "--nocapture", name]);
    shell::stream(&mut command)
}
