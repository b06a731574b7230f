//! The closed loop: reading from the trace and Workly's own share, policy, profile, next reading.

use std::str::FromStr;

use super::footprints::Footprints;
use super::report::{Report, SimulatedSwitch};
use super::trace::{Row, Trace};
use crate::policy::{
    Config, LayerPlan, Observation, PolicyState, Reason, Sight, Switch, classify, decide, highest_admissible,
};
use crate::profile::Profile;
use crate::reading::Reading;

/// Time between two looks of the table policy, milliseconds.
const TABLE_INTERVAL_MS: u64 = 5_000;

/// Who decides in a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SimulatedPolicy {
    /// The policy of Workly.
    #[default]
    Workly,
    /// The seed's table alone, every 5 s: what Workly would be without a policy.
    Table,
}

impl FromStr for SimulatedPolicy {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "workly" => Ok(Self::Workly),
            "table" => Ok(Self::Table),
            _ => Err("use workly or table"),
        }
    }
}

/// What one row of a simulation looked like, for a picture of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Time, seconds.
    pub seconds: f64,
    /// What a probe would have seen, after what was decided.
    pub reading: Reading,
    /// VRAM of Workly's own worker, bytes.
    pub own_bytes: u64,
    /// The profile from here on.
    pub profile: Profile,
    /// What was decided; `None` where the profile stayed, and always with the table policy.
    pub switch: Option<Switch>,
}

/// Plays a trace. It starts in the profile the up rule would choose on the first row, without a hold.
///
/// A row holds until the next one; the last holds as long as the one before it. A switch takes effect on its own row,
/// so the time from there on counts for the new profile.
pub fn simulate(trace: &Trace, footprints: &Footprints, policy: SimulatedPolicy, config: &Config) -> Report {
    simulate_steps(trace, footprints, policy, config, |_| {})
}

/// Plays a trace as [`simulate`] does, and tells of each row.
pub fn simulate_steps(
    trace: &Trace,
    footprints: &Footprints,
    policy: SimulatedPolicy,
    config: &Config,
    mut tell: impl FnMut(Step),
) -> Report {
    let plans = footprints.layer_plan();
    let rows = trace.rows();
    let mut report = Report { samples: rows.len(), ..Report::default() };
    let Some(first) = rows.first() else { return report };

    let before = reading(first, Profile::CpuFallback, &plans);
    let mut profile = highest_admissible(&before, &plans, &config.thresholds);
    let mut state = PolicyState::new(profile, Some(&before), 1.0, first.milliseconds());
    let mut gpu_work_ms = None;
    let mut overload = 0.0;
    for (index, row) in rows.iter().enumerate() {
        let now = row.milliseconds();
        let reading = reading(row, profile, &plans);
        if row.generating && profile.uses_gpu() {
            gpu_work_ms = Some(now);
        }
        let switched = match policy {
            SimulatedPolicy::Workly => {
                let observation = observation(row, reading, profile, &plans, gpu_work_ms);
                let (next, decision) = decide(state, &observation, config, now);
                state = next;
                decision.switch().map(|switch| (switch.to, switch.reason, Some(switch)))
            }
            SimulatedPolicy::Table => {
                let recommended = classify(&reading, &config.thresholds).recommended_profile();
                let due = now % TABLE_INTERVAL_MS == 0 && recommended != profile;
                due.then_some((recommended, Reason::Table, None))
            }
        };
        if let Some((to, reason, _)) = switched {
            report.switches.push(SimulatedSwitch {
                seconds: row.seconds,
                from: profile,
                to,
                reason: reason.name(),
                vram_percent: reading.vram_percent().map_or(0.0, hundredths),
                gpu_percent: reading.utilization().map(hundredths),
            });
            profile = to;
        }

        let seconds = duration(rows, index);
        report.seconds_in.add(profile, seconds);
        let after = self::reading(row, profile, &plans);
        let percent = after.vram_percent().map_or(0.0, f64::from);
        let own_bytes = plans.of(profile).footprint;
        let switch = switched.and_then(|(_, _, switch)| switch);
        tell(Step { seconds: row.seconds, reading: after, own_bytes, profile, switch });
        if own_bytes > 0 && percent > config.thresholds.overload_vram_percent {
            overload += seconds;
            report.seconds_overloaded += seconds;
            report.longest_overload_seconds = report.longest_overload_seconds.max(overload);
        } else {
            overload = 0.0;
        }
    }
    report
}

/// What a probe would see: the row's others and Workly in `profile`. A card cannot be fuller than full.
fn reading(row: &Row, profile: Profile, plans: &LayerPlan) -> Reading {
    let total = row.vram_total_mib << 20;
    let used = ((row.external_vram_mib << 20) + plans.of(profile).footprint).min(total);
    let own_percent = match profile {
        _ if !row.generating => 0.0,
        Profile::Performance => 95.0,
        Profile::Balanced => 60.0,
        Profile::CpuFallback => 0.0,
    };
    Reading {
        time_ms: row.milliseconds(),
        vram_total: total,
        vram_used: used,
        vram_free: total - used,
        gpu_percent: row.external_gpu_percent.map(|percent| (percent + own_percent).min(100.0)),
        ..Reading::default()
    }
}

fn observation(
    row: &Row,
    reading: Reading,
    profile: Profile,
    plans: &LayerPlan,
    gpu_work_ms: Option<u64>,
) -> Observation {
    Observation {
        sight: Sight::Fresh(reading),
        utilization_asked: true,
        profile,
        moving: false,
        active: plans.of(profile),
        plans: *plans,
        gpu_work_ms,
        answering: row.generating,
        speed: None,
        fault: None,
    }
}

/// Two digits after the point: what a percentage is good for.
fn hundredths(percent: f32) -> f64 {
    (f64::from(percent) * 100.0).round() / 100.0
}

fn duration(rows: &[Row], index: usize) -> f64 {
    match (rows.get(index), rows.get(index + 1)) {
        (Some(row), Some(next)) => next.seconds - row.seconds,
        _ if index > 0 => duration(rows, index - 1),
        _ => 0.0,
    }
}
