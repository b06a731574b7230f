//! A file of checkpoints: the KV cache of a conversation in pieces, each with its tokens, in order.
//!
//! One worker appends to it while others may read it. A piece is there once it is there in full; when pieces are taken
//! away, because the conversation took another turn, the edition changes first, so that nobody reads of two editions.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;

/// What such a file begins with, and after it the number of its edition.
const MAGIC: [u8; 8] = *b"workly\x00\x01";
const HEADER_BYTES: u64 = 16;
/// Before each piece: how many tokens and how many bytes of KV cache it has.
const PIECE_HEADER_BYTES: u64 = 12;
const TOKEN_BYTES: u64 = 4;

/// A part of the KV cache.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Its places in the conversation.
    pub(crate) places: Range<usize>,
    /// Where its bytes are.
    bytes: Range<u64>,
}

/// An open file of checkpoints.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    file: File,
    edition: u64,
    pieces: Vec<Piece>,
    tokens: Vec<i32>,
    /// Where the last piece ends.
    end: u64,
}

impl CheckpointFile {
    /// Opens it to go on with; one that is empty or none of ours is begun anew.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if let Ok(found) = Self::scanned(&file) {
            return Ok(found);
        }
        (&file).seek(SeekFrom::Start(0))?;
        file.set_len(0)?;
        (&file).write_all(&[MAGIC, 1_u64.to_le_bytes()].concat())?;
        Self::scanned(&file)
    }

    /// Opens it to read what is there by now.
    pub(crate) fn open_to_read(path: &Path) -> io::Result<Self> {
        Self::scanned(&File::open(path)?)
    }

    fn scanned(file: &File) -> io::Result<Self> {
        let mut file = file.try_clone()?;
        let edition = edition(&mut file)?;
        let length = file.metadata()?.len();
        let (mut pieces, mut tokens, mut end) = (Vec::new(), Vec::new(), HEADER_BYTES);
        while let Some((ids, bytes)) = piece_at(&mut file, end, length) {
            let first = tokens.len();
            tokens.extend(ids);
            end = bytes.end;
            pieces.push(Piece { places: first..tokens.len(), bytes });
        }
        Ok(Self { file, edition, pieces, tokens, end })
    }

    /// The tokens whose KV cache is saved.
    pub(crate) fn tokens(&self) -> &[i32] {
        &self.tokens
    }

    /// Its pieces, in order.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Bytes of the file.
    pub(crate) const fn bytes(&self) -> u64 {
        self.end
    }

    /// What a piece holds; an error where it was taken away meanwhile.
    pub(crate) fn read(&self, piece: &Piece) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(piece.bytes.start))?;
        let mut data = vec![0; (piece.bytes.end - piece.bytes.start) as usize];
        file.read_exact(&mut data)?;
        if edition(&mut file)? != self.edition {
            return Err(io::Error::other("the file has another edition now"));
        }
        Ok(data)
    }

    /// Takes away every piece that reaches beyond so many tokens.
    pub(crate) fn cut(&mut self, tokens: usize) -> io::Result<()> {
        let keep = self.pieces.iter().take_while(|piece| piece.places.end <= tokens).count();
        if keep == self.pieces.len() {
            return Ok(());
        }
        self.edition += 1;
        self.file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        self.file.write_all(&self.edition.to_le_bytes())?;
        self.pieces.truncate(keep);
        self.tokens.truncate(self.pieces.last().map_or(0, |piece| piece.places.end));
        self.end = self.pieces.last().map_or(HEADER_BYTES, |piece| piece.bytes.end);
        self.file.set_len(self.end)
    }

    /// Adds a piece. An error also where whoever owns the file has emptied it, because memory is short.
    pub(crate) fn append(&mut self, tokens: &[i32], data: &[u8]) -> io::Result<()> {
        if self.file.metadata()?.len() < self.end {
            return Err(io::Error::other("the file was given up"));
        }
        let count = u32::try_from(tokens.len()).map_err(io::Error::other)?;
        let mut header = Vec::with_capacity(PIECE_HEADER_BYTES as usize + tokens.len() * TOKEN_BYTES as usize);
        header.extend(count.to_le_bytes());
        header.extend((data.len() as u64).to_le_bytes());
        header.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
        self.file.seek(SeekFrom::Start(self.end))?;
        let written = self.file.write_all(&header).and_then(|()| self.file.write_all(data));
        if let Err(error) = written {
            // The half of a piece is none; it must not be taken for one when others follow.
            self.file.set_len(self.end)?;
            return Err(error);
        }
        let start = self.end + header.len() as u64;
        self.end = start + data.len() as u64;
        let first = self.tokens.len();
        self.tokens.extend_from_slice(tokens);
        self.pieces.push(Piece { places: first..self.tokens.len(), bytes: start..self.end });
        Ok(())
    }
}

fn edition(mut file: impl io::Read + io::Seek) -> io::Result<u64> {
    let mut header = [[0; 8]; 2];
    file.seek(SeekFrom::Start(0))?;
    for part in &mut header {
        file.read_exact(part)?;
    }
    let [magic, edition] = header;
    if magic == MAGIC { Ok(u64::from_le_bytes(edition)) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The tokens of the piece that begins there, and where its bytes are; none where it is not there in full.
fn piece_at(file: &mut File, at: u64, length: u64) -> Option<(Vec<i32>, Range<u64>)> {
    let left = length.checked_sub(at)?.checked_sub(PIECE_HEADER_BYTES)?;
    let (mut count, mut bytes) = ([0; 4], [0; 8]);
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut count).ok()?;
    file.read_exact(&mut bytes).ok()?;
    let (count, bytes) = (u32::from_le_bytes(count), u64::from_le_bytes(bytes));
    let token_bytes = u64::from(count) * TOKEN_BYTES;
    if count == 0 || left.checked_sub(token_bytes)? < bytes {
        return None;
    }
    let mut ids = vec![0; token_bytes as usize];
    file.read_exact(&mut ids).ok()?;
    let tokens = ids.chunks_exact(4).map(|id| i32::from_le_bytes([id[0], id[1], id[2], id[3]])).collect();
    let start = at + PIECE_HEADER_BYTES + token_bytes;
    Some((tokens, start..start + bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn folder_and_path() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        (folder, path)
    }

    fn held(file: &CheckpointFile) -> Vec<(Range<usize>, Vec<u8>)> {
        file.pieces().iter().map(|piece| (piece.places.clone(), file.read(piece).unwrap())).collect()
    }

    #[test]
    fn what_is_appended_is_read_by_others_and_gone_on_with() {
        let (_folder, path) = folder_and_path();
        let mut file = CheckpointFile::open(&path).unwrap();
        assert!(file.tokens().is_empty());
        file.append(&[1, 2, 3], b"one").unwrap();
        let reader = CheckpointFile::open_to_read(&path).unwrap();
        file.append(&[-4], b"").unwrap();
        assert_eq!(held(&reader), [(0..3, b"one".to_vec())]);
        let mut file = CheckpointFile::open(&path).unwrap();
        file.append(&[5], b"three").unwrap();
        let reader = CheckpointFile::open_to_read(&path).unwrap();
        assert_eq!(reader.tokens(), [1, 2, 3, -4, 5]);
        assert_eq!(held(&reader), [(0..3, b"one".to_vec()), (3..4, Vec::new()), (4..5, b"three".to_vec())]);
        assert_eq!(reader.bytes(), fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn a_piece_that_is_not_there_in_full_is_none_wherever_its_writer_died() {
        let (_folder, path) = folder_and_path();
        let mut file = CheckpointFile::open(&path).unwrap();
        file.append(&[1, 2], b"first").unwrap();
        let first = file.bytes();
        file.append(&[3], b"second").unwrap();
        let whole = fs::read(&path).unwrap();
        for length in first..whole.len() as u64 {
            fs::write(&path, &whole[..length as usize]).unwrap();
            let reader = CheckpointFile::open_to_read(&path).unwrap();
            assert_eq!(held(&reader), [(0..2, b"first".to_vec())], "{length} bytes");
            let mut file = CheckpointFile::open(&path).unwrap();
            file.append(&[4], b"other").unwrap();
            assert_eq!(CheckpointFile::open_to_read(&path).unwrap().tokens(), [1, 2, 4]);
        }
    }

    #[test]
    fn a_reader_notices_that_a_piece_was_replaced() {
        let (_folder, path) = folder_and_path();
        let mut file = CheckpointFile::open(&path).unwrap();
        file.append(&[1], b"stays").unwrap();
        file.append(&[2, 3], b"goes").unwrap();
        let reader = CheckpointFile::open_to_read(&path).unwrap();
        file.cut(2).unwrap();
        file.append(&[2, 9], b"came").unwrap();
        assert!(reader.pieces().iter().all(|piece| reader.read(piece).is_err()));
        let reader = CheckpointFile::open_to_read(&path).unwrap();
        assert_eq!(reader.tokens(), [1, 2, 9]);
        assert_eq!(held(&reader), [(0..1, b"stays".to_vec()), (1..3, b"came".to_vec())]);
        file.cut(3).unwrap();
        assert!(reader.read(&reader.pieces()[0]).is_ok(), "nothing was taken away");
    }

    #[test]
    fn what_is_none_of_ours_is_begun_anew_and_never_read() {
        let (_folder, path) = folder_and_path();
        for content in [b"".as_slice(), b"workly", &[0; 4_096], &[255; 4_096]] {
            fs::write(&path, content).unwrap();
            assert!(CheckpointFile::open_to_read(&path).is_err());
            assert!(CheckpointFile::open(&path).unwrap().tokens().is_empty());
        }
        // A header of ours with lengths of nobody's.
        fs::write(&path, [&MAGIC[..], &[0; 8], &[255; 64]].concat()).unwrap();
        assert!(CheckpointFile::open_to_read(&path).unwrap().tokens().is_empty());
    }

    #[test]
    fn nothing_is_added_to_a_file_that_was_given_up() {
        let (_folder, path) = folder_and_path();
        let mut file = CheckpointFile::open(&path).unwrap();
        file.append(&[1], b"piece").unwrap();
        fs::write(&path, b"").unwrap();
        assert!(file.append(&[2], b"piece").is_err());
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    }
}
