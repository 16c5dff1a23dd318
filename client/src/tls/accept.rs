//! A gateway's connections: bounded, and handed out once they have shaken
//! hands.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{mpsc, OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::{server::TlsStream, TlsAcceptor};
use tonic::transport::server::{Connected, TlsConnectInfo};

/// Handshakes under way at once; more wait for their turn.
const MAX_HANDSHAKES: usize = 128;
/// A handshake that takes longer is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Gives handshaken connections; for `tonic`'s `serve_with_incoming`, whose
/// requests then carry the client's certificate in `peer_certs()`.
pub type GatewayAcceptor = mpsc::Receiver<io::Result<Connection>>;

/// Accepts at most `max_connections` at a time and shakes hands on a bounded
/// number at once, so that one slow client holds nobody up. Ends when the
/// receiver is dropped.
pub fn accept_loop(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    max_connections: usize,
) -> GatewayAcceptor {
    let (out, incoming) = mpsc::channel(16);
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        let connections = Arc::new(Semaphore::new(max_connections.max(1)));
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        while !out.is_closed() {
            let Ok(slot) = connections.clone().acquire_owned().await else { return };
            let Ok(shaking) = handshakes.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = out.closed() => return,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Out of descriptors, or the peer went: neither is ours to die of.
                    tracing::warn!("accepting a connection: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (acceptor, out) = (acceptor.clone(), out.clone());
            tokio::spawn(async move {
                let shaken = shake(acceptor, socket, peer).await;
                drop(shaking);
                if let Some(stream) = shaken {
                    let _ = out.send(Ok(Connection { stream, _slot: slot })).await;
                }
            });
        }
    });
    incoming
}

async fn shake(
    acceptor: TlsAcceptor,
    socket: TcpStream,
    peer: SocketAddr,
) -> Option<TlsStream<TcpStream>> {
    let _ = socket.set_nodelay(true);
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(e)) => {
            tracing::debug!("handshake with {peer}: {e}");
            None
        }
        Err(_) => {
            tracing::debug!("handshake with {peer} took over {HANDSHAKE_TIMEOUT:?}");
            None
        }
    }
}

/// A connection and its place among the bounded number of them.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    _slot: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TlsConnectInfo<<TcpStream as Connected>::ConnectInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
