//! Tensors: names, shapes, number types and places. No weight is read.

use serde::{Serialize, Serializer};

/// Most dimensions of a tensor (ggml's `GGML_MAX_DIMS`).
pub(crate) const MAX_DIMENSIONS: usize = 4;

/// A number type, with its block: so many numbers in so many bytes.
struct Layout {
    id: u32,
    name: &'static str,
    block: u64,
    bytes: u64,
}

const fn layout(id: u32, name: &'static str, block: u64, bytes: u64) -> Layout {
    Layout { id, name, block, bytes }
}

/// Every type that files hold, as ggml 0.26 lays them out; types 4, 5, 31 to 33 and 36 to 38 were given up.
const LAYOUTS: [Layout; 35] = [
    layout(0, "F32", 1, 4),
    layout(1, "F16", 1, 2),
    layout(2, "Q4_0", 32, 18),
    layout(3, "Q4_1", 32, 20),
    layout(6, "Q5_0", 32, 22),
    layout(7, "Q5_1", 32, 24),
    layout(8, "Q8_0", 32, 34),
    layout(9, "Q8_1", 32, 36),
    layout(10, "Q2_K", 256, 84),
    layout(11, "Q3_K", 256, 110),
    layout(12, "Q4_K", 256, 144),
    layout(13, "Q5_K", 256, 176),
    layout(14, "Q6_K", 256, 210),
    layout(15, "Q8_K", 256, 292),
    layout(16, "IQ2_XXS", 256, 66),
    layout(17, "IQ2_XS", 256, 74),
    layout(18, "IQ3_XXS", 256, 98),
    layout(19, "IQ1_S", 256, 50),
    layout(20, "IQ4_NL", 32, 18),
    layout(21, "IQ3_S", 256, 110),
    layout(22, "IQ2_S", 256, 82),
    layout(23, "IQ4_XS", 256, 136),
    layout(24, "I8", 1, 1),
    layout(25, "I16", 1, 2),
    layout(26, "I32", 1, 4),
    layout(27, "I64", 1, 8),
    layout(28, "F64", 1, 8),
    layout(29, "IQ1_M", 256, 56),
    layout(30, "BF16", 1, 2),
    layout(34, "TQ1_0", 256, 54),
    layout(35, "TQ2_0", 256, 66),
    layout(39, "MXFP4", 32, 17),
    layout(40, "NVFP4", 64, 36),
    layout(41, "Q1_0", 128, 18),
    layout(42, "Q2_0", 64, 18),
];

/// The number type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorType(u32);

impl TensorType {
    /// 32-bit floating point.
    pub const F32: Self = Self(0);
    /// 16-bit floating point.
    pub const F16: Self = Self(1);

    /// The type of this number in files; `None` where it is not known.
    pub fn from_id(id: u32) -> Option<Self> {
        find(id).map(|layout| Self(layout.id))
    }

    /// All types there are.
    pub fn all() -> impl Iterator<Item = Self> {
        LAYOUTS.iter().map(|layout| Self(layout.id))
    }

    /// Its number in files.
    pub const fn id(self) -> u32 {
        self.0
    }

    /// Its name, such as `Q4_K`.
    pub fn name(self) -> &'static str {
        find(self.0).map_or("unknown", |layout| layout.name)
    }

    /// Numbers in a block; rows are made of whole blocks.
    pub fn block(self) -> u64 {
        find(self.0).map_or(1, |layout| layout.block)
    }

    /// Bytes of `elements` numbers, which are whole blocks; `None` where that is more than can be counted.
    pub fn bytes(self, elements: u64) -> Option<u64> {
        let layout = find(self.0)?;
        (elements / layout.block).checked_mul(layout.bytes)
    }
}

impl Serialize for TensorType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

fn find(id: u32) -> Option<&'static Layout> {
    LAYOUTS.binary_search_by_key(&id, |layout| layout.id).ok().and_then(|at| LAYOUTS.get(at))
}

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tensor {
    /// Its name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// Numbers along each dimension, the row first; those not given are 1.
    pub dimensions: [u64; MAX_DIMENSIONS],
    /// Number type.
    #[serde(rename = "type")]
    pub kind: TensorType,
    /// Where it begins, in bytes from the start of the data.
    pub offset: u64,
    /// Bytes it takes.
    pub bytes: u64,
}

impl Tensor {
    /// Numbers in it; the header's reader made sure that they can be counted.
    pub fn elements(&self) -> u64 {
        self.dimensions.iter().product()
    }

    /// The transformer layer it belongs to, by llama.cpp's naming (`blk.7.`); `None` for what belongs to none.
    pub fn layer(&self) -> Option<u32> {
        let (number, _) = self.name.strip_prefix("blk.")?.split_once('.')?;
        number.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_in_order_so_that_each_is_found() {
        for kind in TensorType::all() {
            assert_eq!(TensorType::from_id(kind.id()), Some(kind), "{}", kind.name());
            assert!(kind.bytes(kind.block()).is_some_and(|bytes| bytes > 0));
        }
        for gone in [4, 5, 31, 38, 43, u32::MAX] {
            assert_eq!(TensorType::from_id(gone), None);
        }
    }

    #[test]
    fn a_tensor_names_its_layer() {
        let tensor =
            |name: &str| Tensor { name: name.into(), dimensions: [1; 4], kind: TensorType::F32, offset: 0, bytes: 4 };
        assert_eq!(tensor("blk.12.attn_q.weight").layer(), Some(12));
        for outside in ["output.weight", "blk.x.weight", "blk.3", "blk.99999999999.w"] {
            assert_eq!(tensor(outside).layer(), None, "{outside}");
        }
    }
}
