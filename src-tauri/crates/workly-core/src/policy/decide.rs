//! `decide`: one look in, one decision out.

use super::admission::admits;
use super::clocks::{BASE_HOLD_MS, GPU_PROFILES};
use super::decision::{Decision, Reason};
use super::observation::{Config, Fault, Observation, OverrideKind, Sight};
use super::state::PolicyState;
use crate::profile::{Profile, ProfileChoice};
use crate::reading::Reading;

/// How long stress must last, milliseconds.
const STRESS_MS: u64 = 5_000;
/// How many times its layers a new plan must hold before the active profile grows.
const GROWTH: f64 = 1.2;

/// Decides what to do about one observation, at `now` milliseconds on the caller's monotonic clock.
///
/// Pure: the caller keeps the state that comes back and hands it in again. A [`Decision::Switch`] counts as begun: from
/// the next call on `observation.profile` is its `to`, with `moving` set until the worker is ready and the memory of the
/// old one is back. A caller that cannot carry it out simply goes on reporting where the model is.
pub fn decide(mut state: PolicyState, observation: &Observation, config: &Config, now: u64) -> (PolicyState, Decision) {
    state.meet(observation, config, now);
    let reading = match &observation.sight {
        Sight::Fresh(reading) if reading.vram_total > 0 => Some(reading),
        _ => None,
    };
    if let Some(reading) = reading
        && observation.fault.is_none()
    {
        state.take_in(reading, observation, config, now);
    }
    let wish = config.override_at(now);
    let held = match config.choice {
        ProfileChoice::Fixed(profile) => Some(profile),
        ProfileChoice::Auto if !config.auto_switching => Some(state.come_back.unwrap_or(state.profile)),
        ProfileChoice::Auto => None,
    };
    let decision = if observation.sight == Sight::Gone {
        gone(&mut state, held, now)
    } else if wish == Some(OverrideKind::GiveUp) {
        give_up(&mut state, held, reading)
    } else if let Some(profile) = held {
        hold_choice(&mut state, profile, observation, reading, now)
    } else if let Some(kind) = observation.fault.filter(|_| state.profile.uses_gpu()) {
        fault(&mut state, kind, observation, config, reading, now)
    } else if let Some(reading) = reading {
        by_reading(&mut state, observation, config, reading, wish == Some(OverrideKind::Hold), now)
    } else {
        state.stop_timing();
        Decision::Hold
    };
    (state, decision)
}

/// The GPU is gone: to the CPU, whatever was chosen. The next good reading starts the up clocks.
fn gone(state: &mut PolicyState, held: Option<Profile>, now: u64) -> Decision {
    state.lose_sight();
    if !state.profile.uses_gpu() {
        return Decision::Hold;
    }
    (state.forced_at, state.come_back) = (Some(now), held);
    state.switch(Profile::CpuFallback, Reason::GpuGone, false, None)
}

/// The user wants the GPU for something else.
fn give_up(state: &mut PolicyState, held: Option<Profile>, reading: Option<&Reading>) -> Decision {
    state.stop_timing();
    state.finishing = false;
    if !state.profile.uses_gpu() {
        return Decision::Hold;
    }
    state.come_back = held;
    state.switch(Profile::CpuFallback, Reason::Override, false, reading)
}

/// A profile the user holds: kept, but for a fault while answering, which finishes the answer on the CPU.
fn hold_choice(
    state: &mut PolicyState,
    held: Profile,
    observation: &Observation,
    reading: Option<&Reading>,
    now: u64,
) -> Decision {
    state.stop_timing();
    if let Some(kind) = observation.fault.filter(|_| observation.answering && state.profile.uses_gpu()) {
        (state.forced_at, state.come_back, state.finishing) = (Some(now), Some(held), true);
        return state.switch(Profile::CpuFallback, reason_of(kind), false, reading);
    }
    state.finishing &= observation.answering;
    if state.profile == held {
        state.come_back = None;
    }
    let wanted = if observation.plans.of(held).layers == 0 { Profile::CpuFallback } else { held };
    if state.finishing || observation.moving || wanted == state.profile {
        return Decision::Hold;
    }
    let forced = state.forced_at.is_some_and(|at| now.saturating_sub(at) < BASE_HOLD_MS);
    if wanted > state.profile && (forced || reading.is_none()) {
        return Decision::Hold;
    }
    state.switch(wanted, Reason::Choice, false, reading)
}

/// The worker ended by itself: to the next lower profile that the card has room for, at once.
fn fault(
    state: &mut PolicyState,
    kind: Fault,
    observation: &Observation,
    config: &Config,
    reading: Option<&Reading>,
    now: u64,
) -> Decision {
    state.died(kind, observation, reading.map(|reading| reading.vram_total), now);
    let card = reading.and_then(|reading| state.card(reading));
    let to = state.below(observation.active, &observation.plans, card, config);
    state.switch(to, reason_of(kind), false, reading)
}

const fn reason_of(fault: Fault) -> Reason {
    match fault {
        Fault::Memory => Reason::Fault,
        Fault::Other => Reason::Crash,
    }
}

/// The policy proper: down fast, up slowly.
fn by_reading(
    state: &mut PolicyState,
    observation: &Observation,
    config: &Config,
    reading: &Reading,
    hold_the_gpu: bool,
    now: u64,
) -> Decision {
    let (overloaded, emergency) = state.watch_overload(reading, config, now);
    if overloaded && state.profile.uses_gpu() && (emergency || !hold_the_gpu) {
        let own = !observation.moving && state.external.own_doing(reading.vram_total, now);
        let reason = if own { Reason::Replan } else { Reason::Overload };
        state.overflowed(observation, reading, now);
        return state.switch(Profile::CpuFallback, reason, emergency, Some(reading));
    }
    if observation.moving {
        state.clocks.reset();
        state.stressed_since = None;
        return Decision::Hold;
    }
    if let Some(to) = relief_from_stress(state, observation, config, reading, now)
        && !hold_the_gpu
    {
        state.holds.fell(state.profile, now, |_| false);
        return state.switch(to, Reason::Stress, false, Some(reading));
    }
    match climb(state, observation, config, reading, now) {
        Some(to) if to == state.profile => state.switch(to, Reason::Replan, false, Some(reading)),
        Some(to) => state.switch(to, Reason::Recovered, false, Some(reading)),
        None => Decision::Hold,
    }
}

/// Where to go from `performance` once others have stressed the card for long enough.
fn relief_from_stress(
    state: &mut PolicyState,
    observation: &Observation,
    config: &Config,
    reading: &Reading,
    now: u64,
) -> Option<Profile> {
    let thresholds = &config.thresholds;
    let full = reading.vram_percent().is_some_and(|percent| f64::from(percent) > thresholds.stressed_vram_percent);
    let busy = state.utilization.percent().is_some_and(|percent| percent > thresholds.stressed_gpu_percent);
    if state.profile != Profile::Performance || !full || !busy {
        state.stressed_since = None;
        return None;
    }
    let lasted = now.saturating_sub(*state.stressed_since.get_or_insert(now)) >= STRESS_MS;
    let balanced = observation.plans.balanced.layers;
    // A reading over the line, the first of an overload maybe, leaves no room for `balanced` either.
    let room = balanced > 0 && state.over_since.is_none();
    let to = if room { Profile::Balanced } else { Profile::CpuFallback };
    (lasted && (balanced < observation.active.layers || !room)).then_some(to)
}

/// The highest profile admissible without a break for its hold: one above, or the same with a fifth more layers.
fn climb(
    state: &mut PolicyState,
    observation: &Observation,
    config: &Config,
    reading: &Reading,
    now: u64,
) -> Option<Profile> {
    let card = state.card(reading);
    let mut highest = None;
    for profile in GPU_PROFILES {
        let plan = observation.plans.of(profile);
        let more = match profile.cmp(&state.profile) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => f64::from(plan.layers) >= f64::from(observation.active.layers) * GROWTH,
            std::cmp::Ordering::Greater => observation.plans.is_distinct(profile),
        };
        let footprint = state.external.corrected(plan);
        let admissible = more
            && plan.layers > observation.active.layers
            && card.is_some_and(|card| admits(profile, footprint, &card, &config.thresholds));
        let lasted = state.clocks.tick(profile, admissible, now);
        if highest.is_none() && lasted.is_some_and(|lasted| lasted >= state.holds.of(profile)) {
            highest = Some(profile);
        }
    }
    highest
}
