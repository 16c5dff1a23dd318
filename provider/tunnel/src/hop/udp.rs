//! Datagrams over a hop: each with its length (two bytes, big-endian) before
//! it, one connection a flow. Both ends carry in the same way.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;

/// A flow without a datagram ends; longer than those at the front's side.
pub(super) const IDLE: Duration = Duration::from_secs(600);
const DATAGRAM: usize = 65_535;

/// Carries datagrams between a socket that is connected and a stream, until
/// one of them fails or ends, or both are silent.
pub(super) async fn carry(
    stream: impl AsyncRead + AsyncWrite,
    socket: UdpSocket,
) -> io::Result<()> {
    let (read, write) = tokio::io::split(stream);
    let into = into_stream(write, &socket);
    let out = out_of_stream(read, &socket);
    tokio::select! {
        result = into => result,
        result = out => result,
    }
}

async fn into_stream(mut stream: impl AsyncWrite + Unpin, socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; 2 + DATAGRAM];
    loop {
        let received = socket.recv(&mut buffer[2..]);
        let count = tokio::time::timeout(IDLE, received).await??;
        let length = u16::try_from(count).map_err(io::Error::other)?;
        buffer[..2].copy_from_slice(&length.to_be_bytes());
        stream.write_all(&buffer[..2 + count]).await?;
        stream.flush().await?;
    }
}

async fn out_of_stream(mut stream: impl AsyncRead + Unpin, socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let reading = stream.read_u16();
        let count = usize::from(tokio::time::timeout(IDLE, reading).await??);
        stream.read_exact(&mut buffer[..count]).await?;
        match socket.send(&buffer[..count]).await {
            // The workload does not listen (yet): a datagram is lost, as UDP may.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            other => drop(other?),
        }
    }
}

/// Two sockets of this host that hear nobody but each other.
pub(super) async fn pair() -> io::Result<(UdpSocket, UdpSocket)> {
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    near.connect(far.local_addr()?).await?;
    far.connect(near.local_addr()?).await?;
    Ok((near, far))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn datagrams_keep_their_borders_both_ways() {
        let (front, front_inner) = pair().await.unwrap();
        let (workload_inner, workload) = pair().await.unwrap();
        let (here, there) = tokio::io::duplex(256 << 10);
        tokio::spawn(carry(here, front_inner));
        tokio::spawn(carry(there, workload_inner));
        let large = vec![b'x'; 60_000];
        for datagram in [&b"one"[..], b"", &large] {
            front.send(datagram).await.unwrap();
            let mut got = vec![0; DATAGRAM];
            let count = workload.recv(&mut got).await.unwrap();
            assert_eq!(&got[..count], datagram);
            workload.send(&got[..count]).await.unwrap();
            let count = front.recv(&mut got).await.unwrap();
            assert_eq!(&got[..count], datagram);
        }
    }
}
