//! What `decide` is told: the reading, where the model is, what each profile would take, and what the user asked for.

use serde::{Deserialize, Serialize};

use crate::profile::{Profile, ProfileChoice};
use crate::reading::Reading;
use crate::settings::Settings;
use crate::thresholds::Thresholds;

/// What one profile places on the GPU for the model at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ProfilePlan {
    /// Layers on the GPU.
    pub layers: u32,
    /// Predicted VRAM footprint, bytes, before the policy's correction.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub footprint: u64,
}

impl ProfilePlan {
    /// Nothing on the GPU.
    pub const NONE: Self = Self { layers: 0, footprint: 0 };
}

/// The layer plan: what each profile would place on this card now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LayerPlan {
    /// Plan of `performance`.
    pub performance: ProfilePlan,
    /// Plan of `balanced`.
    pub balanced: ProfilePlan,
    /// Layers the model has in all.
    pub model_layers: u32,
}

impl LayerPlan {
    /// The plan of a profile.
    pub const fn of(&self, profile: Profile) -> ProfilePlan {
        match profile {
            Profile::Performance => self.performance,
            Profile::Balanced => self.balanced,
            Profile::CpuFallback => ProfilePlan::NONE,
        }
    }

    /// Whether a profile places more on the GPU than the one below it. The policy climbs to no other.
    pub const fn is_distinct(&self, profile: Profile) -> bool {
        match profile {
            Profile::Performance => self.performance.layers > self.balanced.layers,
            Profile::Balanced => self.balanced.layers > 0,
            Profile::CpuFallback => true,
        }
    }
}

/// What the probe has to say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sight {
    /// A reading just taken.
    Fresh(Reading),
    /// The probe has not answered for a while; nothing is known to have changed.
    Stale,
    /// There is no GPU, or it is lost.
    Gone,
}

/// How fast the worker on the GPU is writing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Tokens per second over about the last half second.
    pub tokens_per_second: f32,
    /// Tokens in the context by now.
    pub context_tokens: u32,
}

/// One look at everything the policy depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// What the probe has to say.
    pub sight: Sight,
    /// Whether utilization was asked for with this reading; a guard reading of VRAM alone says nothing about it.
    pub utilization_asked: bool,
    /// Where the model is; while it moves, where it is going.
    pub profile: Profile,
    /// Whether a GPU worker is loading, leaving, or its memory is still coming back (at most 5 s).
    pub moving: bool,
    /// The plan the GPU worker was loaded with, or is being loaded with; [`ProfilePlan::NONE`] on the CPU.
    pub active: ProfilePlan,
    /// The layer plan as solved last.
    pub plans: LayerPlan,
    /// When Workly last computed on the GPU, prompt or token, milliseconds on the caller's clock.
    pub gpu_work_ms: Option<u64>,
    /// Whether an answer is being written.
    pub answering: bool,
    /// How fast the GPU worker writes, while it does.
    pub speed: Option<Speed>,
    /// What ended the GPU worker, if it has ended by itself since the last call.
    pub fault: Option<Fault>,
}

/// What ended a worker that nobody had asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It ran out of memory.
    Memory,
    /// It crashed, hung, or was ended from outside.
    Other,
}

/// What the user asked for in the tray, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverrideKind {
    /// Stay on the GPU: overload and stress are ignored, fault and emergency act.
    Hold,
    /// Stay off the GPU.
    GiveUp,
}

/// An override and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Override {
    /// What was asked for.
    pub kind: OverrideKind,
    /// When it ends, milliseconds on the caller's clock; `None` until cancelled.
    pub until_ms: Option<u64>,
}

/// What the user has set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// The thresholds; validated ones.
    pub thresholds: Thresholds,
    /// The profile choice.
    pub choice: ProfileChoice,
    /// Whether Workly may switch by itself.
    pub auto_switching: bool,
    /// The override in force, if any; the caller turns its wall-clock end into its own clock.
    pub override_: Option<Override>,
}

impl Default for Config {
    fn default() -> Self {
        Self { thresholds: Thresholds::default(), choice: ProfileChoice::Auto, auto_switching: true, override_: None }
    }
}

impl Config {
    /// The part of the settings that the policy needs. The override is left out: its end is in wall-clock time.
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            thresholds: settings.gpu_monitoring.thresholds,
            choice: settings.ai.gpu_profile,
            auto_switching: settings.ai.auto_switching_enabled,
            override_: None,
        }
    }

    /// The override in force at a moment.
    pub(super) fn override_at(&self, now: u64) -> Option<OverrideKind> {
        self.override_.filter(|wish| wish.until_ms.is_none_or(|until| now < until)).map(|wish| wish.kind)
    }
}
