//! A connection to an instance, wherever it runs: here, by its link
//! container's namespace, or on another machine of the provider, by that
//! machine's relay.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::client::TlsStream;

use crate::hop::{HopDialer, Wanted};
use crate::netns::Dialer;
use crate::routes::Target;

/// Connects to targets.
#[derive(Clone)]
pub(crate) struct Reach {
    dialer: Dialer,
    hops: HopDialer,
}

/// Bytes to and from an instance.
pub(crate) enum InstanceStream {
    Here(TcpStream),
    Elsewhere(Box<TlsStream<TcpStream>>),
}

impl Reach {
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self { dialer, hops: HopDialer::default() }
    }

    pub(crate) async fn connect(
        &self,
        target: &Target,
        deadline: Duration,
    ) -> io::Result<InstanceStream> {
        let Some(hop) = &target.hop else {
            let stream = self.dialer.connect(&target.netns, target.address, deadline).await?;
            return Ok(InstanceStream::Here(stream));
        };
        let wanted =
            Wanted::Instance { instance: target.instance.clone(), port: target.address.port() };
        let stream = self.hops.connect(hop, &wanted, deadline).await?;
        Ok(InstanceStream::Elsewhere(Box::new(stream)))
    }
}

impl Reach {
    /// A socket for one flow of datagrams with the target's port.
    pub(crate) async fn udp(&self, target: &Target, deadline: Duration) -> io::Result<UdpSocket> {
        match &target.hop {
            None => self.dialer.udp(&target.netns, target.address).await,
            Some(hop) => {
                self.hops.udp(hop, &target.instance, target.address.port(), deadline).await
            }
        }
    }
}

impl InstanceStream {
    /// The connection underneath, to the instance or to its machine.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Here(stream) => stream,
            Self::Elsewhere(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for InstanceStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Here(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Elsewhere(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for InstanceStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Here(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Elsewhere(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Here(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Self::Elsewhere(stream) => {
                Pin::new(stream.as_mut()).poll_write_vectored(context, bytes)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Here(stream) => stream.is_write_vectored(),
            Self::Elsewhere(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Here(stream) => Pin::new(stream).poll_flush(context),
            Self::Elsewhere(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Here(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Elsewhere(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
