//! Accepting connections: plain ones and those over TLS, HTTP/1.1 and HTTP/2.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{watch, OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use super::forward::{handle, ClientSide};
use super::io::WriteTimeout;
use super::Ingress;
use crate::slots::Slot;

/// A failing accept (no more descriptors) is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What hyper asks of a buffer.
const LEAST_BUFFER: usize = 8192;
/// Requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// A client of HTTP/2 is asked so often whether it is there.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);
const HTTP_2: &[u8] = b"h2";

/// Serves a port until told to end; connections under way go on.
pub(crate) async fn serve(
    listener: TcpListener,
    ingress: Arc<Ingress>,
    mut ending: watch::Receiver<bool>,
    tls: Option<TlsAcceptor>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &ingress.places) => accepted,
            () = ended(&mut ending) => return,
        };
        let Some((stream, peer, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let most = ingress.limits.connections_per_client;
        let Some(slot) = Slot::take(&ingress.clients, peer.ip(), most, place) else {
            tracing::debug!(%peer, "this client has too many connections open");
            continue;
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let client = ClientSide { peer, scheme, slot: Arc::new(slot) };
        let connection =
            Connection { client, ingress: Arc::clone(&ingress), ending: ending.clone() };
        tokio::spawn(connection.run(stream, tls.clone()));
    }
}

/// Waits until no connection is left, or the drain's time is over.
pub(crate) async fn drain(ingress: &Ingress) {
    let all = u32::try_from(ingress.limits.connections).unwrap_or(u32::MAX);
    // Not all slots come back in time where a client holds on to an upgrade.
    let _ = tokio::time::timeout(ingress.limits.drain, ingress.places.acquire_many(all)).await;
}

/// Returns when the process is told to end.
async fn ended(ending: &mut watch::Receiver<bool>) {
    // A sender that is gone tells the same.
    let _ = ending.wait_for(|ending| *ending).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            None
        }
    }
}

/// One client connection, with all its requests.
struct Connection {
    client: ClientSide,
    ingress: Arc<Ingress>,
    ending: watch::Receiver<bool>,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let (ingress, peer) = (Arc::clone(&self.ingress), self.client.peer);
        ingress.counters.connections.add();
        let _ = stream.set_nodelay(true);
        let stream = WriteTimeout::new(stream, ingress.limits.write_timeout);
        let result = match tls {
            None => self.http1(stream).await.map_err(io::Error::other),
            Some(tls) => self.https(stream, tls).await,
        };
        if let Err(error) = result {
            tracing::debug!(%peer, %error, "a client's connection ended");
        }
        ingress.counters.closed.add();
    }

    async fn https(self, stream: WriteTimeout<TcpStream>, tls: TlsAcceptor) -> io::Result<()> {
        let limit = self.ingress.limits.handshake_timeout;
        let stream = tokio::time::timeout(limit, tls.accept(stream)).await??;
        match stream.get_ref().1.alpn_protocol() {
            Some(HTTP_2) => self.http2(stream).await.map_err(io::Error::other),
            _ => self.http1(stream).await.map_err(io::Error::other),
        }
    }

    async fn http1<S>(mut self, stream: S) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.ingress.limits;
        let service = service_fn(|request| {
            let (ingress, client) = (Arc::clone(&self.ingress), self.client.clone());
            async move { Ok::<_, Infallible>(handle(ingress, client, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_headers(limits.headers)
            .max_header_size(limits.head_bytes)
            .max_buf_size(limits.head_bytes.max(LEAST_BUFFER))
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            result = connection.as_mut() => result,
            () = ended(&mut self.ending) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }

    async fn http2<S>(mut self, stream: S) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.ingress.limits;
        let requests = AtomicU64::new(0);
        let service = service_fn(|request| {
            requests.fetch_add(1, Ordering::Relaxed);
            let (ingress, client) = (Arc::clone(&self.ingress), self.client.clone());
            async move { Ok::<_, Infallible>(handle(ingress, client, request).await) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let (mut seen, mut closing) = (0, false);
        loop {
            tokio::select! {
                result = connection.as_mut() => return result,
                () = ended(&mut self.ending), if !closing => closing = true,
                () = tokio::time::sleep(limits.http2_idle), if !closing => {
                    // Answers under way may finish.
                    let now = requests.load(Ordering::Relaxed);
                    closing = now == seen;
                    seen = now;
                }
            }
            if closing {
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
