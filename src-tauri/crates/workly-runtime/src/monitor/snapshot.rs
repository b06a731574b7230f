//! What the monitor shows of the card at one moment.

use std::sync::Arc;
use std::time::SystemTime;

use workly_core::device::Device;
use workly_core::policy::{GpuState, Sight, classify};
use workly_core::profile::Profile;
use workly_core::reading::Reading;
use workly_core::thresholds::Thresholds;
use workly_gpu::{ProbeError, Sample};
use workly_library::library::CardNow;

/// The card at one moment. Cloning it copies no text.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Grows with each snapshot; 0 before the first.
    pub sequence: u64,
    /// When it was published.
    pub time: SystemTime,
    /// The card that is watched.
    pub gpu: Option<Arc<Device>>,
    /// All cards there are.
    pub gpus: Arc<[Device]>,
    /// What this look gave, for the policy: figures that were not asked for are absent from its reading.
    pub sight: Sight,
    /// Whether this look asked for more than the memory.
    pub full: bool,
    /// The figures to show: this look's, completed by the latest of those it did not ask for.
    pub shown: Option<Reading>,
    /// Median of the utilization in the last three full readings: drivers average over less than a second.
    pub median_gpu_percent: Option<f32>,
    /// VRAM of Workly's own worker, bytes, as the manager knows it.
    pub own_bytes: Option<u64>,
    /// What the thresholds say of the figures shown.
    pub state: Option<GpuState>,
    /// The figures shown are old: the driver does not answer.
    pub stale: bool,
    /// The card sleeps and is left alone.
    pub asleep: bool,
    /// The card does not exist: a recording is played.
    pub simulated: bool,
    /// Why nothing could be read.
    pub problem: Option<ProbeError>,
    recent: [Option<f32>; 3],
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            sequence: 0,
            time: SystemTime::UNIX_EPOCH,
            gpu: None,
            gpus: Arc::default(),
            sight: Sight::Stale,
            full: false,
            shown: None,
            median_gpu_percent: None,
            own_bytes: None,
            state: None,
            stale: false,
            asleep: false,
            simulated: false,
            problem: None,
            recent: [None; 3],
        }
    }
}

/// The figures that matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// VRAM in use by everyone, percent of total.
    pub vram_percent: f32,
    /// Utilization, 0-100; `None` where the card does not tell.
    pub gpu_percent: Option<f32>,
    /// What the thresholds say.
    pub state: GpuState,
    /// What the seed's table recommends. The policy knows more, and may do otherwise.
    pub recommended_profile: Profile,
}

impl Snapshot {
    /// What this look gave of the card; none where it could not be seen.
    pub(crate) const fn seen(&self) -> Option<Reading> {
        match self.sight {
            Sight::Fresh(reading) => Some(reading),
            _ => None,
        }
    }

    /// The figures that matter; `None` while nothing is known.
    pub fn stats(&self) -> Option<Stats> {
        let (shown, state) = (self.shown?, self.state?);
        Some(Stats {
            vram_percent: shown.vram_percent()?,
            gpu_percent: shown.utilization(),
            state,
            recommended_profile: state.recommended_profile(),
        })
    }

    /// The card, as the library wants to know it; `None` while none is seen.
    pub fn card(&self) -> Option<CardNow> {
        let (gpu, shown) = (self.gpu.as_ref()?, self.shown.filter(|shown| shown.vram_total > 0)?);
        Some(CardNow {
            name: gpu.description.clone(),
            pci_address: gpu.pci_address.clone(),
            vram_total: shown.vram_total,
            vram_external: shown.vram_used.saturating_sub(self.own_bytes.unwrap_or(0)),
        })
    }

    /// Why there is nothing to show, or why what is shown is not of now; `None` while all is well.
    pub fn reason(&self) -> Option<String> {
        match &self.problem {
            Some(problem) => Some(problem.to_string()),
            None if self.asleep => Some("the GPU sleeps and is left alone".to_owned()),
            None if self.simulated => Some("simulated GPU".to_owned()),
            None => None,
        }
    }

    /// When it was published, in local time as RFC 3339 writes it: `2025-11-14T10:00:00+01:00`.
    pub fn time_text(&self) -> String {
        let time = jiff::Zoned::try_from(self.time).unwrap_or_default();
        time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// Takes in what a look gave.
    pub(super) fn take(&mut self, sample: Sample, full: bool, now_ms: u64, thresholds: &Thresholds) {
        let before = self.shown.filter(|_| is_same_card(self.gpu.as_deref(), sample.gpu.as_deref()));
        self.sequence += 1;
        self.time = SystemTime::now();
        let sensors = sample.sensors.unwrap_or_default();
        let reading = sample.memory.map(|memory| Reading {
            time_ms: now_ms,
            vram_total: memory.total,
            vram_used: memory.used,
            vram_free: memory.free,
            gpu_percent: sample.utilization,
            temperature_c: sensors.temperature_c,
            power_w: sensors.power_w,
            own_bytes: None,
        });
        self.sight = match (&reading, &sample.problem) {
            (Some(reading), _) => Sight::Fresh(*reading),
            (None, Some(problem)) if !problem.is_passing() => Sight::Gone,
            // Asleep with a size that was never seen, or a fault in passing.
            (None, _) => Sight::Stale,
        };
        self.shown = reading.map(|reading| {
            let before = before.unwrap_or_default();
            let asked = sample.sensors.is_some() || sample.asleep;
            Reading {
                gpu_percent: if full { reading.gpu_percent } else { before.gpu_percent },
                temperature_c: if asked { reading.temperature_c } else { before.temperature_c },
                power_w: if asked { reading.power_w } else { before.power_w },
                ..reading
            }
        });
        if full {
            self.recent.rotate_right(1);
            self.recent[0] = sample.utilization;
            self.median_gpu_percent = median(self.recent);
        }
        self.state = self.shown.map(|shown| classify(&shown, thresholds));
        (self.full, self.stale, self.asleep, self.simulated) = (full, false, sample.asleep, sample.simulated);
        (self.gpu, self.gpus, self.problem) = (sample.gpu, sample.gpus, sample.problem);
    }

    /// Says again what was said last, because it is time to say something and the card is left alone.
    pub(super) fn repeat(&mut self) {
        self.sequence += 1;
        self.time = SystemTime::now();
        (self.full, self.sight) = (true, Sight::Stale);
    }

    /// Marks what is shown as old: the driver does not answer.
    pub(super) fn grow_stale(&mut self) {
        self.repeat();
        (self.stale, self.problem) = (true, Some(ProbeError::Blocked));
    }
}

fn is_same_card(left: Option<&Device>, right: Option<&Device>) -> bool {
    left.zip(right).is_some_and(|(left, right)| left.name == right.name && left.pci_address == right.pci_address)
}

fn median(recent: [Option<f32>; 3]) -> Option<f32> {
    match recent {
        [Some(a), Some(b), Some(c)] => Some(a.max(b).min(a.min(b).max(c))),
        [latest, ..] => latest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_three_shrugs_off_one_outlier() {
        for recent in [[5.0, 99.0, 7.0], [99.0, 5.0, 7.0], [7.0, 5.0, 99.0]] {
            assert_eq!(median(recent.map(Some)), Some(7.0));
        }
        assert_eq!(median([Some(4.0), None, None]), Some(4.0));
        assert_eq!(median([None, Some(4.0), Some(5.0)]), None, "unknown now is unknown");
    }

    #[test]
    fn a_look_at_the_memory_alone_keeps_showing_the_other_figures_and_tells_the_policy_of_none() {
        let memory = workly_gpu::Memory { total: 100, used: 95, free: 5 };
        let sensors = workly_gpu::Sensors { temperature_c: Some(50.0), power_w: None };
        let gpu = Device {
            name: "NVML0".into(),
            description: "card".into(),
            backend: "NVML".into(),
            kind: workly_core::device::DeviceKind::DiscreteGpu,
            pci_address: None,
            memory_total: 100,
            memory_free: 5,
        };
        let look = Sample { gpu: Some(Arc::new(gpu)), memory: Some(memory), ..Sample::default() };
        let mut snapshot = Snapshot::default();
        let full = Sample { utilization: Some(70.0), sensors: Some(sensors), ..look.clone() };
        snapshot.take(full, true, 0, &Thresholds::default());
        snapshot.take(look, false, 500, &Thresholds::default());
        let shown = snapshot.shown.unwrap();
        assert_eq!((shown.gpu_percent, shown.temperature_c, shown.time_ms), (Some(70.0), Some(50.0), 500));
        let Sight::Fresh(reading) = snapshot.sight else { panic!("{:?}", snapshot.sight) };
        assert_eq!((reading.gpu_percent, reading.temperature_c), (None, None));
        assert_eq!(snapshot.state, Some(GpuState::Overloaded));
        snapshot.take(
            Sample { problem: Some(ProbeError::Lost), ..Sample::default() },
            true,
            1000,
            &Thresholds::default(),
        );
        assert_eq!((snapshot.sight, snapshot.stats()), (Sight::Gone, None));
    }
}
