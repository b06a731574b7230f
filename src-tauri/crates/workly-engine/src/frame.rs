//! Frames: four bytes of length, little-endian, then that many bytes of JSON.

use std::io::{self, Read, Write};

use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec, LengthDelimitedCodecError};

/// Most bytes a frame may carry. A conversation of a million characters fits; a stray program's output does not.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// Bytes of the length before each frame.
pub const HEADER_BYTES: usize = 4;

/// A frame that cannot be sent or understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// What is to be sent is over [`MAX_FRAME_BYTES`], or what is announced: then the other side does not speak this
    /// protocol.
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLong(usize),
    /// What is announced is over [`MAX_FRAME_BYTES`], nobody says by how much.
    #[error("a frame is over the limit of {MAX_FRAME_BYTES} bytes")]
    Foreign,
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
fn announced_length(header: [u8; HEADER_BYTES]) -> Result<usize, FrameError> {
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

/// The frames of a pipe, one by one, for programs that wait for several things. Little more is read than the next
/// frame needs, so a pipe that nobody reads holds its writer up.
///
/// Ends at the end of the pipe and after a fault, which is one of [`read`]'s.
pub fn stream<T: DeserializeOwned>(pipe: impl AsyncRead) -> impl Stream<Item = Result<T, FrameError>> {
    let codec = LengthDelimitedCodec::builder()
        .little_endian()
        .length_field_length(HEADER_BYTES)
        .max_frame_length(MAX_FRAME_BYTES)
        .new_codec();
    FramedRead::new(pipe, codec).map(|frame| Ok(serde_json::from_slice(&frame.map_err(fault)?)?))
}

fn fault(error: io::Error) -> FrameError {
    match error.get_ref() {
        Some(inner) if inner.is::<LengthDelimitedCodecError>() => FrameError::Foreign,
        _ => FrameError::Pipe(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn streamed<T: DeserializeOwned>(pipe: &[u8]) -> Vec<Result<T, FrameError>> {
        stream(pipe).collect().await
    }

    #[tokio::test]
    async fn what_is_written_is_read_alike_by_both_readers() {
        let mut pipe = Vec::new();
        let said = ["", "first", &"long ".repeat(100_000)];
        for text in said {
            write(&mut pipe, &text).unwrap();
        }
        let heard: Vec<String> = streamed(&pipe).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(heard, said);
        let mut reader = pipe.as_slice();
        assert!(said.iter().all(|text| read::<String>(&mut reader).unwrap().as_deref() == Some(*text)));
    }

    #[tokio::test]
    async fn a_stream_ends_with_what_is_wrong_in_it() {
        let foreign = streamed::<String>(b"Hello, I am a shell").await;
        assert!(matches!(foreign[..], [Err(FrameError::Foreign)]), "{foreign:?}");
        let mut cut = encode(&"whole").unwrap();
        cut.pop();
        assert!(matches!(streamed::<String>(&cut).await[..], [Err(FrameError::Pipe(_))]));
        assert!(matches!(streamed::<String>(&cut[..2]).await[..], [Err(FrameError::Pipe(_))]));
        assert!(matches!(streamed::<u8>(&encode(&"text").unwrap()).await[..], [Err(FrameError::Json(_))]));
    }

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
