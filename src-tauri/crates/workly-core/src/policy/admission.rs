//! Admission: which profiles the up rule allows on this card now, the holds aside; and the profile to start in.

use super::observation::{Config, LayerPlan, ProfilePlan};
use crate::profile::{Profile, ProfileChoice};
use crate::reading::{Reading, percent_of};
use crate::thresholds::Thresholds;

/// Distance a projection keeps from overload, percentage points.
pub(crate) const MARGIN: f64 = 2.0;
/// Above it VRAM is an emergency whatever the threshold, percent of total VRAM.
pub const EMERGENCY_PERCENT: f64 = 97.0;

/// The line above which Workly leaves the GPU, percent of total VRAM.
pub(crate) fn overload_line(thresholds: &Thresholds) -> f64 {
    thresholds.overload_vram_percent.min(EMERGENCY_PERCENT)
}

/// How full and how busy the card is, as the up rule looks at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CardLoad {
    /// VRAM in all, bytes.
    pub(super) total: u64,
    /// VRAM in use by everyone, percent of total.
    pub(super) vram_percent: f64,
    /// External VRAM, bytes.
    pub(super) external: u64,
    /// External utilization, percent.
    pub(super) utilization: Option<f64>,
}

/// Percent of total VRAM in use once a plan of this footprint is on the card; over any line where the total is unknown.
pub(super) fn projected(card: &CardLoad, footprint: u64) -> f64 {
    percent_of(card.external as f64 + footprint as f64, card.total).unwrap_or(f64::INFINITY)
}

/// Whether the up rule allows a profile. `footprint`: its corrected footprint, bytes.
pub(super) fn admits(profile: Profile, footprint: u64, card: &CardLoad, thresholds: &Thresholds) -> bool {
    let projected = projected(card, footprint);
    let line = overload_line(thresholds);
    let busier_than = |limit: f64| card.utilization.is_some_and(|percent| percent > limit);
    let calm = card.utilization.is_none_or(|percent| percent < thresholds.optimal_gpu_percent);
    let spare = percent_of(card.external as f64, card.total).is_some_and(|used| used < thresholds.optimal_vram_percent);
    let stressed = projected > thresholds.stressed_vram_percent && busier_than(thresholds.stressed_gpu_percent);
    let fits = card.vram_percent <= line && projected <= line - MARGIN && !stressed;
    match profile {
        Profile::CpuFallback => true,
        Profile::Balanced => fits,
        Profile::Performance => fits && spare && calm,
    }
}

/// The highest profile the up rule allows for a model that is not loaded yet, without a hold.
pub fn highest_admissible(reading: &Reading, plans: &LayerPlan, thresholds: &Thresholds) -> Profile {
    let Some(vram_percent) = reading.vram_percent() else { return Profile::CpuFallback };
    let card = CardLoad {
        total: reading.vram_total,
        vram_percent: f64::from(vram_percent),
        external: reading.vram_used,
        utilization: reading.utilization().map(f64::from),
    };
    let allowed = |profile: &Profile| {
        plans.is_distinct(*profile) && admits(*profile, plans.of(*profile).footprint, &card, thresholds)
    };
    Profile::ALL.into_iter().find(allowed).unwrap_or(Profile::CpuFallback)
}

/// The profile to start in.
///
/// A fixed choice wins where there is a GPU. While the layer plan is unknown VRAM decides, in decimal gigabytes, as the
/// seed's table. When it is known (its footprints already corrected), the up rule decides without a hold; but on a card
/// under 4 GB a model that does not fit whole starts on the CPU.
pub fn start(reading: Option<&Reading>, plans: Option<&LayerPlan>, config: &Config) -> Profile {
    const GIGABYTE: u64 = 1_000_000_000;
    let Some(reading) = reading else { return Profile::CpuFallback };
    match (config.choice, plans) {
        (ProfileChoice::Fixed(profile), Some(plans)) if plans.of(profile) == ProfilePlan::NONE => Profile::CpuFallback,
        (ProfileChoice::Fixed(profile), _) => profile,
        (ProfileChoice::Auto, None) if reading.vram_total > 6 * GIGABYTE => Profile::Performance,
        (ProfileChoice::Auto, None) if reading.vram_total >= 4 * GIGABYTE => Profile::Balanced,
        (ProfileChoice::Auto, None) => Profile::CpuFallback,
        (ProfileChoice::Auto, Some(plans)) => {
            let profile = highest_admissible(reading, plans, &config.thresholds);
            let whole = profile != Profile::CpuFallback && plans.of(profile).layers >= plans.model_layers;
            if reading.vram_total < 4 * GIGABYTE && !whole { Profile::CpuFallback } else { profile }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn reading(total_mib: u64, used_mib: u64, gpu_percent: f32) -> Reading {
        Reading {
            vram_total: total_mib * MIB,
            vram_used: used_mib * MIB,
            gpu_percent: Some(gpu_percent),
            ..Reading::default()
        }
    }

    fn plans(performance: (u32, u64), balanced: (u32, u64)) -> LayerPlan {
        let plan = |(layers, mib): (u32, u64)| ProfilePlan { layers, footprint: mib * MIB };
        LayerPlan { performance: plan(performance), balanced: plan(balanced), model_layers: 33 }
    }

    #[test]
    fn while_the_plan_is_unknown_the_seed_table_decides_by_decimal_gigabytes() {
        let at = |total_mib| start(Some(&reading(total_mib, 0, 0.0)), None, &Config::default());
        assert_eq!(at(3072), Profile::CpuFallback);
        assert_eq!(at(4096), Profile::Balanced);
        assert_eq!(at(6141), Profile::Performance, "a card sold as 6 GB");
        assert_eq!(start(None, None, &Config::default()), Profile::CpuFallback);
    }

    #[test]
    fn the_up_rule_decides_when_the_plan_is_known() {
        let plans = plans((33, 5100), (20, 3300));
        let at = |used, gpu| start(Some(&reading(6141, used, gpu)), Some(&plans), &Config::default());
        assert_eq!(at(250, 5.0), Profile::Performance);
        assert_eq!(at(310, 5.0), Profile::Balanced, "88.1 % projected is less than 2 points under overload");
        assert_eq!(at(250, 60.0), Profile::Balanced);
        assert_eq!(at(2000, 70.0), Profile::Balanced);
        assert_eq!(at(2000, 85.0), Profile::CpuFallback, "balanced would be stressed at once");
        assert_eq!(at(2500, 5.0), Profile::CpuFallback);
    }

    #[test]
    fn a_small_card_starts_on_the_cpu_unless_the_model_fits_whole() {
        let small = reading(3072, 100, 5.0);
        let at = |performance| start(Some(&small), Some(&plans(performance, (6, 500))), &Config::default());
        assert_eq!(at((33, 1500)), Profile::Performance);
        assert_eq!(at((20, 1500)), Profile::CpuFallback);
    }

    #[test]
    fn a_profile_whose_plan_equals_the_one_below_is_not_started_in() {
        let card = reading(8192, 100, 5.0);
        let at = |plans: LayerPlan| highest_admissible(&card, &plans, &Thresholds::default());
        assert_eq!(at(plans((20, 3000), (20, 3000))), Profile::Balanced);
        assert_eq!(at(plans((0, 0), (0, 0))), Profile::CpuFallback);
    }

    #[test]
    fn a_fixed_choice_is_where_we_start_if_there_is_a_gpu_for_it() {
        let config = Config { choice: ProfileChoice::Fixed(Profile::Performance), ..Config::default() };
        let plans = plans((33, 5100), (20, 3300));
        assert_eq!(start(Some(&reading(6141, 6000, 99.0)), Some(&plans), &config), Profile::Performance);
        assert_eq!(start(None, Some(&plans), &config), Profile::CpuFallback);
    }
}
