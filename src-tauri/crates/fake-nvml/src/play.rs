//! The scenario being played: what each card shows now, which calls fail or block, and how often each was made.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::scenario::{Block, Clock, Device, Failure, Process, ProcessKind, Row, Scenario};
use crate::wire::{Code, GPU_IS_LOST, INVALID_ARGUMENT, UNINITIALIZED};

static STAGE: Mutex<Option<Stage>> = Mutex::new(None);

/// The library's state, for the whole life of the process.
pub(crate) struct Stage {
    scenario: Scenario,
    folder: PathBuf,
    timelines: Vec<Vec<Row>>,
    started: Instant,
    /// Counts initializations, so that handles from before a shutdown are known as stale.
    generation: usize,
    users: u32,
    calls: BTreeMap<&'static str, u64>,
    counters: Option<fs::File>,
}

/// Runs `with` on the state, which is made on first use.
pub(crate) fn stage<T>(with: impl FnOnce(&mut Stage) -> T) -> T {
    let mut stage: MutexGuard<'_, Option<Stage>> = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    with(stage.get_or_insert_with(Stage::open))
}

/// Enters a function: counts the call, blocks, and fails as the scenario says.
pub(crate) fn enter(function: &'static str, device: Option<usize>) -> Result<(), Code> {
    let (pause, outcome) = stage(|stage| stage.enter(function, device));
    // Outside the lock: other threads go on.
    std::thread::sleep(pause);
    outcome
}

impl Stage {
    fn open() -> Self {
        let (scenario, folder) = read_scenario();
        let timelines = scenario.devices.iter().map(|device| timeline(device, &folder)).collect();
        let counters = scenario.counters.as_ref().and_then(|path| fs::File::create(folder.join(path)).ok());
        let started = Instant::now();
        Self { scenario, folder, timelines, started, generation: 0, users: 0, calls: BTreeMap::new(), counters }
    }

    fn enter(&mut self, function: &'static str, device: Option<usize>) -> (Duration, Result<(), Code>) {
        let count = self.calls.entry(function).or_insert(0);
        *count += 1;
        let number = *count;
        self.write_counters();
        let now = self.now();
        let pause = self.scenario.blocks.iter().find(|block| block.applies(function, number));
        let pause = Duration::from_millis(pause.map_or(0, |block| block.milliseconds));
        let failure = self.scenario.failures.iter().find(|failure| failure.applies(function, number, device, now));
        let outcome = match failure {
            Some(failure) => Err(failure.code),
            None if device.is_some() && self.users == 0 => Err(UNINITIALIZED),
            None if device.is_some_and(|device| !self.is_present(device)) => Err(GPU_IS_LOST),
            None => Ok(()),
        };
        (pause, outcome)
    }

    fn write_counters(&mut self) {
        let Some(file) = &mut self.counters else { return };
        let mut text = String::new();
        for (function, count) in &self.calls {
            text.extend([function, " ", &count.to_string(), "\n"]);
        }
        // One write of a text that only grows: a reader sees the old counts or the new ones.
        let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(text.as_bytes()));
    }

    /// Seconds of the scenario.
    fn now(&self) -> f64 {
        match &self.scenario.clock {
            Clock::SinceInit => self.started.elapsed().as_secs_f64(),
            Clock::File(path) => {
                fs::read_to_string(self.folder.join(path)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0.0)
            }
        }
    }

    pub(crate) fn initialize(&mut self) {
        if self.users == 0 {
            if self.generation == 0 {
                self.started = Instant::now();
            }
            self.generation += 1;
        }
        self.users += 1;
    }

    pub(crate) fn shut_down(&mut self) -> Result<(), Code> {
        self.users = self.users.checked_sub(1).ok_or(UNINITIALIZED)?;
        Ok(())
    }

    pub(crate) fn check_initialized(&self) -> Result<(), Code> {
        if self.users == 0 { Err(UNINITIALIZED) } else { Ok(()) }
    }

    fn is_present(&self, device: usize) -> bool {
        let now = self.now();
        self.scenario.devices.get(device).is_some_and(|device| {
            device.plugged_at.is_none_or(|at| now >= at) && device.pulled_at.is_none_or(|at| now < at)
        })
    }

    /// Positions of the cards that are plugged in.
    pub(crate) fn present(&self) -> Vec<usize> {
        (0..self.scenario.devices.len()).filter(|device| self.is_present(*device)).collect()
    }

    /// The number behind a handle: generation and position.
    pub(crate) fn handle(&self, device: usize) -> usize {
        (self.generation << 8) | (device + 1)
    }

    /// The position a handle stands for.
    pub(crate) fn device_of(&mut self, handle: usize) -> Result<usize, Code> {
        let position = (handle & 0xff).checked_sub(1).filter(|position| *position < self.scenario.devices.len());
        let current = handle >> 8 == self.generation;
        if !current {
            // Real drivers may crash here: tests look at this count.
            *self.calls.entry("stale_handle").or_insert(0) += 1;
            self.write_counters();
        }
        position.filter(|_| current).ok_or(INVALID_ARGUMENT)
    }

    pub(crate) fn driver_version(&self) -> String {
        self.scenario.driver_version.clone()
    }

    pub(crate) fn device(&self, device: usize) -> &Device {
        &self.scenario.devices[device]
    }

    /// What the card shows now.
    pub(crate) fn row(&self, device: usize) -> Row {
        let now = self.now();
        let rows = &self.timelines[device];
        let position = rows.iter().rposition(|row| row.at <= now).unwrap_or(0);
        rows.get(position).cloned().unwrap_or(Row {
            at: 0.0,
            used_mib: None,
            gpu_percent: None,
            temperature_c: None,
            power_w: None,
            processes: Vec::new(),
        })
    }

    /// Processes of the own usage file that live: number and bytes.
    pub(crate) fn own_usage(&self, device: usize) -> Vec<(u32, u64)> {
        let Some(path) = &self.scenario.devices[device].own_usage_file else { return Vec::new() };
        let text = fs::read_to_string(self.folder.join(path)).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let (pid, bytes) = line.trim().split_once(char::is_whitespace)?;
                Some((pid.parse().ok()?, bytes.trim().parse().ok()?))
            })
            .filter(|(pid, _)| is_alive(*pid))
            .collect()
    }

    /// Processes of one list: number and bytes, where known.
    pub(crate) fn processes(&self, device: usize, kind: ProcessKind) -> Vec<(u32, Option<u64>)> {
        let listed = self.row(device).processes.into_iter().filter(|process| process.kind == kind);
        let mut list: Vec<_> = listed.map(|process| (process.pid, process.used_mib.map(|mib| mib << 20))).collect();
        if kind == ProcessKind::Compute {
            list.extend(self.own_usage(device).into_iter().map(|(pid, bytes)| (pid, Some(bytes))));
        }
        list
    }

    pub(crate) fn process_named(&self, pid: u32) -> Option<Process> {
        let all = (0..self.scenario.devices.len()).flat_map(|device| self.row(device).processes);
        all.into_iter().find(|process| process.pid == pid)
    }
}

impl Failure {
    fn applies(&self, function: &str, number: u64, device: Option<usize>, now: f64) -> bool {
        self.function == function
            && within(number, self.after, self.count)
            && self.device.is_none_or(|wanted| device == Some(wanted))
            && self.from.is_none_or(|from| now >= from)
            && self.until.is_none_or(|until| now < until)
    }
}

impl Block {
    fn applies(&self, function: &str, number: u64) -> bool {
        self.function == function && within(number, self.after, self.count)
    }
}

fn within(number: u64, after: u64, count: Option<u64>) -> bool {
    number > after && count.is_none_or(|count| number <= after + count)
}

fn read_scenario() -> (Scenario, PathBuf) {
    let beside = crate::install::this_library().and_then(|library| Some(library.parent()?.join("scenario.json")));
    let path =
        beside.filter(|path| path.exists()).or_else(|| std::env::var_os("FAKE_NVML_SCENARIO").map(PathBuf::from));
    let Some(path) = path else { return (Scenario::default(), PathBuf::new()) };
    let text = fs::read_to_string(&path).unwrap_or_default();
    let scenario = serde_json::from_str(&text).unwrap_or_else(|error| {
        complain(&format!("{}: {error}", path.display()));
        Scenario { devices: Vec::new(), ..Scenario::default() }
    });
    (scenario, path.parent().map(Path::to_owned).unwrap_or_default())
}

#[expect(clippy::print_stderr, reason = "a library for C has no other way to say that its scenario is unreadable")]
fn complain(message: &str) {
    eprintln!("fake-nvml: {message}");
}

fn timeline(device: &Device, folder: &Path) -> Vec<Row> {
    let Some(trace) = &device.trace else { return device.timeline.clone() };
    let text = fs::read_to_string(folder.join(trace)).unwrap_or_default();
    text.lines().skip(1).filter_map(trace_row).collect()
}

fn trace_row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    Some(Row {
        at: number(0)?,
        used_mib: number(2).map(|mib| mib as u64),
        gpu_percent: number(3).map(|percent| percent.round() as u32),
        ..Row::default()
    })
}

/// Whether a process runs; one that ended and was not waited for yet does not.
#[cfg(target_os = "linux")]
fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['Z', 'X'])))
}

#[cfg(not(target_os = "linux"))]
fn is_alive(_pid: u32) -> bool {
    true
}
