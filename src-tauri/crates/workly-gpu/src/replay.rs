//! A recorded trace played as if it were a card: for the window's demo mode and for looking at the policy.
//!
//! The format is that of `simulate`: `seconds,vram_total_mib,external_vram_mib,external_gpu_percent,generating`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use workly_core::device::{Device, DeviceKind};
use workly_core::reading::ProcessUse;
use workly_core::simulate::{Row, Trace, TraceError};

use crate::error::ProbeError;
use crate::probe::{Gpu, Memory, Probe, Sensors};

/// Why a trace cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("the trace cannot be read: {0}; give the path of a CSV file")]
    Read(#[from] std::io::Error),
    /// Its text is no trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// What Workly's own worker would take of the simulated card; it is added to the trace. Clones share the figures.
#[derive(Debug, Clone, Default)]
pub struct OwnUse {
    bytes: Arc<AtomicU64>,
    percent: Arc<AtomicU32>,
}

impl OwnUse {
    /// Sets the memory, bytes, and the utilization, percent.
    pub fn set(&self, bytes: u64, percent: u32) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.percent.store(percent, Ordering::Relaxed);
    }
}

/// A trace that plays from its making on, and from its beginning again when it ends. Clones play alike.
#[derive(Debug, Clone)]
pub struct Replay {
    trace: Arc<Trace>,
    own: OwnUse,
    started: Instant,
}

impl Replay {
    /// Reads a trace from a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no trace.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        Ok(Self::new(Trace::parse(&std::fs::read_to_string(path)?)?))
    }

    /// Plays a trace from now on.
    pub fn new(trace: Trace) -> Self {
        Self { trace: Arc::new(trace), own: OwnUse::default(), started: Instant::now() }
    }

    /// Where the caller says what Workly's own worker would take.
    pub fn own_use(&self) -> OwnUse {
        self.own.clone()
    }

    fn now(&self) -> Row {
        self.at(self.started.elapsed())
    }

    fn at(&self, elapsed: Duration) -> Row {
        let rows = self.trace.rows();
        let (first, last) = (rows[0], rows[rows.len() - 1]);
        // One step after the last row the first one comes again.
        let step = rows.get(1).map_or(1.0, |row| row.seconds - first.seconds);
        let seconds = first.seconds + elapsed.as_secs_f64() % (last.seconds - first.seconds + step);
        rows.iter().rev().find(|row| row.seconds <= seconds).copied().unwrap_or(first)
    }

    fn memory_of(&self, row: Row) -> Memory {
        let total = row.vram_total_mib << 20;
        let used = (row.external_vram_mib << 20).saturating_add(self.own.bytes.load(Ordering::Relaxed)).min(total);
        Memory { total, used, free: total - used }
    }
}

impl Probe for Replay {
    fn list(&mut self) -> Result<Vec<Gpu>, ProbeError> {
        let memory = self.memory_of(self.now());
        let device = Device {
            name: "simulated0".into(),
            description: "simulated GPU".into(),
            backend: "replay".into(),
            kind: DeviceKind::DiscreteGpu,
            pci_address: None,
            memory_total: memory.total,
            memory_free: memory.free,
        };
        Ok(vec![Gpu { device, memory: Some(memory), asleep: false, simulated: true }])
    }

    fn memory(&mut self, _gpu: usize) -> Result<Memory, ProbeError> {
        Ok(self.memory_of(self.now()))
    }

    fn utilization(&mut self, _gpu: usize) -> Result<Option<f32>, ProbeError> {
        let own = self.own.percent.load(Ordering::Relaxed) as f32;
        Ok(self.now().external_gpu_percent.map(|external| (external + own).min(100.0)))
    }

    fn sensors(&mut self, _gpu: usize) -> Result<Sensors, ProbeError> {
        Ok(Sensors::default())
    }

    fn processes(&mut self, _gpu: usize) -> Result<Vec<ProcessUse>, ProbeError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "seconds,vram_total_mib,external_vram_mib,external_gpu_percent,generating\n\
                         0.0,6141,249,3.5,1\n0.5,6141,4000,97.0,1\n1.0,6141,300,5.0,0\n";

    fn playing() -> Replay {
        Replay::new(Trace::parse(TRACE).unwrap())
    }

    #[test]
    fn a_trace_plays_and_begins_again() {
        let replay = playing();
        let used = |milliseconds| replay.memory_of(replay.at(Duration::from_millis(milliseconds))).used >> 20;
        assert_eq!(
            [used(0), used(499), used(500), used(1000), used(1499), used(1500)],
            [249, 249, 4000, 300, 300, 249]
        );
    }

    #[test]
    fn our_own_use_is_added_to_the_trace_and_never_beyond_the_card() {
        let mut replay = playing();
        replay.own_use().set(1 << 30, 95);
        let memory = replay.memory_of(replay.at(Duration::ZERO));
        assert_eq!((memory.used >> 20, memory.free), (249 + 1024, memory.total - memory.used));
        assert_eq!(replay.utilization(0), Ok(Some(98.5)));
        replay.own_use().set(u64::MAX >> 2, 95);
        assert_eq!(replay.memory_of(replay.at(Duration::ZERO)).free, 0);
    }

    #[test]
    fn a_simulated_card_says_that_it_is_one() {
        let gpus = playing().list().unwrap();
        assert!(gpus[0].simulated);
        assert_eq!(gpus[0].device.description, "simulated GPU");
    }
}
