//! Values of a file's metadata.

use serde::{Serialize, Serializer};

/// Kind of a value, in the order of their numbers in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Floating point, 32 bits.
    F32,
    /// True or false, 8 bits.
    Bool,
    /// Text.
    Text,
    /// Many values of one kind.
    Array,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// Floating point, 64 bits.
    F64,
}

impl Kind {
    /// The kind of this number in files.
    pub(crate) const fn from_id(id: u32) -> Option<Self> {
        const ALL: [Kind; 13] = [
            Kind::U8,
            Kind::I8,
            Kind::U16,
            Kind::I16,
            Kind::U32,
            Kind::I32,
            Kind::F32,
            Kind::Bool,
            Kind::Text,
            Kind::Array,
            Kind::U64,
            Kind::I64,
            Kind::F64,
        ];
        if (id as usize) < ALL.len() { Some(ALL[id as usize]) } else { None }
    }

    /// Its number in files.
    #[cfg(feature = "writer")]
    pub(crate) const fn id(self) -> u32 {
        self as u32
    }

    /// Bytes of a value in a file; `None` where that varies.
    pub(crate) const fn width(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }
}

/// A value of the metadata. What is too long to be kept is known by its length alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number without a sign.
    Unsigned(Kind, u64),
    /// A number with a sign.
    Signed(Kind, i64),
    /// A number with a fraction.
    Float(Kind, f64),
    /// True or false.
    Bool(bool),
    /// Text; what is not UTF-8 in it is replaced.
    Text(String),
    /// Text that is too long to be kept.
    LongText {
        /// Its bytes.
        bytes: u64,
    },
    /// Values of one kind.
    Array {
        /// Kind of each.
        of: Kind,
        /// How many there are.
        count: u64,
        /// The values, where there are few enough of them; empty otherwise.
        kept: Vec<Value>,
    },
}

impl Value {
    /// The value as a number that counts something; `None` for negative ones, fractions and other kinds.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(_, number) => Some(*number),
            Self::Signed(_, number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The value as text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Numbers, texts and short arrays as they are; what was not kept as a description.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unsigned(_, number) => number.serialize(serializer),
            Self::Signed(_, number) => number.serialize(serializer),
            Self::Float(_, number) => number.serialize(serializer),
            Self::Bool(value) => value.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::LongText { bytes } => serializer.collect_str(&format_args!("({bytes} bytes of text)")),
            Self::Array { count, kept, .. } if kept.len() as u64 == *count => kept.serialize(serializer),
            Self::Array { count, .. } => serializer.collect_str(&format_args!("({count} values)")),
        }
    }
}
