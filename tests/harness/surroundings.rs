//! A display, a session bus and a data folder for one run of the program, apart from those of the machine.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::{PROGRAM, is_alive, processes};

/// Where a program runs; both servers end when this is dropped.
pub(crate) struct Surroundings {
    number: u32,
    address: String,
    data: Rc<TempDir>,
    variables: Vec<(String, String)>,
    _display: Group,
    _bus: Group,
}

impl Surroundings {
    /// New surroundings: an empty data folder, English, light.
    pub(crate) fn new() -> Self {
        Self::over(Rc::new(tempfile::tempdir().unwrap()))
    }

    /// The same over a data folder that outlives the program.
    pub(crate) fn over(data: Rc<TempDir>) -> Self {
        let worker = Path::new(PROGRAM).with_file_name("workly-cli");
        assert!(worker.is_file(), "{} is missing: build the whole workspace", worker.display());
        let (display, number) = Group::spawn_and_listen(Command::new("Xvfb").args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            "1280x960x24",
            "-nolisten",
            "tcp",
        ]));
        // Its socket goes with the folder.
        let socket = format!("--address=unix:dir={}", data.path().display());
        let (bus, address) = Group::spawn_and_listen(Command::new("dbus-daemon").args([
            "--session",
            "--nofork",
            "--print-address=1",
            &socket,
        ]));
        Self {
            number: number.parse().expect("Xvfb tells its number"),
            address,
            data,
            variables: Vec::new(),
            _display: display,
            _bus: bus,
        }
    }

    /// The same with a variable for the program.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with these settings in `config.json`.
    pub(crate) fn with_settings(self, settings: &serde_json::Value) -> Self {
        std::fs::write(self.data().join("config.json"), settings.to_string()).unwrap();
        self
    }

    /// The data folder, which is also the home folder.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// The session bus.
    pub(crate) fn bus_address(&self) -> &str {
        &self.address
    }

    /// The X display.
    pub(crate) fn display(&self) -> String {
        format!(":{}", self.number)
    }

    /// A command in these surroundings.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("DISPLAY", self.display())
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("GDK_BACKEND", "x11")
            .env("WORKLY_DATA_DIR", self.data())
            .env("HOME", self.data())
            .env("LC_ALL", "C.UTF-8")
            .env_remove("LANGUAGE")
            .env_remove("WAYLAND_DISPLAY");
        for folder in ["XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
            command.env(folder, self.data());
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The process of the program that runs here, if one does.
    pub(crate) fn program(&self) -> Option<u32> {
        let ours = format!("WORKLY_DATA_DIR={}", self.data().display());
        processes().find(|id| {
            let is_workly = std::fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|exe| exe == Path::new(PROGRAM));
            let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            is_workly && is_alive(*id) && environment.split(|byte| *byte == 0).any(|entry| entry == ours.as_bytes())
        })
    }
}

/// A process that leads a group of its own, ended with all of it.
pub(crate) struct Group(Child);

impl Group {
    /// Starts a process.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.process_group(0).stdin(Stdio::null()).spawn().expect("run `cargo xtask setup` first"))
    }

    /// Starts a process and waits for the first line it says.
    fn spawn_and_listen(command: &mut Command) -> (Self, String) {
        let mut group = Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut line = String::new();
        BufReader::new(group.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (group, line.trim().to_owned())
    }

    /// The process itself.
    pub(crate) fn process(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Ends the process and all of its group.
    pub(crate) fn end(&mut self) {
        if let Some(id) = Pid::from_raw(self.0.id().cast_signed()) {
            let _ = kill_process_group(id, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
