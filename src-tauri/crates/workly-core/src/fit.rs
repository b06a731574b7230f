//! How a model fits a machine: an estimate of its footprints from its header, and the verdict.
//!
//! Pure: sizes come from the header of the file, the card's figures from a probe. The estimate stands until a worker has
//! made its dry run (`layer_plan::FootprintTable` by `workly-llama`), which is exact and takes its place. Not here:
//! reading headers, and the layer plan itself.

use serde::{Deserialize, Serialize};

use crate::layer_plan::{Footprint, FootprintTable, Limits, Room, solve};
use crate::model::{ContextSize, KvType};
use crate::policy::LayerPlan;
use crate::profile::Profile;
use crate::why::Notice;

/// Tokens that llama.cpp computes at once, as workers set it up.
const BATCH_TOKENS: u64 = 512;
/// What the backend of a card takes for itself where nothing is known of it, bytes.
pub const BACKEND: u64 = 128 << 20;
/// Bytes of a number while it is computed with.
const COMPUTED: u64 = 4;
/// Intermediate results as wide as the model that are held at once, and such as are as wide as its feed-forward: what
/// dry runs of twenty architectures show.
const WIDE: u64 = 4;
const FEED_WIDE: u64 = 4;
/// What a process that holds a model takes beside it, bytes: code, vocabulary, staging.
const PROCESS: u64 = 96 << 20;
/// What must stay free for the rest of the machine, bytes.
const RESERVE: u64 = 512 << 20;

/// More than any model has, so that nothing that a header claims can overflow: bytes, and numbers of a token.
const MOST_BYTES: u64 = 1 << 60;
const MOST_NUMBERS: u64 = 1 << 24;

/// In one word, how a model fits this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FitVerdict {
    /// All layers go on the card.
    AllOnGpu,
    /// Some layers go on the card.
    PartOnGpu,
    /// It runs on the CPU.
    CpuOnly,
    /// It needs more memory than this machine has free.
    TooLarge,
}

/// What one profile would take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ProfileFit {
    /// The profile.
    pub profile: Profile,
    /// Layers on the card, the output layer counted as one.
    pub gpu_layers: u32,
    /// Bytes of VRAM.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub footprint_bytes: u64,
    /// VRAM in use by everyone with the model placed so, percent; none without a card.
    pub projected_percent: Option<f64>,
    /// Tokens per second measured in this profile on this machine; none before that.
    pub tokens_per_second: Option<f64>,
}

/// Whether and how a model fits this machine now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ModelFit {
    /// In one word.
    pub verdict: FitVerdict,
    /// Tokens of context it holds for.
    pub context_tokens: u32,
    /// Layers of the model, the output layer counted as one.
    pub model_layers: u32,
    /// Bytes of RAM it takes in `cpu_fallback`.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub memory_bytes: u64,
    /// Bytes of RAM that can be had now; none where the system does not say.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub memory_available_bytes: Option<u64>,
    /// `performance`, `balanced` and `cpu_fallback`, in this order.
    pub profiles: Vec<ProfileFit>,
    /// Whether the footprints come from llama.cpp's own dry run; otherwise they are estimated from the header.
    pub is_exact: bool,
}

/// A transformer layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerShape {
    /// Bytes of its weights.
    pub weights: u64,
    /// Numbers that it keeps of each token, its keys: heads that keep any times their width.
    pub keys: u64,
    /// The same of its values.
    pub values: u64,
}

impl LayerShape {
    /// Bytes of its cache.
    fn cache(&self, context_tokens: u32, kv_type: KvType) -> u64 {
        let bytes = |of_token: u64| kv_type.bytes(of_token.min(MOST_NUMBERS) * cells(context_tokens));
        bytes(self.keys) + bytes(self.values)
    }
}

/// Tokens that a cache has room for: llama.cpp makes it a little larger than asked for.
fn cells(context_tokens: u32) -> u64 {
    u64::from(context_tokens).next_multiple_of(256)
}

/// What the header of a model says of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelShape {
    /// The transformer layers, in order.
    pub layers: Vec<LayerShape>,
    /// Bytes of what belongs to the output layer alone.
    pub output: u64,
    /// Bytes that stay on the CPU: the input embedding.
    pub input: u64,
    /// Bytes of the input embedding that the output takes a second time on a card, where it has no weights of its own.
    pub tied: u64,
    /// Numbers that stand for a token between layers.
    pub width: u64,
    /// Numbers in the middle of a layer's feed-forward, of all experts that are used at once.
    pub feed_forward: u64,
    /// Tokens of the vocabulary.
    pub vocabulary: u64,
    /// Tokens of context it was trained on; 0 where the file does not say.
    pub trained_context_tokens: u32,
}

impl ModelShape {
    /// Layers in all, the output layer counted as one.
    pub fn model_layers(&self) -> u32 {
        u32::try_from(self.layers.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Bytes of buffers to compute a batch: the mask, and the widest that there is at once, which is the scores where the
    /// output is there too, or the middle of a layer.
    fn compute(&self, context_tokens: u32, with_output: bool) -> u64 {
        let scores = if with_output { self.vocabulary.min(MOST_NUMBERS) } else { 0 };
        let widest = scores.max(FEED_WIDE * self.feed_forward.min(MOST_NUMBERS));
        let mask = BATCH_TOKENS * cells(context_tokens) * 2;
        BATCH_TOKENS * COMPUTED * (widest + WIDE * self.width.min(MOST_NUMBERS)) + mask
    }

    /// What the model would take of a card, estimated. `backend`: bytes that the card's backend takes for itself.
    ///
    /// The cache of layers with a sliding window is counted whole, as workers keep it: only then can an answer move.
    pub fn footprints(&self, context: ContextSize, kv_type: KvType, backend: u64) -> FootprintTable {
        let context_tokens = context.resolve(self.trained_context_tokens);
        let compute = self.compute(context_tokens, true);
        let mut on_card = Footprint { weights: sum([self.output, self.tied]), kv_cache: 0, compute, backend };
        let mut by_layers = vec![Footprint::default(), on_card];
        for layer in self.layers.iter().rev() {
            on_card.weights = sum([on_card.weights, layer.weights]);
            on_card.kv_cache = sum([on_card.kv_cache, layer.cache(context_tokens, kv_type)]);
            by_layers.push(on_card);
        }
        FootprintTable { context_tokens, by_layers }
    }

    /// Bytes of RAM that the model takes with so many layers on the card, the output layer counted as one.
    pub fn memory(&self, context: ContextSize, kv_type: KvType, gpu_layers: u32) -> u64 {
        let context_tokens = context.resolve(self.trained_context_tokens);
        let has_output = gpu_layers == 0;
        let on_cpu = self.layers.len().saturating_sub(gpu_layers.saturating_sub(1) as usize);
        let layers = self.layers.iter().take(on_cpu);
        let layers = layers.flat_map(|layer| [layer.weights, layer.cache(context_tokens, kv_type)]);
        let ends = [self.input, if has_output { self.output } else { 0 }];
        sum(ends.into_iter().chain(layers).chain([self.compute(context_tokens, has_output), PROCESS]))
    }
}

/// A sum of bytes that stops at more than any model has.
fn sum(bytes: impl IntoIterator<Item = u64>) -> u64 {
    bytes.into_iter().fold(0, |sum: u64, more| sum.saturating_add(more).min(MOST_BYTES))
}

/// The machine that a model is to fit, as it is now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// The card and what others take of it; `None` where there is none.
    pub room: Option<Room>,
    /// What plans must keep to.
    pub limits: Limits,
    /// Bytes of RAM that can be had; `None` where the system does not say.
    pub memory_available: Option<u64>,
    /// Tokens per second measured in each profile, in the order of [`Profile::ALL`].
    pub speeds: [Option<f64>; 3],
}

/// How a model fits. `footprints`: exact ones or estimated ones, `is_exact` says which.
pub fn fit(
    shape: &ModelShape,
    footprints: &FootprintTable,
    is_exact: bool,
    kv_type: KvType,
    machine: &Machine,
) -> ModelFit {
    let none = LayerPlan { model_layers: footprints.model_layers(), ..LayerPlan::default() };
    let plan = machine.room.map_or(none, |room| solve(footprints, &room, &machine.limits));
    let context = ContextSize::Exactly(footprints.context_tokens);
    let most = plan.performance.layers;
    let needed = shape.memory(context, kv_type, most);
    let verdict = if !fits_in_memory(needed, machine.memory_available) {
        FitVerdict::TooLarge
    } else if most == 0 {
        FitVerdict::CpuOnly
    } else if most >= plan.model_layers {
        FitVerdict::AllOnGpu
    } else {
        FitVerdict::PartOnGpu
    };
    let profile = |(profile, tokens_per_second): (Profile, Option<f64>)| {
        let plan = plan.of(profile);
        let projected_percent =
            machine.room.and_then(|room| room.projected_percent(plan.footprint, machine.limits.correction));
        ProfileFit {
            profile,
            gpu_layers: plan.layers,
            footprint_bytes: plan.footprint,
            projected_percent,
            tokens_per_second,
        }
    };
    ModelFit {
        verdict,
        context_tokens: footprints.context_tokens,
        model_layers: plan.model_layers,
        memory_bytes: shape.memory(context, kv_type, 0),
        memory_available_bytes: machine.memory_available,
        profiles: Profile::ALL.into_iter().zip(machine.speeds).map(profile).collect(),
        is_exact,
    }
}

/// Whether so many bytes can be had with something left for the rest of the machine; where the system does not say, they
/// can.
pub fn fits_in_memory(needed: u64, available: Option<u64>) -> bool {
    available.is_none_or(|available| needed.saturating_add(RESERVE) <= available)
}

/// What the user should know before a model is loaded that will not fit in RAM; `None` where it fits. Bytes.
pub fn memory_warning(needed_bytes: u64, available: Option<u64>) -> Option<Notice> {
    let available_bytes = available.filter(|available| !fits_in_memory(needed_bytes, Some(*available)))?;
    Some(Notice::LowMemory { needed_bytes, available_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// SmolLM2-135M-Instruct `Q4_1`, as its header says.
    fn smollm2() -> ModelShape {
        let layer = LayerShape { weights: 2_215_936, keys: 192, values: 192 };
        ModelShape {
            layers: vec![layer; 30],
            output: 2_304,
            input: 30_081_024,
            tied: 30_081_024,
            width: 576,
            feed_forward: 1_536,
            vocabulary: 49_152,
            trained_context_tokens: 8_192,
        }
    }

    fn machine(total_mib: u64, memory_mib: u64) -> Machine {
        let room = Room { total: total_mib * MIB, external: 0 };
        Machine {
            room: (total_mib > 0).then_some(room),
            limits: Limits::default(),
            memory_available: Some(memory_mib * MIB),
            speeds: [Some(9.0), None, Some(90.0)],
        }
    }

    fn fitted(machine: &Machine) -> ModelFit {
        let shape = smollm2();
        let table = shape.footprints(ContextSize::UpTo(4096), KvType::F16, BACKEND);
        fit(&shape, &table, false, KvType::F16, machine)
    }

    #[test]
    fn the_estimate_is_within_a_fiftieth_of_the_dry_run() {
        // What `workly-cli plan` measures for the file: weights, cache and compute buffers by layers, MiB.
        let measured =
            [(1, 28.690, 0.0, 100.5), (2, 30.803, 3.0, 100.5), (16, 60.396, 45.0, 100.5), (31, 92.103, 90.0, 104.52)];
        let table = smollm2().footprints(ContextSize::UpTo(4096), KvType::F16, BACKEND);
        assert_eq!((table.context_tokens, table.model_layers()), (4096, 31));
        for (layers, weights, cache, compute) in measured {
            let estimated = &table.by_layers[layers];
            let exact = (weights + cache + compute) * MIB as f64 + BACKEND as f64;
            let off = (estimated.total() as f64 - exact).abs() / exact;
            assert!(off < 0.02, "{layers} layers: {off:.3}");
            assert_eq!(estimated.kv_cache, (cache * MIB as f64) as u64);
            assert!((estimated.weights as f64 / MIB as f64 - weights).abs() < 0.1, "{layers} layers: {estimated:?}");
        }
    }

    #[test]
    fn the_verdict_says_where_the_layers_go() {
        for (total_mib, memory_mib, verdict, layers) in [
            (6_141, 8_192, FitVerdict::AllOnGpu, 31),
            (400, 8_192, FitVerdict::PartOnGpu, 18),
            (128, 8_192, FitVerdict::CpuOnly, 0),
            (0, 8_192, FitVerdict::CpuOnly, 0),
            (0, 700, FitVerdict::TooLarge, 0),
            (128, 700, FitVerdict::TooLarge, 0),
        ] {
            let fit = fitted(&machine(total_mib, memory_mib));
            assert_eq!(
                (fit.verdict, fit.profiles[0].gpu_layers),
                (verdict, layers),
                "{total_mib} MiB, {memory_mib} MiB"
            );
            assert_eq!(fit.profiles[0].projected_percent.is_some(), total_mib > 0);
        }
    }

    #[test]
    fn memory_shrinks_with_each_layer_on_the_card() {
        let shape = smollm2();
        let memory = |layers| shape.memory(ContextSize::UpTo(4096), KvType::F16, layers);
        assert!((0..31).all(|layers| memory(layers + 1) < memory(layers)));
        // Weights, a cache of 90 MiB, scores of 96 MiB and the process.
        assert!((350 * MIB..400 * MIB).contains(&memory(0)), "{}", memory(0));
        assert_eq!(fitted(&machine(0, 8_192)).memory_bytes, memory(0));
    }

    #[test]
    fn speeds_are_told_for_the_profiles_they_were_measured_in() {
        let fit = fitted(&machine(6_141, 8_192));
        let told: Vec<_> = fit.profiles.iter().map(|row| (row.profile, row.tokens_per_second)).collect();
        assert_eq!(
            told,
            [(Profile::Performance, Some(9.0)), (Profile::Balanced, None), (Profile::CpuFallback, Some(90.0))]
        );
    }

    #[test]
    fn a_load_that_will_not_fit_is_warned_of_with_both_figures() {
        let warning = memory_warning(8_000_000_000, Some(5_000_000_000));
        let both = Notice::LowMemory { needed_bytes: 8_000_000_000, available_bytes: 5_000_000_000 };
        assert_eq!(warning, Some(both));
        assert_eq!(memory_warning(8_000_000_000, Some(9_000_000_000)), None);
        assert_eq!(memory_warning(u64::MAX, None), None, "a system that does not say is not second-guessed");
    }

    #[test]
    fn sizes_that_cannot_be_are_counted_as_the_largest_there_are() {
        let huge = LayerShape { weights: u64::MAX, keys: u64::MAX / 4, values: 1 };
        let shape = ModelShape { layers: vec![huge; 3], input: u64::MAX, output: 1, tied: u64::MAX, ..smollm2() };
        assert_eq!(shape.memory(ContextSize::default(), KvType::Q8_0, 0), MOST_BYTES);
        let fit = fit(
            &shape,
            &shape.footprints(ContextSize::default(), KvType::Q8_0, 0),
            false,
            KvType::Q8_0,
            &machine(8_192, 8_192),
        );
        assert_eq!(fit.verdict, FitVerdict::TooLarge);
    }
}
