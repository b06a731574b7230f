//! Writes headers of GGUF files, for tests: a real header, and weights that are all nought.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use crate::header::MAGIC;
use crate::tensor::TensorType;
use crate::value::{Kind, Value};

/// A file to be written.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    metadata: Vec<(String, Value)>,
    tensors: Vec<(String, Vec<u64>, TensorType)>,
}

impl Writer {
    /// A file of this architecture.
    pub fn new(architecture: &str) -> Self {
        Self::default().text("general.architecture", architecture)
    }

    /// Adds a key.
    #[must_use]
    pub fn value(mut self, key: &str, value: Value) -> Self {
        self.metadata.push((key.to_owned(), value));
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, key: &str, text: &str) -> Self {
        self.value(key, Value::Text(text.to_owned()))
    }

    /// Adds a number of 32 bits.
    #[must_use]
    pub fn number(self, key: &str, number: u32) -> Self {
        self.value(key, Value::Unsigned(Kind::U32, number.into()))
    }

    /// Adds a fraction of 32 bits.
    #[must_use]
    pub fn fraction(self, key: &str, number: f32) -> Self {
        self.value(key, Value::Float(Kind::F32, number.into()))
    }

    /// Adds a list of texts.
    #[must_use]
    pub fn texts<'a>(self, key: &str, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let kept: Vec<Value> = texts.into_iter().map(|text| Value::Text(text.to_owned())).collect();
        self.value(key, Value::Array { of: Kind::Text, count: kept.len() as u64, kept })
    }

    /// Adds a list of numbers of 32 bits with a sign.
    #[must_use]
    pub fn numbers(self, key: &str, numbers: impl IntoIterator<Item = i32>) -> Self {
        let kept: Vec<Value> = numbers.into_iter().map(|number| Value::Signed(Kind::I32, number.into())).collect();
        self.value(key, Value::Array { of: Kind::I32, count: kept.len() as u64, kept })
    }

    /// Adds a tensor; its rows must be whole blocks of the type.
    #[must_use]
    pub fn tensor(mut self, name: &str, dimensions: &[u64], kind: TensorType) -> Self {
        self.tensors.push((name.to_owned(), dimensions.to_vec(), kind));
        self
    }

    /// The header, up to where the tensors' data begins, and the bytes of that data.
    pub fn header(&self) -> (Vec<u8>, u64) {
        let mut out = MAGIC.to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        let mut alignment = 32;
        for (key, value) in &self.metadata {
            text(&mut out, key);
            out.extend(id(value).to_le_bytes());
            content(&mut out, value);
            if key == "general.alignment" {
                alignment = value.as_u64().unwrap_or(alignment).max(1);
            }
        }
        let mut offset: u64 = 0;
        for (name, dimensions, kind) in &self.tensors {
            text(&mut out, name);
            out.extend((dimensions.len() as u32).to_le_bytes());
            for dimension in dimensions {
                out.extend(dimension.to_le_bytes());
            }
            out.extend(kind.id().to_le_bytes());
            out.extend(offset.to_le_bytes());
            let bytes = kind.bytes(dimensions.iter().product()).unwrap_or_default();
            offset += bytes.next_multiple_of(alignment);
        }
        out.resize((out.len() as u64).next_multiple_of(alignment) as usize, 0);
        (out, offset)
    }

    /// The whole file.
    pub fn bytes(&self) -> Vec<u8> {
        let (mut out, data) = self.header();
        out.resize(out.len() + data as usize, 0);
        out
    }

    /// Writes the file; weights take no room on the disk where the file system can leave holes.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let (header, data) = self.header();
        let mut file = File::create(path)?;
        file.write_all(&header)?;
        file.set_len(header.len() as u64 + data)
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

const fn id(value: &Value) -> u32 {
    match value {
        Value::Unsigned(kind, _) | Value::Signed(kind, _) | Value::Float(kind, _) => kind.id(),
        Value::Bool(_) => Kind::Bool.id(),
        Value::Text(_) | Value::LongText { .. } => Kind::Text.id(),
        Value::Array { .. } => Kind::Array.id(),
    }
}

fn content(out: &mut Vec<u8>, value: &Value) {
    let narrow = |kind: Kind, bytes: [u8; 8]| bytes[..kind.width().unwrap_or(8) as usize].to_vec();
    match value {
        Value::Unsigned(kind, number) => out.extend(narrow(*kind, number.to_le_bytes())),
        Value::Signed(kind, number) => out.extend(narrow(*kind, number.to_le_bytes())),
        Value::Float(Kind::F32, number) => out.extend((*number as f32).to_le_bytes()),
        Value::Float(_, number) => out.extend(number.to_le_bytes()),
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Text(value) => text(out, value),
        Value::LongText { bytes } => text(out, &"x".repeat(*bytes as usize)),
        Value::Array { of, kept, .. } => {
            out.extend(of.id().to_le_bytes());
            out.extend((kept.len() as u64).to_le_bytes());
            for value in kept {
                content(out, value);
            }
        }
    }
}
