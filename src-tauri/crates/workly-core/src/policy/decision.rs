//! Decisions: hold, or switch, with the numbers that explain it.

use serde::{Deserialize, Serialize};

use crate::profile::Profile;

/// Why the model moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// VRAM ran over the overload threshold.
    Overload,
    /// VRAM was high while others kept the GPU busy.
    Stress,
    /// The worker died of memory.
    Fault,
    /// The worker crashed, hung, or was ended from outside.
    Crash,
    /// There has been room for long enough.
    Recovered,
    /// The same profile, or the way to it, with another number of layers.
    Replan,
    /// The user asked for it in the tray, for a while.
    Override,
    /// The user's profile choice.
    Choice,
    /// The GPU is gone.
    GpuGone,
    /// The first profile after a start.
    Start,
    /// The seed's table alone; only in simulations.
    Table,
}

impl Reason {
    /// The name used in JSON, on the command line and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Stress => "stress",
            Self::Fault => "fault",
            Self::Crash => "crash",
            Self::Recovered => "recovered",
            Self::Replan => "replan",
            Self::Override => "override",
            Self::Choice => "choice",
            Self::GpuGone => "gpu_gone",
            Self::Start => "start",
            Self::Table => "table",
        }
    }
}

/// What was known when a decision was made; percentages, of total VRAM where they are of VRAM.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Numbers {
    /// VRAM in use by everyone.
    pub vram_percent: Option<f64>,
    /// Utilization of the whole card, Workly's own included.
    pub gpu_percent: Option<f64>,
    /// VRAM in use by others.
    pub external_vram_percent: Option<f64>,
    /// Utilization by others.
    pub external_gpu_percent: Option<f64>,
}

/// A switch to carry out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Switch {
    /// The profile that is left; while the model moves, the one it was moving to.
    pub from: Profile,
    /// The profile to take. The same as `from` when only the number of layers changes.
    pub to: Profile,
    /// Why.
    pub reason: Reason,
    /// Whether the GPU worker must end at once, before a CPU worker is ready.
    pub emergency: bool,
    /// What was known.
    pub numbers: Numbers,
}

/// What the policy wants done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Nothing.
    Hold,
    /// A switch.
    Switch(Switch),
}

impl Decision {
    /// The switch, if it is one.
    pub const fn switch(self) -> Option<Switch> {
        match self {
            Self::Hold => None,
            Self::Switch(switch) => Some(switch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_written_as_it_is_named() {
        for reason in [
            Reason::Overload,
            Reason::Stress,
            Reason::Fault,
            Reason::Crash,
            Reason::Recovered,
            Reason::Replan,
            Reason::Override,
            Reason::Choice,
            Reason::GpuGone,
            Reason::Start,
            Reason::Table,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
