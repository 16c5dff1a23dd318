//! Frames on a stream.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::message::{head, DecodeError, Message};

/// Why no message came.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream ended between two messages.
    #[error("the stream ended")]
    End,
    #[error("the stream ended within a message")]
    Truncated,
    #[error("nothing came for too long")]
    Silence,
    #[error("a message took too long")]
    Slow,
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Io(io::Error),
}

/// Reads one message into a buffer of the caller's. `silence` bounds the wait
/// for its first byte, `slow` the rest of it.
pub async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    silence: Duration,
    slow: Duration,
) -> Result<Message, ReadError> {
    let mut first = [0; 5];
    let begun = timeout(silence, stream.read(&mut first)).await;
    let begun = match begun.map_err(|_| ReadError::Silence)?.map_err(ReadError::Io)? {
        0 => return Err(ReadError::End),
        begun => begun,
    };
    let rest = async {
        stream.read_exact(&mut first[begun..]).await.map_err(broken)?;
        let (kind, length) = head(first)?;
        buffer.resize(length, 0);
        stream.read_exact(buffer).await.map_err(broken)?;
        Ok(Message::decode_body(kind, buffer)?)
    };
    timeout(slow, rest).await.map_err(|_| ReadError::Slow)?
}

/// Writes frames that were encoded, within a time.
pub async fn write_to(
    stream: &mut (impl AsyncWrite + Unpin),
    frames: &[u8],
    within: Duration,
) -> io::Result<()> {
    let work = async {
        stream.write_all(frames).await?;
        stream.flush().await
    };
    timeout(within, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn broken(error: io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::Truncated,
        _ => ReadError::Io(error),
    }
}
