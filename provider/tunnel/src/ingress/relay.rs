//! Bytes both ways after an upgrade, until one side ends or both are silent.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{split, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{timeout_at, Instant};

const BUFFER_BYTES: usize = 16 << 10;

/// Copies until both directions have ended, or none carried a byte for the
/// idle time.
pub(super) async fn relay<A, B>(one: A, other: B, idle: Duration) -> io::Result<()>
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
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let latest = *last.lock().unwrap_or_else(PoisonError::into_inner);
        match timeout_at(latest + idle, from.read(&mut buffer)).await {
            Ok(Ok(0)) => return to.shutdown().await,
            Ok(Ok(read)) => {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                to.write_all(&buffer[..read]).await?;
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
