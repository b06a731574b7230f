//! What a probe is: the narrow interface behind which a vendor's ways of reading a card hide.

use workly_core::device::Device;
use workly_core::reading::ProcessUse;

use crate::error::ProbeError;

/// Memory of a card, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// In all.
    pub total: u64,
    /// In use, as the vendor's tool shows it.
    pub used: u64,
    /// What fits. Not `total - used` where the driver keeps some for itself.
    pub free: u64,
}

/// Sensors that are slow to ask and change slowly.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sensors {
    /// Degrees Celsius, where the card tells.
    pub temperature_c: Option<f32>,
    /// Watts, where the card tells.
    pub power_w: Option<f32>,
}

/// A card that a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The card as it is shown, chosen among, and matched with the worker's devices. Its `backend` names the probe.
    pub device: Device,
    /// The memory as it was read for the list; `None` where it was not.
    pub memory: Option<Memory>,
    /// The card sleeps and was not asked: its name and size are what was remembered, if anything.
    pub asleep: bool,
    /// The card does not exist: a recording is played.
    pub simulated: bool,
}

/// A way to read cards. Every call may take as long as the driver likes, so a probe lives on a thread of its own.
///
/// `gpu` is the position of a card in the last answer of [`Probe::list`]. The other calls may be made without a new
/// list even after [`Probe::release`]: the probe connects again by itself.
pub trait Probe {
    /// The cards there are; sleeping ones are not woken.
    ///
    /// # Errors
    ///
    /// Why there are none to list. No error and no card: there is none of this kind.
    fn list(&mut self) -> Result<Vec<Gpu>, ProbeError>;

    /// Memory now.
    ///
    /// # Errors
    ///
    /// Without its memory a card cannot be watched: every fault is an error.
    fn memory(&mut self, gpu: usize) -> Result<Memory, ProbeError>;

    /// Utilization now, 0-100; `None` where the card does not tell.
    ///
    /// # Errors
    ///
    /// Faults of the connection, not of this one figure.
    fn utilization(&mut self, gpu: usize) -> Result<Option<f32>, ProbeError>;

    /// Temperature and power now.
    ///
    /// # Errors
    ///
    /// Faults of the connection, not of these figures.
    fn sensors(&mut self, gpu: usize) -> Result<Sensors, ProbeError>;

    /// The processes on the card. Slow, and it holds the driver's lock: only when somebody asked.
    ///
    /// # Errors
    ///
    /// Also where the card does not tell.
    fn processes(&mut self, gpu: usize) -> Result<Vec<ProcessUse>, ProbeError>;

    /// Lets go of the driver, so that the card may sleep or a lost handle is made anew.
    fn release(&mut self) {}
}
