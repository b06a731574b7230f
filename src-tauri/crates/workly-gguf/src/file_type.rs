//! Names of quantisations: what `general.file_type` says, or what most tensors are.

use std::collections::BTreeMap;

use crate::tensor::{Tensor, TensorType};

/// The names by llama.cpp's numbers (`llama_ftype`), as people write them.
const NAMES: [(u64, &str); 36] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (32, "BF16"),
    (36, "TQ1_0"),
    (37, "TQ2_0"),
    (38, "MXFP4"),
    (39, "NVFP4"),
    (40, "Q1_0"),
    (41, "Q2_0"),
];

/// The quantisation that a file names; `None` where the number is not known.
pub(crate) fn named(file_type: u64) -> Option<&'static str> {
    NAMES.iter().find(|(id, _)| *id == file_type).map(|(_, name)| *name)
}

/// The quantisation of most tensors, which is what llama.cpp goes by when a file names none.
pub(crate) fn guessed(tensors: &[Tensor]) -> &'static str {
    let mut counts: BTreeMap<TensorType, (usize, u64)> = BTreeMap::new();
    for tensor in tensors {
        let (count, bytes) = counts.entry(tensor.kind).or_default();
        *count += 1;
        *bytes = bytes.saturating_add(tensor.bytes);
    }
    let most = counts.into_iter().max_by_key(|(_, figures)| *figures).map(|(kind, _)| kind);
    match most.map_or("unknown", TensorType::name) {
        // Where a family has sizes, llama.cpp takes the middle one.
        "Q3_K" => "Q3_K_M",
        "Q4_K" => "Q4_K_M",
        "Q5_K" => "Q5_K_M",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_known_has_no_name() {
        assert_eq!(named(15), Some("Q4_K_M"));
        for unknown in [4, 33, 1024, u64::MAX] {
            assert_eq!(named(unknown), None);
        }
        assert_eq!(guessed(&[]), "unknown");
    }
}
