//! Whether a file is what it should be: its SHA-256, and its header.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use data_encoding::HEXLOWER;
use ring::digest;
use workly_core::problem::{Problem, ProblemCode};
use workly_gguf::{Fault, GgufError, Header};

use super::problems;

/// Bytes that are hashed at a time.
const BLOCK: usize = 1 << 20;

/// The SHA-256 of a file in hexadecimal digits, read from the disk; `None` where `is_stopped` said so.
pub(super) fn sha256(path: &Path, is_stopped: impl Fn() -> bool) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut block = vec![0; BLOCK];
    loop {
        if is_stopped() {
            return Ok(None);
        }
        match file.read(&mut block) {
            Ok(0) => return Ok(Some(HEXLOWER.encode(hash.finish().as_ref()))),
            Ok(bytes) => hash.update(&block[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads a file's header, of the first part or of a later one.
///
/// # Errors
///
/// What is wrong with it and what to do; `name` is what the user knows it by.
pub(super) fn header(path: &Path, name: &str) -> Result<(), Problem> {
    match Header::read(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(problem(name, &error)),
    }
}

fn problem(name: &str, error: &GgufError) -> Problem {
    let code = match error.fault() {
        Fault::Missing => ProblemCode::ModelMissing,
        Fault::Forbidden | Fault::Unreadable => ProblemCode::NoPermission,
        Fault::NotGguf => return problems::not_a_model(name).with_details(error.to_string()),
        Fault::Unsupported => ProblemCode::LoadFailed,
        Fault::Damaged => ProblemCode::ModelDamaged,
    };
    Problem::new(code, format!("“{name}” cannot be used: {error}."))
}

/// Bytes that a model needs by what its header says; `None` as long as the header is not all there.
pub(super) fn bytes_by_header(path: &Path) -> Option<u64> {
    // As if all of the file were there; what is not is an error.
    let header = Header::read_from(io::BufReader::new(File::open(path).ok()?), u64::MAX >> 1).ok()?;
    let end = header.tensors.iter().map(|tensor| tensor.offset.saturating_add(tensor.bytes)).max().unwrap_or(0);
    Some(header.data_offset.saturating_add(end))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_hashed_from_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, b"abc").unwrap();
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path, || false).unwrap().as_deref(), Some(hash));
        assert_eq!(sha256(&path, || true).unwrap(), None);
        assert!(sha256(&folder.path().join("nowhere"), || false).is_err());
    }

    #[test]
    fn a_part_tells_how_long_the_whole_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let kind = workly_gguf::TensorType::from_id(0).unwrap();
        let writer = workly_gguf::Writer::new("llama").tensor("a", &[1024, 1024], kind);
        let whole = writer.bytes();
        fs::write(&path, &whole[..4096]).unwrap();
        assert_eq!(bytes_by_header(&path), Some(whole.len() as u64));
        assert_eq!(header(&path, "model").unwrap_err().code, ProblemCode::ModelDamaged);
        fs::write(&path, &whole[..40]).unwrap();
        assert_eq!(bytes_by_header(&path), None);
        fs::write(&path, &whole).unwrap();
        assert!(header(&path, "model").is_ok());
        fs::write(&path, b"<html>").unwrap();
        assert_eq!(header(&path, "model").unwrap_err().code, ProblemCode::NotGguf);
    }
}
