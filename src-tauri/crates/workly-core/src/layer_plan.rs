//! The layer plan: how many layers each profile places on this card, with what others take of it now.
//!
//! Pure: footprints come from a dry run in a worker, the card's figures from a probe. Not here: when to plan, and the
//! correction of footprints by what was measured after a load (`policy::external`), which comes in as a factor.

use serde::{Deserialize, Serialize};

use crate::policy::{LayerPlan, MARGIN, ProfilePlan, overload_line};
use crate::reading::percent_of;
use crate::thresholds::Thresholds;

/// Share of `performance`'s layers that `balanced` takes at the most, percent.
const BALANCED_SHARE: u64 = 65;
/// A plan under this share of the model's layers is not worth a place on the card, percent.
const LEAST_SHARE: u64 = 10;

/// What a model takes of the card with some number of layers on it. All in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Footprint {
    /// Weights.
    pub weights: u64,
    /// KV cache, and what recurrent models keep in its place.
    pub kv_cache: u64,
    /// Compute buffers.
    pub compute: u64,
    /// The backend's own context: an estimate, which the correction mends.
    pub backend: u64,
}

impl Footprint {
    /// All of it, bytes.
    pub const fn total(&self) -> u64 {
        self.weights + self.kv_cache + self.compute + self.backend
    }
}

/// The footprint of a model for every number of layers on the GPU, at one context size on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootprintTable {
    /// Tokens of context it holds for.
    pub context_tokens: u32,
    /// At index n: n layers on the GPU, from none to all; the output layer, which goes first, is counted as one.
    pub by_layers: Vec<Footprint>,
}

impl FootprintTable {
    /// Layers the model has in all, the output layer counted as one.
    pub fn model_layers(&self) -> u32 {
        u32::try_from(self.by_layers.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// The plan that places so many layers; more than there are means all.
    pub fn plan(&self, layers: u32) -> ProfilePlan {
        let layers = layers.min(self.model_layers());
        let footprint = self.by_layers.get(layers as usize).map_or(0, Footprint::total);
        if layers == 0 { ProfilePlan::NONE } else { ProfilePlan { layers, footprint } }
    }

    /// Most layers, at most `limit`, for which `fits` says yes of their footprint in bytes.
    fn most(&self, limit: u32, fits: impl Fn(u64) -> bool) -> u32 {
        (1..=limit.min(self.model_layers())).rev().find(|layers| fits(self.plan(*layers).footprint)).unwrap_or(0)
    }
}

/// The card as it is planned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// VRAM in all, bytes.
    pub total: u64,
    /// VRAM that others take: the highest of the last 15 s, bytes.
    pub external: u64,
}

impl Room {
    /// Percent of total VRAM in use with a footprint on the card; `None` where the total is unknown.
    pub fn projected_percent(&self, footprint: u64, correction: f64) -> Option<f64> {
        percent_of(self.external as f64 + (footprint as f64 * correction).round(), self.total)
    }
}

/// What a plan must keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The thresholds; validated ones.
    pub thresholds: Thresholds,
    /// Most layers of `balanced`: the setting `balanced_gpu_layers`.
    pub balanced_gpu_layers: u32,
    /// Measured by predicted footprint of this model on this device; 1 where nothing was measured yet.
    pub correction: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { thresholds: Thresholds::default(), balanced_gpu_layers: 35, correction: 1.0 }
    }
}

/// The layer plan for a model on a card.
///
/// - `performance`: most layers that keep the projection 2 points under overload.
/// - `balanced`: most layers that keep it 2 points under stressed, but at most the setting and 65 % of `performance`'s.
///
/// A plan under 10 % of the layers counts as none. The plan's footprints are the predicted ones, uncorrected.
pub fn solve(footprints: &FootprintTable, room: &Room, limits: &Limits) -> LayerPlan {
    let all = footprints.model_layers();
    let under = |line: f64| {
        move |bytes: u64| room.projected_percent(bytes, limits.correction).is_some_and(|percent| percent <= line)
    };
    let worth = |layers: u32| {
        let is_too_few = u64::from(layers) * 100 < u64::from(all) * LEAST_SHARE;
        footprints.plan(if is_too_few { 0 } else { layers })
    };
    let performance = footprints.most(all, under(overload_line(&limits.thresholds) - MARGIN));
    let share = u64::from(performance) * BALANCED_SHARE / 100;
    let most_balanced = limits.balanced_gpu_layers.min(share as u32);
    let balanced = footprints.most(most_balanced, under(limits.thresholds.stressed_vram_percent - MARGIN));
    LayerPlan { performance: worth(performance), balanced: worth(balanced), model_layers: all }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Zephyr 7B `Q4_K_M` with 4096 tokens of context: 32 layers of 4096 x 14336 with 8 KV heads of 128, and an output of
    /// 32000 rows. `Q4_K` takes 4.5 bits a weight and `Q6_K` 6.5625; half the layers hold V and the feed-forward's way
    /// down in `Q6_K`, as does the output.
    fn zephyr() -> FootprintTable {
        let bits = |weights: u64, bits_by_16: u64| weights * bits_by_16 / 128;
        let (q4, q6) = (72, 105);
        let (square, kv, feed) = (4096 * 4096, 4096 * 1024, 4096 * 14336);
        let always_q4 = bits(2 * square + kv + 2 * feed, q4);
        let layer = |index: u64| {
            let is_finer = !(4..28).contains(&index) || (index - 4) % 3 == 2;
            always_q4 + bits(kv + feed, if is_finer { q6 } else { q4 }) + 2 * 4096 * 4
        };
        let output = bits(32_000 * 4096, q6) + 4096 * 4;
        let kv_layer = 4096 * 2 * 1024 * 2;
        let at = |layers: u64| Footprint {
            weights: output + (33 - layers..32).map(layer).sum::<u64>(),
            kv_cache: (layers - 1) * kv_layer,
            compute: 120 * MIB,
            backend: 100 * MIB,
        };
        let by_layers = std::iter::once(Footprint::default()).chain((1..=33).map(at)).collect();
        FootprintTable { context_tokens: 4096, by_layers }
    }

    fn room(total_mib: u64, external_mib: u64) -> Room {
        Room { total: total_mib * MIB, external: external_mib * MIB }
    }

    /// Layers of `performance` and `balanced`.
    fn layers(plan: &LayerPlan) -> (u32, u32) {
        (plan.performance.layers, plan.balanced.layers)
    }

    #[test]
    fn a_7b_model_is_planned_for_every_card_of_the_seed() {
        let zephyr = zephyr();
        let file_size: u64 = 4_368_439_584;
        let of_the_file = zephyr.by_layers[33].weights + 32_000 * 4096 * 72 / 128;
        assert!(file_size.abs_diff(of_the_file) < file_size / 500, "{of_the_file} bytes");
        // Cards as they report themselves, an idle desktop on each.
        for (sold_as, total_mib, external_mib, expected) in [
            ("2 GB", 2_048, 250, (9, 5)),
            ("4 GB", 4_096, 250, (22, 14)),
            ("6 GB, a game", 6_141, 3_000, (15, 9)),
            ("6 GB, a stream", 6_141, 1_250, (28, 18)),
            ("6 GB", 6_141, 250, (33, 21)),
            ("8 GB", 8_188, 250, (33, 21)),
            ("12 GB", 12_282, 250, (33, 21)),
            ("24 GB", 24_564, 250, (33, 21)),
        ] {
            let plan = solve(&zephyr, &room(total_mib, external_mib), &Limits::default());
            assert_eq!(layers(&plan), expected, "{sold_as}");
            assert_eq!(plan.model_layers, 33);
        }
    }

    #[test]
    fn balanced_keeps_under_stressed_where_that_is_the_least() {
        let limits = Limits { balanced_gpu_layers: 99, ..Limits::default() };
        let room = room(6_141, 2_900);
        let plan = solve(&zephyr(), &room, &limits);
        let percent = |layers| room.projected_percent(zephyr().plan(layers).footprint, 1.0).unwrap();
        assert!(plan.balanced.layers < plan.performance.layers * 65 / 100, "{plan:?}");
        assert!(percent(plan.balanced.layers) <= 73.0 && percent(plan.balanced.layers + 1) > 73.0, "{plan:?}");
        assert!(percent(plan.performance.layers) <= 88.0 && percent(plan.performance.layers + 1) > 88.0, "{plan:?}");
    }

    #[test]
    fn the_setting_limits_balanced_alone() {
        let limits = Limits { balanced_gpu_layers: 8, ..Limits::default() };
        assert_eq!(layers(&solve(&zephyr(), &room(8_188, 250), &limits)), (33, 8));
        let limits = Limits { balanced_gpu_layers: 3, ..limits };
        assert_eq!(layers(&solve(&zephyr(), &room(8_188, 250), &limits)), (33, 0), "3 of 33 are under 10 %");
    }

    #[test]
    fn a_plan_under_a_tenth_of_the_layers_counts_as_none() {
        let four = zephyr().plan(4).footprint;
        let with_room_for = |bytes: u64| {
            let total = 10_000 * MIB;
            let external = total * 88 / 100 - bytes;
            solve(&zephyr(), &Room { total, external }, &Limits::default()).performance
        };
        assert_eq!(with_room_for(four).layers, 4);
        assert_eq!(with_room_for(four - 1), ProfilePlan::NONE);
    }

    #[test]
    fn a_footprint_seen_to_be_larger_plans_fewer_layers_and_is_told_uncorrected() {
        let zephyr = zephyr();
        let limits = Limits { correction: 1.2, ..Limits::default() };
        let plan = solve(&zephyr, &room(6_141, 250), &limits);
        assert!(plan.performance.layers < 33);
        assert_eq!(plan.performance, zephyr.plan(plan.performance.layers));
        assert!(room(6_141, 250).projected_percent(plan.performance.footprint, 1.2).unwrap() <= 88.0);
    }

    #[test]
    fn a_card_without_a_size_or_a_full_one_holds_nothing() {
        for room in [room(0, 0), room(6_141, 6_141), room(6_141, 9_000)] {
            assert_eq!(layers(&solve(&zephyr(), &room, &Limits::default())), (0, 0));
        }
        let empty = FootprintTable { context_tokens: 1, by_layers: vec![] };
        assert_eq!(layers(&solve(&empty, &room(6_141, 0), &Limits::default())), (0, 0));
    }

    #[test]
    fn a_compute_buffer_that_shrinks_with_the_last_layer_does_not_hide_it() {
        let at = |mib: u64| Footprint { weights: mib * MIB, ..Footprint::default() };
        let table = FootprintTable { context_tokens: 1, by_layers: vec![at(0), at(50), at(900), at(800)] };
        assert_eq!(solve(&table, &room(1_000, 0), &Limits::default()).performance.layers, 3);
    }

    proptest! {
        #[test]
        fn less_taken_by_others_never_means_fewer_layers(
            total in 500u64..50_000,
            external in 0u64..50_000,
            freed in 0u64..20_000,
            steps in proptest::collection::vec((1u64..400, 0u64..200), 1..90),
            balanced_gpu_layers in 0u32..60,
            correction in 0.8f64..1.5,
        ) {
            let mut weights = 0;
            let layers = steps.iter().map(|(weight, compute)| {
                weights += weight * MIB;
                Footprint { weights, compute: compute * MIB, ..Footprint::default() }
            });
            let by_layers = std::iter::once(Footprint::default()).chain(layers).collect();
            let table = FootprintTable { context_tokens: 1, by_layers };
            let limits = Limits { balanced_gpu_layers, correction, ..Limits::default() };
            let busy = solve(&table, &room(total, external), &limits);
            let free = solve(&table, &room(total, external.saturating_sub(freed)), &limits);
            prop_assert!(free.performance.layers >= busy.performance.layers, "{busy:?} {free:?}");
            prop_assert!(free.balanced.layers >= busy.balanced.layers, "{busy:?} {free:?}");
            for plan in [busy, free] {
                prop_assert!(plan.balanced.layers <= plan.performance.layers);
                prop_assert!(plan.balanced.layers <= balanced_gpu_layers);
            }
        }
    }
}
