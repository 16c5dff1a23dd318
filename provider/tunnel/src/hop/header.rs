//! The first bytes on a relayed connection: what is wanted, then yes or no.
//!
//! Length (two bytes, big-endian) and JSON either way. JSON, because the
//! machines of a provider are brought up to date one after the other, and one
//! must be able to read of another what it knows.

use std::io;

use serde::{de::DeserializeOwned, Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest header or answer.
pub const MAX_HEADER_BYTES: usize = 2048;

/// What the connection is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Wanted {
    /// A TCP port of an instance: `lease/service[index]`.
    Instance { instance: String, port: u16 },
    /// A UDP port of an instance, for one flow.
    Flow { instance: String, port: u16 },
}

/// What the relay says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(super) enum Answer {
    Connected,
    /// The instance did not take the connection, or is not here.
    Failed {
        timed_out: bool,
        why: String,
    },
}

pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    value: &impl Serialize,
) -> io::Result<()> {
    let text = serde_json::to_vec(value)?;
    let length = u16::try_from(text.len()).ok().filter(|n| usize::from(*n) <= MAX_HEADER_BYTES);
    let length = length.ok_or_else(|| io::Error::other("a relay's header is too long"))?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(text);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

pub(super) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_HEADER_BYTES {
        return Err(io::Error::other("a relay's header is too long"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_header_arrives_as_it_was_sent_and_none_is_too_long() {
        let (mut near, mut far) = tokio::io::duplex(64 << 10);
        let wanted = Wanted::Instance { instance: "a/1/1/1/p/web[0]".into(), port: 80 };
        write(&mut near, &wanted).await.unwrap();
        assert_eq!(read::<Wanted>(&mut far).await.unwrap(), wanted);
        let long = Wanted::Instance { instance: "a".repeat(MAX_HEADER_BYTES), port: 80 };
        assert!(write(&mut near, &long).await.is_err());
        near.write_all(&[0xff, 0xff]).await.unwrap();
        assert!(read::<Wanted>(&mut far).await.unwrap_err().to_string().contains("too long"));
    }
}
