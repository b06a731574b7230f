//! The scenario file: what the library plays. Plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// All that the library plays.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Version of the driver, as `nvidia-smi` would show it.
    pub driver_version: String,
    /// The cards.
    pub devices: Vec<Device>,
    /// Functions that fail.
    pub failures: Vec<Failure>,
    /// Functions that block.
    pub blocks: Vec<Block>,
    /// What tells the time.
    pub clock: Clock,
    /// File into which the number of calls of each function is written: `function count` on each line.
    pub counters: Option<PathBuf>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            driver_version: "580.95.05".into(),
            devices: vec![Device::default()],
            failures: Vec::new(),
            blocks: Vec::new(),
            clock: Clock::default(),
            counters: None,
        }
    }
}

/// What tells the time of the scenario.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Real time since the library was first initialized.
    #[default]
    SinceInit,
    /// The seconds that stand in this file, read at each call; 0 while it is absent.
    File(PathBuf),
}

/// One card. Relative paths are relative to the scenario file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    /// Name as a person knows it.
    pub name: String,
    /// PCI address, such as `0000:01:00.0`.
    pub pci: String,
    /// UUID as NVML shows it.
    pub uuid: String,
    /// Memory in all, MiB.
    pub total_mib: u64,
    /// Memory that the driver keeps for itself, MiB: neither used nor free in version 2 of the memory call, used in
    /// version 1.
    pub reserved_mib: u64,
    /// Whether the card is split into instances; absent: the card knows no such mode.
    pub mig: Option<bool>,
    /// Values over time. Each row holds from its second on until the next; the first also before.
    pub timeline: Vec<Row>,
    /// A trace (`seconds,vram_total_mib,external_vram_mib,external_gpu_percent,generating`) instead of a timeline.
    pub trace: Option<PathBuf>,
    /// File of lines `pid bytes`: counted as used, and listed as a compute process, while that process lives.
    pub own_usage_file: Option<PathBuf>,
    /// Second at which the card is plugged in.
    pub plugged_at: Option<f64>,
    /// Second at which the card is pulled out.
    pub pulled_at: Option<f64>,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            name: "Fake NVIDIA GeForce RTX 4050".into(),
            pci: "0000:01:00.0".into(),
            uuid: "GPU-00000000-0000-0000-0000-000000000001".into(),
            total_mib: 6141,
            reserved_mib: 0,
            mig: None,
            timeline: vec![Row::default()],
            trace: None,
            own_usage_file: None,
            plugged_at: None,
            pulled_at: None,
        }
    }
}

/// The values of a card from one second on. What is absent, the card does not support.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Second of the scenario from which the row holds.
    #[serde(default)]
    pub at: f64,
    /// Memory used, without what the driver reserves and without the own usage file, MiB.
    pub used_mib: Option<u64>,
    /// Utilization, percent.
    pub gpu_percent: Option<u32>,
    /// Temperature, degrees Celsius.
    pub temperature_c: Option<u32>,
    /// Power drawn, watts.
    pub power_w: Option<f64>,
    /// Processes on the card; their memory is for the list alone and not added to `used_mib`.
    #[serde(default)]
    pub processes: Vec<Process>,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            at: 0.0,
            used_mib: Some(512),
            gpu_percent: Some(3),
            temperature_c: Some(41),
            power_w: Some(12.5),
            processes: Vec::new(),
        }
    }
}

/// A process on a card.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Path of its program.
    #[serde(default)]
    pub name: String,
    /// List in which it stands.
    #[serde(default)]
    pub kind: ProcessKind,
    /// Its memory, MiB; absent: not available, as always on Windows.
    pub used_mib: Option<u64>,
    /// Its share of the card's time, percent; absent: no sample.
    pub gpu_percent: Option<u32>,
}

/// List in which a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessKind {
    /// It draws.
    #[default]
    Graphics,
    /// It computes.
    Compute,
}

/// A function that fails.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Failure {
    /// Name of the C function.
    pub function: String,
    /// The `nvmlReturn_t` it returns, known to NVML or not.
    pub code: u32,
    /// Calls of it that go well first.
    pub after: u64,
    /// Calls that fail then; absent: all.
    pub count: Option<u64>,
    /// Only calls on the card of this position in `devices`.
    pub device: Option<usize>,
    /// Only from this second of the scenario on.
    pub from: Option<f64>,
    /// Only until this second of the scenario.
    pub until: Option<f64>,
}

/// A function that blocks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Block {
    /// Name of the C function.
    pub function: String,
    /// How long a call takes, milliseconds of real time.
    pub milliseconds: u64,
    /// Calls of it that return at once first.
    pub after: u64,
    /// Calls that block then; absent: all.
    pub count: Option<u64>,
}
