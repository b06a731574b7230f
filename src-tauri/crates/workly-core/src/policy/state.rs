//! What the policy remembers between two calls. Small, without heap memory, copied freely.

use super::admission::{CardLoad, EMERGENCY_PERCENT, overload_line, projected};
use super::clocks::{Holds, UpClocks};
use super::decision::{Decision, Numbers, Reason, Switch};
use super::external::{Blame, External, is_full};
use super::observation::{Config, Fault, LayerPlan, Observation, ProfilePlan};
use super::utilization::Utilization;
use crate::profile::{Profile, ProfileChoice};
use crate::reading::{Reading, percent_of};

/// Overload counts on two readings this far apart, milliseconds.
pub const CONFIRM_MS: u64 = 250;
/// Free VRAM that would be gone within this time makes an overload an emergency, milliseconds.
const EMERGENCY_MS: f64 = 2_000.0;

/// When the caller should look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLook {
    /// VRAM after 250 ms: a first reading over the overload line waits to be confirmed.
    Confirm,
    /// VRAM alone every 500 ms: a model is on the GPU, an up clock runs, or an overload was just left and who caused it
    /// is still to be seen. Full readings at the interval go on.
    Guard,
    /// At the interval.
    Interval,
}

/// An overload that was acted on, until a calm reading tells who caused it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fall {
    profile: Profile,
    at: u64,
    doubted: bool,
}

/// The policy's memory of one model on one card.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyState {
    pub(super) profile: Profile,
    pub(super) entered: u64,
    pub(super) external: External,
    pub(super) utilization: Utilization,
    pub(super) clocks: UpClocks,
    pub(super) holds: Holds,
    /// Since when VRAM has been over the overload line.
    pub(super) over_since: Option<u64>,
    pub(super) over_confirmed: bool,
    /// Since when the card has been stressed by others.
    pub(super) stressed_since: Option<u64>,
    /// When the model had to leave a GPU profile that the user holds.
    pub(super) forced_at: Option<u64>,
    /// The profile to come back to once what forced us out is over; `decide` fills it where the user holds a profile.
    pub(super) come_back: Option<Profile>,
    /// The answer under way is being finished on the CPU after a fault.
    pub(super) finishing: bool,
    fall: Option<Fall>,
    last_used: Option<(u64, u64)>,
    last_choice: Option<(ProfileChoice, bool)>,
    last_now: u64,
}

impl PolicyState {
    /// The memory for a model about to start in `profile`.
    ///
    /// `before`: a reading made before it was loaded, where there is one: what it shows is all external. `correction`:
    /// measured / predicted footprint remembered for this model, device and backend, 1.0 if none. `now`: milliseconds
    /// on the caller's monotonic clock, the one of every later call.
    pub fn new(profile: Profile, before: Option<&Reading>, correction: f64, now: u64) -> Self {
        Self {
            profile,
            entered: now,
            external: External::new(before.filter(|r| r.vram_total > 0).map(|r| r.vram_used), correction, now),
            utilization: Utilization::new(before.and_then(Reading::utilization)),
            clocks: UpClocks::default(),
            holds: Holds::default(),
            over_since: None,
            over_confirmed: false,
            stressed_since: None,
            forced_at: None,
            come_back: None,
            finishing: false,
            fall: None,
            last_used: None,
            last_choice: None,
            last_now: now,
        }
    }

    /// The profile the model is in, or was told to go to.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// When the caller should look again.
    pub fn next_look(&self) -> NextLook {
        if self.over_since.is_some() && !self.over_confirmed {
            NextLook::Confirm
        } else if self.profile.uses_gpu() || self.clocks.running() || self.fall.is_some() {
            NextLook::Guard
        } else {
            NextLook::Interval
        }
    }

    /// Measured / predicted footprint, to remember for this model, device and backend and to solve layer plans with.
    pub fn correction(&self) -> f64 {
        self.external.correction()
    }

    /// External VRAM as known last, bytes.
    pub fn external_vram(&self) -> Option<u64> {
        self.external.bytes()
    }

    /// Highest external VRAM of the last 15 s (at most 30), bytes; layer plans are solved with it.
    pub fn highest_external_vram(&self) -> Option<u64> {
        self.external.high()
    }

    /// External utilization as known last, percent.
    pub fn external_gpu_percent(&self) -> Option<f64> {
        self.utilization.percent()
    }

    /// Layers that were seen not to fit: a new layer plan stays below.
    pub fn failed_layers(&self) -> Option<u32> {
        self.external.failed_layers()
    }

    /// How long a profile must be admissible before it is climbed to now, milliseconds.
    pub fn hold_ms(&self, profile: Profile) -> u64 {
        self.holds.of(profile)
    }

    /// Takes note of the time, of a move the policy did not order, and of a change of the user's choice.
    pub(super) fn meet(&mut self, observation: &Observation, config: &Config, now: u64) {
        if now < self.last_now {
            self.stop_timing();
            self.entered = self.entered.min(now);
            self.forced_at = self.forced_at.map(|at| at.min(now));
            self.external.rebase(now);
            self.utilization.rebase();
            self.holds.rebase(now);
            self.last_used = None;
        }
        self.last_now = now;
        if observation.profile != self.profile {
            self.enter(observation.profile, now);
        }
        if observation.moving && observation.profile.uses_gpu() {
            self.external.expect_load();
        }
        let choice = (config.choice, config.auto_switching);
        if self.last_choice.replace(choice).is_some_and(|last| last != choice) {
            (self.forced_at, self.come_back, self.finishing) = (None, None, false);
        }
        self.holds.survived(self.profile, self.entered, now);
    }

    /// Takes in a reading, and settles who caused the last overload once it can be seen.
    pub(super) fn take_in(&mut self, reading: &Reading, observation: &Observation, config: &Config, now: u64) {
        if observation.moving {
            return;
        }
        self.utilization.update(reading, observation, now);
        let active = observation.profile.uses_gpu().then_some(observation.active);
        let blame = self.external.update(reading, active, now);
        let Some(fall) = self.fall.take() else { return };
        if fall.doubted && blame == Some(Blame::Own) {
            return;
        }
        let card = self.card(reading);
        let line = overload_line(&config.thresholds);
        let external = self.external;
        self.holds.fell(fall.profile, fall.at, |other| {
            card.is_some_and(|card| projected(&card, external.corrected(observation.plans.of(other))) > line)
        });
    }

    /// Times how long VRAM has been over the line; returns whether it is certain, and whether it is an emergency.
    pub(super) fn watch_overload(&mut self, reading: &Reading, config: &Config, now: u64) -> (bool, bool) {
        let before = self.last_used.replace((now, reading.vram_used));
        let percent = reading.vram_percent().map_or(0.0, f64::from);
        if percent <= overload_line(&config.thresholds) {
            (self.over_since, self.over_confirmed) = (None, false);
            return (false, false);
        }
        let since = *self.over_since.get_or_insert(now);
        self.over_confirmed = now.saturating_sub(since) >= CONFIRM_MS;
        let rising = before.is_some_and(|(then, used)| {
            let grown = reading.vram_used.saturating_sub(used) as f64;
            let elapsed = now.saturating_sub(then) as f64;
            grown > 0.0 && reading.vram_total.saturating_sub(reading.vram_used) as f64 * elapsed <= grown * EMERGENCY_MS
        });
        (self.over_confirmed, percent > EMERGENCY_PERCENT || rising)
    }

    /// The card as the up rule sees it, while external VRAM is known.
    pub(super) fn card(&self, reading: &Reading) -> Option<CardLoad> {
        Some(CardLoad {
            total: reading.vram_total,
            vram_percent: f64::from(reading.vram_percent()?),
            external: self.external.bytes()?,
            utilization: self.utilization.percent(),
        })
    }

    /// The next profile below that a fault leaves open: one with fewer layers that the card still has room for.
    pub(super) fn below(
        &self,
        active: ProfilePlan,
        plans: &LayerPlan,
        card: Option<CardLoad>,
        config: &Config,
    ) -> Profile {
        let fits = card.is_none_or(|card| {
            projected(&card, self.external.corrected(plans.balanced)) <= overload_line(&config.thresholds)
        });
        let relieves = plans.balanced.layers > 0 && plans.balanced.layers < active.layers;
        if self.profile == Profile::Performance && relieves && fits { Profile::Balanced } else { Profile::CpuFallback }
    }

    /// The card overflowed: who is to blame is settled by the first calm reading after leaving.
    pub(super) fn overflowed(&mut self, observation: &Observation, reading: &Reading, now: u64) {
        let doubted = self.external.doubt(observation.active, reading.vram_used, is_full(reading), now);
        self.fall = Some(Fall { profile: self.profile, at: now, doubted });
    }

    /// The worker ended by itself: the profile waits longer, and a plan that died young of memory was too big.
    pub(super) fn died(&mut self, fault: Fault, observation: &Observation, total: Option<u64>, now: u64) {
        self.holds.fell(self.profile, now, |_| false);
        if let Some(total) = total.filter(|_| fault == Fault::Memory) {
            self.external.doubt(observation.active, total, true, now);
        }
    }

    /// The GPU is gone: nothing is known of others any more.
    pub(super) fn lose_sight(&mut self) {
        self.stop_timing();
        self.external.forget();
        self.utilization.forget();
        self.last_used = None;
        if let Some(fall) = self.fall.take() {
            self.holds.fell(fall.profile, fall.at, |_| false);
        }
    }

    /// Forgets what was being timed.
    pub(super) fn stop_timing(&mut self) {
        self.clocks.reset();
        (self.over_since, self.over_confirmed, self.stressed_since) = (None, false, None);
    }

    /// Decides to switch.
    pub(super) fn switch(
        &mut self,
        to: Profile,
        reason: Reason,
        emergency: bool,
        reading: Option<&Reading>,
    ) -> Decision {
        let from = self.profile;
        let numbers = self.numbers(reading);
        self.enter(to, self.last_now);
        if to >= from {
            self.holds.climbed(to, self.last_now);
        }
        Decision::Switch(Switch { from, to, reason, emergency, numbers })
    }

    fn enter(&mut self, profile: Profile, now: u64) {
        (self.profile, self.entered) = (profile, now);
        self.stop_timing();
        if profile.uses_gpu() {
            self.external.expect_load();
        }
    }

    fn numbers(&self, reading: Option<&Reading>) -> Numbers {
        let external = |reading: &Reading| percent_of(self.external.bytes()? as f64, reading.vram_total);
        Numbers {
            vram_percent: reading.and_then(Reading::vram_percent).map(f64::from),
            gpu_percent: reading.and_then(Reading::utilization).map(f64::from),
            external_vram_percent: reading.and_then(external),
            external_gpu_percent: self.utilization.percent(),
        }
    }
}
