//! The words between a relay and a provider behind it: a byte of kind, then a
//! fixed form. No word is longer than 257 bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Names one connection that waits at the relay.
pub(super) type Token = [u8; 16];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// From behind: listen for me; at this port, 0 is any.
    Register(u16),
    /// From the relay: I listen there.
    Registered(u16),
    /// From the relay: no, and why.
    Refused(String),
    /// From the relay: somebody is here.
    Incoming(Token),
    /// From behind, first on another connection: give me that one. From then
    /// on its bytes follow, both ways.
    Accept(Token),
    Ping,
    Pong,
}

impl Word {
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        Ok(match from.read_u8().await? {
            1 => Self::Register(from.read_u16().await?),
            2 => Self::Registered(from.read_u16().await?),
            3 => {
                let mut text = vec![0; usize::from(from.read_u8().await?)];
                from.read_exact(&mut text).await?;
                Self::Refused(String::from_utf8_lossy(&text).into_owned())
            }
            4 => Self::Incoming(token(from).await?),
            5 => Self::Accept(token(from).await?),
            6 => Self::Ping,
            7 => Self::Pong,
            kind => {
                let problem = format!("a word of the unknown kind {kind}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        })
    }

    pub(super) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let bytes = match self {
            Self::Register(port) => with(1, &port.to_be_bytes()),
            Self::Registered(port) => with(2, &port.to_be_bytes()),
            Self::Refused(text) => {
                let cut = text.as_bytes().get(..255).unwrap_or(text.as_bytes());
                let mut bytes = with(3, &[u8::try_from(cut.len()).unwrap_or(u8::MAX)]);
                bytes.extend_from_slice(cut);
                bytes
            }
            Self::Incoming(token) => with(4, token),
            Self::Accept(token) => with(5, token),
            Self::Ping => vec![6],
            Self::Pong => vec![7],
        };
        to.write_all(&bytes).await?;
        to.flush().await
    }
}

async fn token(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Token> {
    let mut token = Token::default();
    from.read_exact(&mut token).await?;
    Ok(token)
}

fn with(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(rest);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn words_go_there_and_back_and_others_are_refused() {
        let long = "x".repeat(300);
        for word in [
            Word::Register(7),
            Word::Registered(u16::MAX),
            Word::Refused("no".into()),
            Word::Incoming([3; 16]),
            Word::Accept([4; 16]),
            Word::Ping,
            Word::Pong,
        ] {
            let mut bytes = vec![];
            word.write(&mut bytes).await.unwrap();
            assert_eq!(Word::read(&mut bytes.as_slice()).await.unwrap(), word);
            bytes.pop();
            assert!(Word::read(&mut bytes.as_slice()).await.is_err(), "cut short");
        }
        let mut bytes = vec![];
        Word::Refused(long).write(&mut bytes).await.unwrap();
        assert_eq!(bytes.len(), 257);
        assert!(Word::read(&mut [9_u8, 0, 0].as_slice()).await.is_err());
    }
}
