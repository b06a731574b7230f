//! Reading forward through a file of known length, with everything bounded before it is done.

use std::io::{self, BufRead as _, BufReader, Read, Seek};

use crate::error::GgufError;

/// Bytes a header may have. The largest vocabularies take some 20 MB.
pub(crate) const HEADER_LIMIT: u64 = 256 << 20;
/// Bytes of texts and lists that are kept of a header.
const KEPT_LIMIT: u64 = 8 << 20;
/// Bytes of all names of keys and tensors.
const NAMES_LIMIT: u64 = 8 << 20;
/// Bytes of one text that are kept.
const TEXT_LIMIT: u64 = 512 << 10;
/// Bytes read at once.
const BUFFER: usize = 64 << 10;

/// A file being read.
pub(crate) struct Source<R> {
    inner: BufReader<R>,
    /// Bytes of the file.
    length: u64,
    /// Bytes from the start.
    at: u64,
    /// Bytes of texts and lists that may still be kept.
    budget: u64,
    /// Bytes that names may still have.
    names: u64,
}

impl<R: Read + Seek> Source<R> {
    pub(crate) fn new(inner: R, length: u64) -> Self {
        Self { inner: BufReader::with_capacity(BUFFER, inner), length, at: 0, budget: KEPT_LIMIT, names: NAMES_LIMIT }
    }

    /// Bytes from the start.
    pub(crate) const fn position(&self) -> u64 {
        self.at
    }

    /// Bytes that a header could still have.
    pub(crate) fn left(&self) -> u64 {
        self.length.min(HEADER_LIMIT).saturating_sub(self.at)
    }

    /// Makes sure that `count` bytes follow.
    pub(crate) fn check(&self, count: u64, what: &str) -> Result<(), GgufError> {
        if count <= self.left() {
            return Ok(());
        }
        let needed = self.at.saturating_add(count);
        if needed > self.length {
            return Err(GgufError::CutOff { what: what.to_owned(), needed, length: self.length });
        }
        Err(GgufError::Unbelievable(format!("{what} would reach to byte {needed}, and no header is as long")))
    }

    /// Makes sure that `count` things of at least `least` bytes each follow.
    pub(crate) fn check_many(&self, count: u64, least: u64, what: &str) -> Result<(), GgufError> {
        self.check(count.saturating_mul(least), what)
    }

    /// Whether so many bytes may be kept; they are counted if they may.
    pub(crate) const fn may_keep(&mut self, bytes: u64) -> bool {
        let may = bytes <= self.budget;
        if may {
            self.budget -= bytes;
        }
        may
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], GgufError> {
        self.check(N as u64, what)?;
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(|error| self.shrunk(error, what))?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// The file became shorter while it was read, or the system failed.
    fn shrunk(&self, error: io::Error, what: &str) -> GgufError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return GgufError::CutOff { what: what.to_owned(), needed: self.length, length: self.at };
        }
        error.into()
    }

    pub(crate) fn u8(&mut self, what: &str) -> Result<u8, GgufError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, what: &str) -> Result<u16, GgufError> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// The next `N` bytes as they are.
    pub(crate) fn raw<const N: usize>(&mut self, what: &str) -> Result<[u8; N], GgufError> {
        self.array(what)
    }

    /// Passes over bytes.
    pub(crate) fn skip(&mut self, count: u64, what: &str) -> Result<(), GgufError> {
        self.check(count, what)?;
        // The limit of a header is far below what an i64 holds.
        let distance =
            i64::try_from(count).map_err(|_| GgufError::Damaged(format!("{what} has no believable size")))?;
        self.inner.seek_relative(distance)?;
        self.at += count;
        Ok(())
    }

    /// A text that must be kept, of at most `most` bytes.
    pub(crate) fn name(&mut self, most: u64, what: &str) -> Result<String, GgufError> {
        let bytes = self.u64(what)?;
        self.check(bytes, what)?;
        if bytes > most {
            return Err(GgufError::Unbelievable(format!("{what} has a name of {bytes} bytes")));
        }
        self.names = self
            .names
            .checked_sub(bytes)
            .ok_or_else(|| GgufError::Unbelievable(format!("its names take more than {NAMES_LIMIT} bytes")))?;
        String::from_utf8(self.bytes(bytes, what)?)
            .map_err(|_| GgufError::Damaged(format!("{what} has a name that is no text")))
    }

    /// A text; `Err` in the inner result is the length of one that is too long to be kept.
    pub(crate) fn text(&mut self, what: &str) -> Result<Result<String, u64>, GgufError> {
        let bytes = self.u64(what)?;
        self.check(bytes, what)?;
        if bytes > TEXT_LIMIT || !self.may_keep(bytes) {
            self.skip(bytes, what)?;
            return Ok(Err(bytes));
        }
        let text = String::from_utf8(self.bytes(bytes, what)?);
        Ok(Ok(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())))
    }

    /// Passes over a text.
    pub(crate) fn skip_text(&mut self, what: &str) -> Result<(), GgufError> {
        let bytes = self.u64(what)?;
        self.skip(bytes, what)
    }

    /// Bytes that were checked and allowed before.
    fn bytes(&mut self, count: u64, what: &str) -> Result<Vec<u8>, GgufError> {
        let mut bytes = Vec::with_capacity(count as usize);
        (&mut self.inner).take(count).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != count {
            return Err(self.shrunk(io::ErrorKind::UnexpectedEof.into(), what));
        }
        self.at += count;
        Ok(bytes)
    }

    /// Whether nothing is there at all.
    pub(crate) fn is_empty(&mut self) -> Result<bool, GgufError> {
        Ok(self.length == 0 || self.inner.fill_buf()?.is_empty())
    }
}
