//! What the monitor is told by others: settings, what the model is doing, who looks.

use std::path::PathBuf;
use std::time::Duration;

use workly_core::device::{Device, DeviceWish};
use workly_core::profile::Profile;
use workly_core::settings::GpuMonitoring;
use workly_core::thresholds::Thresholds;

/// How to watch.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorSettings {
    /// Time between full readings.
    pub interval: Duration,
    /// What divides the GPU states.
    pub thresholds: Thresholds,
    /// Which card.
    pub device: DeviceWish,
    /// Where to write the history; `None`: nowhere.
    pub history: Option<PathBuf>,
}

impl MonitorSettings {
    /// As the settings say; `history` is the place of `gpu-history.csv`, used if the settings want one.
    pub fn new(monitoring: &GpuMonitoring, device: DeviceWish, history: PathBuf) -> Self {
        Self {
            interval: Duration::from_secs_f64(monitoring.interval_seconds),
            thresholds: monitoring.thresholds,
            device,
            history: monitoring.csv_history_enabled.then_some(history),
        }
    }
}

impl Default for MonitorSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            thresholds: Thresholds::default(),
            device: DeviceWish::Auto,
            history: None,
        }
    }
}

/// What the model is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// A model is loaded, wherever.
    pub model_loaded: bool,
    /// A model is on the card, or is about to be: the card is woken for it.
    pub model_on_gpu: bool,
    /// A clock towards a higher profile runs.
    pub climbing: bool,
    /// Memory that the model gave back is awaited.
    pub settling: bool,
    /// VRAM of Workly's own worker, bytes, as well as it is known.
    pub own_bytes: Option<u64>,
    /// The profile the model runs in.
    pub profile: Option<Profile>,
}

#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) settings: MonitorSettings,
    pub(super) activity: Activity,
    pub(super) backend: Vec<Device>,
    /// The card the model is placed on, once it is known; it comes before the settings' wish.
    pub(super) placed_on: Option<DeviceWish>,
    pub(super) viewers: u32,
    /// Grows with each full reading that is wanted at once.
    pub(super) wanted: u64,
}

impl Inputs {
    pub(super) const fn new(settings: MonitorSettings) -> Self {
        let activity = Activity {
            model_loaded: false,
            model_on_gpu: false,
            climbing: false,
            settling: false,
            own_bytes: None,
            profile: None,
        };
        Self { settings, activity, backend: Vec::new(), placed_on: None, viewers: 0, wanted: 0 }
    }
}
