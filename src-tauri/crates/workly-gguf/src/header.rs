//! The header of one GGUF file.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};
use std::path::Path;

use crate::error::GgufError;
use crate::regular::open_regular;
use crate::source::Source;
use crate::tensor::{MAX_DIMENSIONS, Tensor, TensorType};
use crate::value::{Kind, Value};

/// The first bytes of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";

/// Versions that are read.
const OLDEST: u32 = 2;
const NEWEST: u32 = 3;
/// Keys and tensors a file may have; models have some 50 and 2,000.
const MOST_KEYS: u64 = 16_384;
const MOST_TENSORS: u64 = 65_536;
/// Least bytes of a key with its value (an empty name is refused), and of a tensor.
const LEAST_KEY: u64 = 8 + 1 + 4 + 1;
const LEAST_TENSOR: u64 = 8 + 4 + 4 + 8;
/// Bytes of the longest name of a key, and of a tensor (llama.cpp's `GGML_MAX_NAME` less the null byte).
const MOST_KEY_NAME: u64 = 65_535;
const MOST_TENSOR_NAME: u64 = 63;
/// Values of an array that are kept: enough for one of each layer.
const MOST_VALUES: u64 = 1_024;
/// Where tensors begin when the file does not say.
const DEFAULT_ALIGNMENT: u64 = 32;

/// The header of a GGUF file.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Version of the format.
    pub version: u32,
    /// The metadata, by key.
    pub metadata: BTreeMap<String, Value>,
    /// The tensors of this file, in their order.
    pub tensors: Vec<Tensor>,
    /// Bytes from the start of the file to where the tensors' data begins.
    pub data_offset: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// What a file says of being a part of a split model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitInfo {
    /// Number of the part, from 1.
    pub number: u32,
    /// Parts there are.
    pub count: u32,
    /// Tensors of the whole model, where the file says so.
    pub tensors: Option<u64>,
}

impl Header {
    /// Reads the header of a file.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, GgufError> {
        let file = open_regular(path).map_err(|error| match error.kind() {
            io::ErrorKind::IsADirectory => GgufError::Folder,
            // A pipe or a device has no length to check against.
            io::ErrorKind::InvalidInput => GgufError::NotGguf,
            _ => error.into(),
        })?;
        let length = file.metadata()?.len();
        Self::read_from(file, length)
    }

    /// Reads a header from something of `length` bytes, of which no more than the header is read.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read_from(source: impl Read + Seek, length: u64) -> Result<Self, GgufError> {
        let mut source = Source::new(source, length);
        if source.is_empty()? {
            return Err(GgufError::Empty);
        }
        if length < MAGIC.len() as u64 || source.raw::<4>("the beginning")? != MAGIC {
            return Err(GgufError::NotGguf);
        }
        let version = source.u32("the version")?;
        check_version(version)?;
        let tensor_count = source.u64("the number of tensors")?;
        let key_count = source.u64("the number of keys")?;
        check_count(&source, key_count, MOST_KEYS, LEAST_KEY, "keys")?;
        check_count(&source, tensor_count, MOST_TENSORS, LEAST_TENSOR, "tensors")?;
        let metadata = metadata(&mut source, key_count)?;
        let alignment = alignment(&metadata)?;
        // Keys have been read meanwhile: less of the file is left.
        check_count(&source, tensor_count, MOST_TENSORS, LEAST_TENSOR, "tensors")?;
        let tensors = tensors(&mut source, tensor_count, alignment)?;
        let data_offset = source.position().next_multiple_of(alignment);
        check_ends(&tensors, data_offset, length)?;
        Ok(Self { version, metadata, tensors, data_offset, file_bytes: length })
    }

    /// What the file says of being a part of a split model; `None` where it is whole.
    pub fn split(&self) -> Option<SplitInfo> {
        let number = |key: &str| self.metadata.get(key).and_then(Value::as_u64);
        let count = u32::try_from(number("split.count")?).ok().filter(|count| *count > 1)?;
        let index = number("split.no").and_then(|index| u32::try_from(index).ok()).unwrap_or(0);
        Some(SplitInfo { number: index.saturating_add(1), count, tensors: number("split.tensors.count") })
    }
}

const fn check_version(version: u32) -> Result<(), GgufError> {
    match version {
        OLDEST..=NEWEST => Ok(()),
        // The number 3 written the other way round has nothing in its lower half.
        version if version != 0 && version.trailing_zeros() >= 16 => Err(GgufError::BigEndian),
        version if version < OLDEST => Err(GgufError::TooOld { version }),
        version => Err(GgufError::TooNew { version }),
    }
}

fn check_count<R: Read + Seek>(
    source: &Source<R>,
    count: u64,
    most: u64,
    least_bytes: u64,
    what: &str,
) -> Result<(), GgufError> {
    source.check_many(count, least_bytes, &format!("its {count} {what}"))?;
    if count > most {
        return Err(GgufError::Unbelievable(format!("it says that it has {count} {what}")));
    }
    Ok(())
}

fn metadata<R: Read + Seek>(source: &mut Source<R>, count: u64) -> Result<BTreeMap<String, Value>, GgufError> {
    let mut metadata = BTreeMap::new();
    for index in 0..count {
        let key = source.name(MOST_KEY_NAME, &format!("key {index}"))?;
        if key.is_empty() {
            return Err(GgufError::Damaged(format!("key {index} has no name")));
        }
        let value = value(source, &key)?;
        if metadata.contains_key(&key) {
            return Err(GgufError::Damaged(format!("the key {} is there twice", shown(&key))));
        }
        metadata.insert(key, value);
    }
    Ok(metadata)
}

/// A name as it is told: short, and without what a terminal would obey.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(80).collect();
    format!("'{}'", short.escape_default())
}

fn kind<R: Read + Seek>(source: &mut Source<R>, key: &str) -> Result<Kind, GgufError> {
    let id = source.u32("the kind of a value")?;
    Kind::from_id(id).ok_or_else(|| GgufError::Damaged(format!("the key {} is of the unknown kind {id}", shown(key))))
}

fn value<R: Read + Seek>(source: &mut Source<R>, key: &str) -> Result<Value, GgufError> {
    match kind(source, key)? {
        Kind::Array => array(source, key),
        kind => single(source, kind),
    }
}

fn single<R: Read + Seek>(source: &mut Source<R>, kind: Kind) -> Result<Value, GgufError> {
    let what = "a value";
    Ok(match kind {
        Kind::U8 => Value::Unsigned(kind, source.u8(what)?.into()),
        Kind::I8 => Value::Signed(kind, source.u8(what)?.cast_signed().into()),
        Kind::U16 => Value::Unsigned(kind, source.u16(what)?.into()),
        Kind::I16 => Value::Signed(kind, source.u16(what)?.cast_signed().into()),
        Kind::U32 => Value::Unsigned(kind, source.u32(what)?.into()),
        Kind::I32 => Value::Signed(kind, source.u32(what)?.cast_signed().into()),
        Kind::F32 => Value::Float(kind, f32::from_bits(source.u32(what)?).into()),
        Kind::Bool => Value::Bool(source.u8(what)? != 0),
        Kind::Text => match source.text("a text")? {
            Ok(text) => Value::Text(text),
            Err(bytes) => Value::LongText { bytes },
        },
        Kind::U64 => Value::Unsigned(kind, source.u64(what)?),
        Kind::I64 => Value::Signed(kind, source.u64(what)?.cast_signed()),
        Kind::F64 => Value::Float(kind, f64::from_bits(source.u64(what)?)),
        Kind::Array => return Err(GgufError::Damaged("a list holds lists".into())),
    })
}

fn array<R: Read + Seek>(source: &mut Source<R>, key: &str) -> Result<Value, GgufError> {
    let of = kind(source, key)?;
    if of == Kind::Array {
        return Err(GgufError::Damaged(format!("the key {} is a list of lists", shown(key))));
    }
    let count = source.u64("the length of a list")?;
    let what = "a list";
    // A text has at least its length.
    source.check_many(count, of.width().unwrap_or(8), what)?;
    let kept = if count <= MOST_VALUES && source.may_keep(count * size_of::<Value>() as u64) {
        (0..count).map(|_| single(source, of)).collect::<Result<_, _>>()?
    } else {
        match of.width() {
            Some(width) => source.skip(count * width, what)?,
            None => (0..count).try_for_each(|_| source.skip_text(what))?,
        }
        Vec::new()
    };
    Ok(Value::Array { of, count, kept })
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, GgufError> {
    match metadata.get("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Value::Unsigned(Kind::U32, alignment)) if alignment.is_power_of_two() => Ok(*alignment),
        Some(_) => Err(GgufError::Damaged("its alignment is no power of two".into())),
    }
}

fn tensors<R: Read + Seek>(source: &mut Source<R>, count: u64, alignment: u64) -> Result<Vec<Tensor>, GgufError> {
    // Checked against the file's length and the limit before.
    let mut tensors = Vec::with_capacity(count as usize);
    let mut expected: u64 = 0;
    for index in 0..count {
        let tensor = tensor(source, index)?;
        if tensor.offset != expected {
            return Err(GgufError::Damaged(format!(
                "tensor {} is said to begin at byte {} of the data, where byte {expected} would be right",
                shown(&tensor.name),
                tensor.offset
            )));
        }
        expected = tensor
            .bytes
            .checked_next_multiple_of(alignment)
            .and_then(|padded| expected.checked_add(padded))
            .ok_or_else(|| too_large(&tensor.name))?;
        tensors.push(tensor);
    }
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(GgufError::Damaged(format!("the tensor {} is there twice", shown(twice[0]))));
    }
    Ok(tensors)
}

fn too_large(name: &str) -> GgufError {
    GgufError::Damaged(format!("tensor {} is larger than can be counted", shown(name)))
}

fn tensor<R: Read + Seek>(source: &mut Source<R>, index: u64) -> Result<Tensor, GgufError> {
    let name = source.name(MOST_TENSOR_NAME, &format!("tensor {index}"))?;
    let given = source.u32("a tensor's shape")? as usize;
    if given > MAX_DIMENSIONS {
        return Err(GgufError::Damaged(format!("tensor {} has {given} dimensions", shown(&name))));
    }
    let mut dimensions = [1; MAX_DIMENSIONS];
    for dimension in dimensions.iter_mut().take(given) {
        *dimension = source.u64("a tensor's shape")?;
    }
    // As llama.cpp counts them: in numbers with a sign. A nought must not hide a dimension that is too large.
    let countable = |most: &u64, dimension: &u64| {
        most.checked_mul((*dimension).max(1)).filter(|count| i64::try_from(*count).is_ok())
    };
    if dimensions.iter().try_fold(1, |most, dimension| countable(&most, dimension)).is_none() {
        return Err(too_large(&name));
    }
    let elements: u64 = dimensions.iter().product();
    let id = source.u32("a tensor's type")?;
    let kind = TensorType::from_id(id)
        .ok_or_else(|| GgufError::Damaged(format!("tensor {} is of the unknown type {id}", shown(&name))))?;
    if !dimensions[0].is_multiple_of(kind.block()) {
        return Err(GgufError::Damaged(format!(
            "tensor {} has rows of {} numbers, which {} cannot hold",
            shown(&name),
            dimensions[0],
            kind.name()
        )));
    }
    let bytes = kind.bytes(elements).ok_or_else(|| too_large(&name))?;
    let offset = source.u64("a tensor's place")?;
    Ok(Tensor { name, dimensions, kind, offset, bytes })
}

/// Every tensor ends within the file.
fn check_ends(tensors: &[Tensor], data_offset: u64, length: u64) -> Result<(), GgufError> {
    for tensor in tensors {
        let end = data_offset
            .checked_add(tensor.offset)
            .and_then(|start| start.checked_add(tensor.bytes))
            .ok_or_else(|| too_large(&tensor.name))?;
        if end > length {
            let what = format!("tensor {}", shown(&tensor.name));
            return Err(GgufError::CutOff { what, needed: end, length });
        }
    }
    Ok(())
}
