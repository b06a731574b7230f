//! A model with all its files: one, or the parts of a split model, `name-00001-of-00003.gguf` and so on.

use std::path::{Path, PathBuf};

use crate::error::GgufError;
use crate::header::{Header, SplitInfo};
use crate::split_name::{part_of_name, part_path};

/// Most files that a model may be split into. Their names have five digits; real ones have some ten.
const MOST_PARTS: u32 = 512;
/// Most tensors of all files together.
const MOST_TENSORS: usize = 65_536;

/// A model with all its files.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The first file's header, with the tensors of all files. Their offsets are in their own files.
    pub header: Header,
    /// The files, the first one first.
    pub parts: Vec<PathBuf>,
    /// Bytes of all files.
    pub file_bytes: u64,
}

impl Model {
    /// Reads the headers of a model, given its first file.
    ///
    /// # Errors
    ///
    /// What is wrong with one of the files, or that one is missing.
    pub fn read(path: &Path) -> Result<Self, GgufError> {
        let header = Header::read(path)?;
        let file_bytes = header.file_bytes;
        let mut model = Self { header, parts: vec![path.to_path_buf()], file_bytes };
        if let Some(split) = model.header.split() {
            model.add_parts(path, split)?;
        }
        Ok(model)
    }

    fn add_parts(&mut self, path: &Path, split: SplitInfo) -> Result<(), GgufError> {
        let SplitInfo { number, count, tensors } = split;
        if count > MOST_PARTS || number > count {
            return Err(GgufError::Unbelievable(format!("it says that it is part {number} of {count}")));
        }
        if number > 1 {
            let first = part_path(path, 1).unwrap_or_else(|| path.to_path_buf());
            return Err(GgufError::NotFirstPart { number, count, first });
        }
        for number in 2..=count {
            let missing = |path: PathBuf| GgufError::PartMissing { path, count };
            let part = part_path(path, number)
                .filter(|_| part_of_name(path).is_some_and(|(_, of)| of == count))
                .ok_or_else(|| missing(path.with_extension(format!("{number:05}-of-{count:05}.gguf"))))?;
            if !part.is_file() {
                return Err(missing(part));
            }
            let header = Header::read(&part)?;
            let found = header.split().map(|split| (split.number, split.count));
            if found != Some((number, count)) {
                let name = part.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(GgufError::Damaged(format!("{name} is not part {number} of {count}, as it is named")));
            }
            if self.header.tensors.len() + header.tensors.len() > MOST_TENSORS {
                return Err(GgufError::Unbelievable(format!("it has more than {MOST_TENSORS} tensors")));
            }
            self.header.tensors.extend(header.tensors);
            self.file_bytes = self.file_bytes.saturating_add(header.file_bytes);
            self.parts.push(part);
        }
        let found = self.header.tensors.len() as u64;
        if let Some(said) = tensors.filter(|said| *said != found) {
            return Err(GgufError::Damaged(format!("its parts hold {found} tensors where {said} are expected")));
        }
        Ok(())
    }
}
