//! Why a file is not used.

use std::io;
use std::path::PathBuf;

/// In one word, what is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not exist.
    Missing,
    /// It may not be read.
    Forbidden,
    /// It could not be read for another reason.
    Unreadable,
    /// It is something else than a GGUF file.
    NotGguf,
    /// It is a GGUF file of a version or kind that is not understood.
    Unsupported,
    /// It ends too early or contradicts itself.
    Damaged,
}

/// Why a header could not be read. Each is a sentence about "the file", with what to do.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The system refused to read it.
    #[error("the file could not be read: {0}")]
    Io(#[from] io::Error),
    /// It is a folder.
    #[error("this is a folder; give the path of a GGUF file in it")]
    Folder,
    /// There is nothing in it.
    #[error("the file is empty; fetch the model again")]
    Empty,
    /// It does not begin as a GGUF file does.
    #[error("the file is not a GGUF file; look for one whose name ends in .gguf")]
    NotGguf,
    /// Version 1 and older.
    #[error(
        "the file is of GGUF version {version}, which llama.cpp no longer reads; look for a newer conversion of the model"
    )]
    TooOld {
        /// Version of the format.
        version: u32,
    },
    /// A version of the future.
    #[error("the file is of GGUF version {version}, which this version of Workly does not know; update Workly")]
    TooNew {
        /// Version of the format.
        version: u32,
    },
    /// Numbers are the other way round.
    #[error("the file is made for big-endian machines and does not run here; look for the usual (little-endian) one")]
    BigEndian,
    /// It ends before its content does.
    #[error(
        "the file ends too early: {what} would reach to byte {needed}, but the file has {length}; fetch the model again"
    )]
    CutOff {
        /// What is cut off.
        what: String,
        /// Bytes that the file would need.
        needed: u64,
        /// Bytes it has.
        length: u64,
    },
    /// It cannot be as it says.
    #[error("the file is damaged: {0}; fetch the model again")]
    Damaged(String),
    /// It is larger in some way than any model is.
    #[error("the file's header is not believable: {0}; fetch the model from another source")]
    Unbelievable(String),
    /// A part of a split model is not there.
    #[error("the model is split into {count} files, and {} is not there; fetch all of them into one folder", path.display())]
    PartMissing {
        /// The file that is missing.
        path: PathBuf,
        /// Files it is split into.
        count: u32,
    },
    /// The file is a later part of a split model.
    #[error("this is part {number} of a model that is split into {count} files; choose the first one, {}", first.display())]
    NotFirstPart {
        /// Its number, from 1.
        number: u32,
        /// Files the model is split into.
        count: u32,
        /// Where the first one would be.
        first: PathBuf,
    },
}

impl GgufError {
    /// In one word, what is wrong.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Io(error) => match error.kind() {
                io::ErrorKind::NotFound => Fault::Missing,
                io::ErrorKind::PermissionDenied => Fault::Forbidden,
                _ => Fault::Unreadable,
            },
            Self::Folder | Self::Empty | Self::NotGguf => Fault::NotGguf,
            Self::TooOld { .. } | Self::TooNew { .. } | Self::BigEndian | Self::NotFirstPart { .. } => {
                Fault::Unsupported
            }
            Self::CutOff { .. } | Self::Damaged(_) | Self::Unbelievable(_) => Fault::Damaged,
            Self::PartMissing { .. } => Fault::Missing,
        }
    }
}
