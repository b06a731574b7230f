//! External VRAM: what everything but Workly's worker takes of the card.
//!
//! External = used - own. Own is the process list's figure when it was asked for, else the predicted footprint times
//! this model's correction. The correction is measured at each load: used after it minus external before it. External
//! is never perfectly still, so the measurement is a range, as wide as external moved in the last 15 s, and the
//! correction moves only as far as that range demands: noise teaches nothing. A measurement beyond half or double
//! the prediction can only be others, who moved meanwhile, and is ignored; on a full card it is a lower bound.
//!
//! An overload or a memory fault within 10 s of our own load leaves a *doubt*. It is settled by the first calm reading
//! after leaving, which shows what others really hold: if no more than before the load, the plan itself was too big,
//! and it counts from then on with the footprint it was seen to have; if more, what that load taught is forgotten.

use super::admission::EMERGENCY_PERCENT;
use super::observation::ProfilePlan;
use crate::reading::Reading;

/// Bounds of the correction, measured / predicted.
const CORRECTION: (f64, f64) = (0.8, 1.5);
/// Bounds outside which a measurement is about others.
const PLAUSIBLE: (f64, f64) = (0.5, 2.0);
/// Half of the time the range of external VRAM looks back, milliseconds: it covers 15 to 30 s.
const RANGE_HALF_MS: u64 = 15_000;
/// How long after a load an overload may be its own doing, milliseconds.
const OWN_LOAD_MS: u64 = 10_000;
/// What external may grow and still count as unchanged, percent of total VRAM.
const UNCHANGED_PERCENT: u64 = 2;

/// Lowest and highest external VRAM of a while, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    low: u64,
    high: u64,
}

impl Range {
    fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

/// A plan that was seen not to fit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Failed {
    layers: u32,
    bytes: u64,
}

/// An overload soon after our own load, not yet attributed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Doubt {
    plan: ProfilePlan,
    before: Range,
    used: u64,
    /// The card was full: the plan took at least what was seen.
    full: bool,
    correction_before: f64,
}

/// Whom an overload is put down to once the doubt is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The plan was too big.
    Own,
    /// Others had grown.
    Others,
}

/// The estimate and its memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct External {
    bytes: Option<u64>,
    recent: Option<Range>,
    older: Option<Range>,
    turned_ms: u64,
    correction: f64,
    /// A load is under way or has just ended: the next calm reading measures it.
    to_measure: bool,
    loaded: Option<(u64, Range, f64)>,
    failed: Option<Failed>,
    doubt: Option<Doubt>,
}

impl External {
    /// `before`: VRAM in use by others before the model is loaded, bytes, where a reading told.
    pub(super) fn new(before: Option<u64>, correction: f64, now: u64) -> Self {
        let correction = if correction.is_finite() { correction.clamp(CORRECTION.0, CORRECTION.1) } else { 1.0 };
        Self {
            bytes: before,
            recent: before.map(|bytes| Range { low: bytes, high: bytes }),
            older: None,
            turned_ms: now,
            correction,
            to_measure: true,
            loaded: None,
            failed: None,
            doubt: None,
        }
    }

    /// External VRAM as known last, bytes.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Measured / predicted footprint of this model.
    pub(super) fn correction(&self) -> f64 {
        self.correction
    }

    /// Highest external VRAM of the last 15 s at least, bytes.
    pub(super) fn high(&self) -> Option<u64> {
        self.range().map(|range| range.high)
    }

    /// Layers from which a plan was seen not to fit.
    pub(super) fn failed_layers(&self) -> Option<u32> {
        self.failed.map(|failed| failed.layers)
    }

    /// The footprint of a plan as experience corrects it, bytes.
    pub(super) fn corrected(&self, plan: ProfilePlan) -> u64 {
        let bytes = (plan.footprint as f64 * self.correction).round() as u64;
        match self.failed {
            Some(failed) if plan.layers >= failed.layers => bytes.max(failed.bytes),
            _ => bytes,
        }
    }

    /// A load begins: external stays as it is until a calm reading measures the load.
    pub(super) fn expect_load(&mut self) {
        self.to_measure = true;
    }

    /// The GPU is gone, and with it what was known of others.
    pub(super) fn forget(&mut self) {
        (self.bytes, self.recent, self.older, self.doubt) = (None, None, None, None);
    }

    /// Time went backwards: nothing may lie in the future.
    pub(super) fn rebase(&mut self, now: u64) {
        self.turned_ms = self.turned_ms.min(now);
        self.loaded = self.loaded.map(|(at, before, correction)| (at.min(now), before, correction));
    }

    /// Takes in a reading made while nothing moves. `active`: the plan on the GPU, none on the CPU.
    pub(super) fn update(&mut self, reading: &Reading, active: Option<ProfilePlan>, now: u64) -> Option<Blame> {
        let own = match active {
            None => 0,
            Some(plan) => self.own(reading, plan, now),
        };
        self.to_measure = false;
        let bytes = reading.vram_used.saturating_sub(own);
        self.bytes = Some(bytes);
        self.remember(bytes, now);
        self.doubt.take().map(|doubt| self.settle(&doubt, bytes, reading.vram_total))
    }

    fn own(&mut self, reading: &Reading, plan: ProfilePlan, now: u64) -> u64 {
        let listed = reading.own_bytes.filter(|&bytes| bytes > 0);
        let before = self.range();
        if self.to_measure {
            self.loaded = before.map(|before| (now, before, self.correction));
        }
        if let Some(bytes) = listed {
            self.learn(bytes, plan);
            return bytes;
        }
        if let (true, Some(before)) = (self.to_measure, before) {
            let least = reading.vram_used.saturating_sub(before.high);
            let most = if is_full(reading) { u64::MAX } else { reading.vram_used.saturating_sub(before.low) };
            self.learn(self.corrected(plan).clamp(least, most), plan);
        }
        self.corrected(plan)
    }

    fn learn(&mut self, bytes: u64, plan: ProfilePlan) {
        let ratio = bytes as f64 / plan.footprint as f64;
        if bytes != self.corrected(plan) && (PLAUSIBLE.0..=PLAUSIBLE.1).contains(&ratio) {
            self.correction = ratio.clamp(CORRECTION.0, CORRECTION.1);
        }
    }

    fn range(&self) -> Option<Range> {
        match (self.recent, self.older) {
            (Some(recent), Some(older)) => Some(recent.with(older)),
            (recent, older) => recent.or(older),
        }
    }

    fn remember(&mut self, bytes: u64, now: u64) {
        let moment = Range { low: bytes, high: bytes };
        if now.saturating_sub(self.turned_ms) >= RANGE_HALF_MS {
            (self.older, self.recent, self.turned_ms) = (self.recent, None, now);
        }
        self.recent = Some(self.recent.map_or(moment, |recent| recent.with(moment)));
    }

    /// Whether the last load ended so recently that trouble may be its own doing.
    fn recent_load(&self, now: u64) -> Option<(Range, f64)> {
        let (at, before, correction) = self.loaded?;
        (now.saturating_sub(at) <= OWN_LOAD_MS).then_some((before, correction))
    }

    /// Whether an overload now follows our own load while others, as far as can be seen, have not grown.
    pub(super) fn own_doing(&self, total: u64, now: u64) -> bool {
        let unchanged =
            |before: Range| self.bytes.is_some_and(|bytes| bytes <= before.high.saturating_add(tolerance(total)));
        self.recent_load(now).is_some_and(|(before, _)| unchanged(before))
    }

    /// The card overflowed under `plan`: leaves a doubt if the plan was loaded just now, or is being loaded.
    /// Returns whether it did.
    pub(super) fn doubt(&mut self, plan: ProfilePlan, used: u64, full: bool, now: u64) -> bool {
        let load = match self.range() {
            Some(before) if self.to_measure => Some((before, self.correction)),
            _ => self.recent_load(now),
        };
        self.doubt = load.map(|(before, correction_before)| Doubt { plan, before, used, full, correction_before });
        self.doubt.is_some()
    }

    fn settle(&mut self, doubt: &Doubt, external: u64, total: u64) -> Blame {
        if external > doubt.before.high.saturating_add(tolerance(total)) {
            self.correction = doubt.correction_before;
            return Blame::Others;
        }
        let bytes = doubt.used.saturating_sub(external);
        let bytes = if doubt.full { bytes.max(self.corrected(doubt.plan)) } else { bytes };
        self.learn(bytes, doubt.plan);
        self.failed = Some(Failed { layers: doubt.plan.layers, bytes });
        Blame::Own
    }
}

/// Whether the card is so full that drivers move memory elsewhere: what is in use then shows only part of the demand.
pub(super) fn is_full(reading: &Reading) -> bool {
    reading.vram_percent().is_some_and(|percent| f64::from(percent) > EMERGENCY_PERCENT)
}

fn tolerance(total: u64) -> u64 {
    total / 100 * UNCHANGED_PERCENT
}
