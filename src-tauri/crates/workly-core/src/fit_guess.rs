//! How a model that is not here yet would fit: its shape, guessed from its size alone.
//!
//! Models of one size are built much alike, so that this is good enough for a word beside a download; once the file is
//! here its header says more (`fit`).

use crate::fit::{LayerShape, ModelShape};

/// Width of a layer over the number of layers, as models of 1 to 70 billion parameters have it.
const WIDTH_OF_LAYERS: f64 = 128.0;
/// Bits of a parameter in the usual quantisation, where nobody tells how large the file is.
const USUAL_BITS: f64 = 4.85;
/// The part of the file that is the input embedding, and that is the output.
const EMBEDDING: f64 = 0.06;
/// Heads that keep keys and values, as a part of all heads.
const KEPT_HEADS: f64 = 0.25;
/// Tokens of a usual vocabulary.
const VOCABULARY: u64 = 128_000;

/// The shape that a model of so many parameters probably has. `size_bytes`: of its file, where it is known.
pub fn guess(parameters: u64, size_bytes: Option<u64>, trained_context_tokens: u32) -> ModelShape {
    let parameters = parameters as f64;
    let size = size_bytes.map_or(parameters * USUAL_BITS / 8.0, |size| size as f64);
    // Twelve squares of the width make a layer.
    let layers = (parameters / (12.0 * WIDTH_OF_LAYERS * WIDTH_OF_LAYERS)).cbrt().round().clamp(12.0, 160.0);
    let width = (parameters / (12.0 * layers)).sqrt();
    let kept = (width * KEPT_HEADS) as u64;
    let embedding = (size * EMBEDDING) as u64;
    let weights = (size * (1.0 - 2.0 * EMBEDDING) / layers) as u64;
    ModelShape {
        layers: vec![LayerShape { weights, keys: kept, values: kept }; layers as usize],
        output: embedding,
        input: embedding,
        tied: 0,
        width: width as u64,
        feed_forward: (width * 3.5) as u64,
        vocabulary: VOCABULARY,
        trained_context_tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::FitVerdict;
    use crate::fit::{BACKEND, Machine, fit};
    use crate::layer_plan::{Limits, Room};
    use crate::model::{ContextSize, KvType};

    fn verdict(parameters: f64, size_gb: f64, card_gb: Option<f64>, memory_gb: f64) -> FitVerdict {
        let shape = guess(parameters as u64, Some((size_gb * 1e9) as u64), 8192);
        let machine = Machine {
            room: card_gb.map(|total| Room { total: (total * 1e9) as u64, external: 300_000_000 }),
            limits: Limits::default(),
            memory_available: Some((memory_gb * 1e9) as u64),
            speeds: [None; 3],
        };
        let footprints = shape.footprints(ContextSize::UpTo(4096), KvType::default(), BACKEND);
        fit(&shape, &footprints, false, KvType::default(), &machine).verdict
    }

    #[test]
    fn models_of_known_sizes_have_about_the_layers_they_really_have() {
        for (parameters, layers) in [(1.24e9, 16), (8.03e9, 32), (70.6e9, 80)] {
            let guessed = guess(parameters as u64, None, 8192).layers.len();
            assert!(guessed.abs_diff(layers) * 6 <= layers, "{guessed} layers instead of {layers}");
        }
    }

    #[test]
    fn the_verdict_follows_the_machine() {
        assert_eq!(verdict(8e9, 4.9, Some(24.0), 16.0), FitVerdict::AllOnGpu);
        assert_eq!(verdict(8e9, 4.9, Some(4.3), 16.0), FitVerdict::PartOnGpu);
        assert_eq!(verdict(8e9, 4.9, None, 16.0), FitVerdict::CpuOnly);
        assert_eq!(verdict(70e9, 42.0, None, 16.0), FitVerdict::TooLarge);
    }

    #[test]
    fn a_file_of_unknown_size_is_taken_to_be_of_the_usual_quantisation() {
        let of = |size| guess(8_030_000_000, size, 8192);
        let bytes = |shape: &ModelShape| {
            shape.output + shape.input + shape.layers.iter().map(|layer| layer.weights).sum::<u64>()
        };
        assert!(bytes(&of(None)).abs_diff(4_920_000_000) < 200_000_000);
        assert!(bytes(&of(Some(16_000_000_000))).abs_diff(16_000_000_000) < 1_000_000);
    }
}
