//! `cargo xtask run`: the desktop window, or the terminal chat where there is no display.

use std::process::Command;

use anyhow::Result;

use crate::machine::Machine;
use crate::setup::{self, Purpose};
use crate::{display, shell, workspace};

pub(crate) fn run(machine: &mut Machine, arguments: &[String]) -> Result<()> {
    setup::all(machine, Purpose::Run)?;
    // The headless program is built in both cases: the window starts it as its worker.
    let headless = workspace::build_program(machine, "workly-cli", &[], &[])?.program;
    let command = match display::find() {
        Ok(()) => {
            let mut command = Command::new(workspace::build_program(machine, "workly", &[], &[])?.program);
            command.args(arguments);
            command
        }
        Err(reason) => {
            println!("{reason}: starting the chat in this terminal instead.");
            let mut command = Command::new(headless);
            command.arg("chat").args(arguments);
            command
        }
    };
    become_program(command)
}

/// Hands this process over to the program, so that signals and the exit status are its own.
#[cfg(unix)]
fn become_program(mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    shell::leave_cargo_run(&mut command);
    println!("start: {}", shell::describe(&command));
    let error = command.exec();
    Err(anyhow::Error::new(error).context(format!("cannot start `{}`", shell::describe(&command))))
}

#[cfg(not(unix))]
fn become_program(mut command: Command) -> Result<()> {
    shell::leave_cargo_run(&mut command);
    println!("start: {}", shell::describe(&command));
    shell::stream(&mut command)
}
