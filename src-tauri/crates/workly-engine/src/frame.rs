//! Frames: four bytes of length, little-endian, then that many bytes of JSON.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes a frame may carry. A conversation of a million characters fits; a stray program's output does not.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// Bytes of the length before each frame.
pub const HEADER_BYTES: usize = 4;

/// A frame that cannot be sent or understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length is over [`MAX_FRAME_BYTES`]: the other side does not speak this protocol.
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLong(usize),
    /// The JSON is not what was expected.
    #[error("a frame could not be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The pipe failed.
    #[error("the pipe failed: {0}")]
    Pipe(#[from] io::Error),
}

/// The bytes of one frame.
///
/// # Errors
///
/// When the value is too long or is no JSON.
pub fn encode(value: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; HEADER_BYTES];
    serde_json::to_writer(&mut bytes, value)?;
    let length = bytes.len() - HEADER_BYTES;
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(length));
    }
    bytes[..HEADER_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(bytes)
}

/// The length that a header announces.
///
/// # Errors
///
/// When it is over the limit.
pub fn announced_length(header: [u8; HEADER_BYTES]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(header) as usize;
    if length > MAX_FRAME_BYTES { Err(FrameError::TooLong(length)) } else { Ok(length) }
}

/// Writes one frame and flushes.
///
/// # Errors
///
/// Those of [`encode`] and of the pipe.
pub fn write(pipe: &mut impl Write, value: &impl Serialize) -> Result<(), FrameError> {
    pipe.write_all(&encode(value)?)?;
    Ok(pipe.flush()?)
}

/// Reads one frame; `None` at the end of the stream.
///
/// # Errors
///
/// When the stream ends inside a frame, the frame is too long, or it is not a `T`.
pub fn read<T: DeserializeOwned>(pipe: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut header = [0; HEADER_BYTES];
    if pipe.read(&mut header[..1])? == 0 {
        return Ok(None);
    }
    pipe.read_exact(&mut header[1..])?;
    let mut body = vec![0; announced_length(header)?];
    pipe.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back_one_by_one() {
        let mut pipe = Vec::new();
        write(&mut pipe, &"first").unwrap();
        write(&mut pipe, &[1, 2]).unwrap();
        let mut reader = pipe.as_slice();
        assert_eq!(read::<String>(&mut reader).unwrap().as_deref(), Some("first"));
        assert_eq!(read::<Vec<u8>>(&mut reader).unwrap(), Some(vec![1, 2]));
        assert_eq!(read::<String>(&mut reader).unwrap(), None);
    }

    #[test]
    fn a_stream_that_is_no_protocol_is_refused_without_reserving_memory() {
        let mut reader = b"Hello, I am a shell".as_slice();
        assert!(matches!(read::<String>(&mut reader), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn a_stream_cut_inside_a_frame_is_an_error() {
        let mut pipe = encode(&"whole").unwrap();
        pipe.pop();
        assert!(matches!(read::<String>(&mut pipe.as_slice()), Err(FrameError::Pipe(_))));
        assert!(matches!(read::<String>(&mut &pipe[..2]), Err(FrameError::Pipe(_))));
    }
}
