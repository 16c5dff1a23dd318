//! A workload's connection and a tunnel's, joined until both directions have
//! ended. One direction's end is passed on and leaves the other open; a break
//! is passed on as a break, never as an end.

use std::io::{self, IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::ReadHalf;

use super::tls::{Incoming, Outgoing, Session, Slots, Source};
use crate::reach::InstanceStream;

/// A workload that is gone without a word is noticed after two minutes or so.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Contents written at once.
const PIECES: usize = 32;

/// The workloads' own bytes.
#[derive(Default)]
pub(super) struct Traffic {
    pub(super) from_peer: AtomicU64,
    pub(super) to_peer: AtomicU64,
}

/// Joins them.
pub(super) async fn relay(
    plain: &mut InstanceStream,
    session: &mut Session,
    traffic: &Traffic,
) -> io::Result<()> {
    let socket = SockRef::from(plain.tcp());
    let _ = socket.set_tcp_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let (to_peer, from_peer) = session.split();
    match plain {
        InstanceStream::Here(stream) => {
            let (reader, writer) = stream.split();
            tokio::try_join!(
                send(reader, to_peer, &traffic.to_peer),
                receive(from_peer, writer, &traffic.from_peer)
            )?;
        }
        InstanceStream::Elsewhere(stream) => {
            let (reader, writer) = tokio::io::split(stream.as_mut());
            tokio::try_join!(
                send(OneByOne(reader), to_peer, &traffic.to_peer),
                receive(from_peer, writer, &traffic.from_peer)
            )?;
        }
    }
    Ok(())
}

/// Whoever closes a workload's connection from now on, its workload learns of a
/// break. Without it the kernel would end the connections of a process that is
/// killed as if all had been said.
pub(super) fn break_on_close(plain: &InstanceStream) {
    let _ = SockRef::from(plain.tcp()).set_linger(Some(Duration::ZERO));
}

/// A close is an end again.
pub(super) fn end_on_close(plain: &InstanceStream) {
    let _ = SockRef::from(plain.tcp()).set_linger(None);
}

async fn send<R: Source>(mut from: R, mut to: Outgoing<'_>, counter: &AtomicU64) -> io::Result<()> {
    let mut slots = Slots::default();
    loop {
        let count = to.pass(&mut from, &mut slots).await?;
        if count == 0 {
            return to.finish().await;
        }
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

async fn receive(
    mut from: Incoming<'_>,
    mut to: impl AsyncWrite + Unpin,
    counter: &AtomicU64,
) -> io::Result<()> {
    let mut contents = Vec::new();
    loop {
        let ended = from.receive_all(&mut contents).await?;
        for some in contents.chunks(PIECES) {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            for (piece, range) in pieces.iter_mut().zip(some) {
                *piece = IoSlice::new(from.content(range));
            }
            let mut left = &mut pieces[..some.len()];
            while !left.is_empty() {
                let count = to.write_vectored(left).await?;
                if count == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                counter.fetch_add(count as u64, Ordering::Relaxed);
                IoSlice::advance_slices(&mut left, count);
            }
        }
        // The hop to another machine may hold bytes back until it is asked.
        to.flush().await?;
        if ended {
            return to.shutdown().await;
        }
    }
}

impl Source for ReadHalf<'_> {
    const MANY: bool = true;

    async fn readable(&mut self) -> io::Result<()> {
        ReadHalf::readable(self).await
    }

    async fn take(&mut self, into: &mut [u8]) -> io::Result<usize> {
        AsyncReadExt::read(self, into).await
    }

    fn try_read_many(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.try_read_vectored(into)
    }
}

/// A stream that is read piece by piece.
struct OneByOne<R>(R);

impl<R: AsyncRead + Unpin + Send> Source for OneByOne<R> {
    const MANY: bool = false;

    async fn readable(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn take(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).await
    }

    fn try_read_many(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
