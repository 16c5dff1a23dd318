//! Bytes both ways, until both sides have ended or both are silent. One side's
//! end is passed on and leaves the other direction open.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{split, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{timeout_at, Instant};

/// A buffer begins small, for most connections are idle most of the time, and
/// grows eightfold whenever a read fills it.
const FIRST_BUFFER: usize = 2 << 10;
const LARGEST_BUFFER: usize = 128 << 10;

/// Copies until both directions have ended, or none carried a byte for the
/// idle time.
pub(crate) async fn relay<A, B>(one: A, other: B, idle: Duration) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (one_reader, one_writer) = split(one);
    let (other_reader, other_writer) = split(other);
    let last = Mutex::new(Instant::now());
    tokio::try_join!(
        copy(one_reader, other_writer, &last, idle),
        copy(other_reader, one_writer, &last, idle),
    )?;
    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    last: &Mutex<Instant>,
    idle: Duration,
) -> io::Result<()> {
    let mut buffer = vec![0; FIRST_BUFFER];
    loop {
        let latest = *last.lock().unwrap_or_else(PoisonError::into_inner);
        match timeout_at(latest + idle, from.read(&mut buffer)).await {
            Ok(Ok(0)) => return to.shutdown().await,
            Ok(Ok(read)) => {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                to.write_all(&buffer[..read]).await?;
                // TLS may hold a record back until it is asked.
                to.flush().await?;
                if read == buffer.len() && read < LARGEST_BUFFER {
                    buffer.resize(read * 8, 0);
                }
            }
            Ok(Err(error)) => return Err(error),
            // Silent here; the other direction may have moved on meanwhile.
            Err(_) if *last.lock().unwrap_or_else(PoisonError::into_inner) > latest => {}
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_sides_end_leaves_the_other_direction_open() {
        let (mut client, near) = tokio::io::duplex(64);
        let (far, mut server) = tokio::io::duplex(64);
        let running = tokio::spawn(relay(near, far, Duration::from_secs(60)));
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = String::new();
        server.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "question");
        let mut answer = Vec::new();
        let sending = async {
            server.write_all(&[b'a'; 100_000]).await.unwrap();
            server.shutdown().await.unwrap();
        };
        let (_, read) = tokio::join!(sending, client.read_to_end(&mut answer));
        read.unwrap();
        assert_eq!(answer.len(), 100_000);
        running.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn ends_when_both_are_silent_but_not_while_one_speaks() {
        let (mut client, near) = tokio::io::duplex(64);
        let (far, mut server) = tokio::io::duplex(64);
        let idle = Duration::from_millis(500);
        let running = tokio::spawn(relay(near, far, idle));
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            client.write_all(b"ping").await.unwrap();
            let mut got = [0; 4];
            server.read_exact(&mut got).await.unwrap();
        }
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
