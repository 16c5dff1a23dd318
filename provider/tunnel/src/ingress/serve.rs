//! Accepting connections.
//!
//! `serve_connection` takes any stream: TLS by host name will wrap the
//! accepted one and say `https`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{watch, OwnedSemaphorePermit, Semaphore};

use super::forward::{handle, ClientSide};
use super::io::WriteTimeout;
use super::Ingress;
use crate::slots::{places, ClientCounts, Slot};

/// A failing accept (no more descriptors) is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What hyper asks of a buffer.
const LEAST_BUFFER: usize = 8192;

/// Serves HTTP until told to end, then lets requests under way finish.
pub(crate) async fn serve_http(
    listener: TcpListener,
    ingress: Arc<Ingress>,
    mut ending: watch::Receiver<bool>,
) {
    let places = places(ingress.limits.connections);
    let counts = Arc::new(ClientCounts::default());
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = ended(&mut ending) => break,
        };
        let Some((stream, peer, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let most = ingress.limits.connections_per_client;
        let Some(slot) = Slot::take(&counts, peer.ip(), most, place) else {
            tracing::debug!(%peer, "this client has too many connections open");
            continue;
        };
        let client = ClientSide { peer, scheme: "http", slot: Arc::new(slot) };
        tokio::spawn(serve_connection(stream, client, Arc::clone(&ingress), ending.clone()));
    }
    drop(listener);
    let all = u32::try_from(ingress.limits.connections).unwrap_or(u32::MAX);
    // Not all slots come back in time where a client holds on to an upgrade.
    let _ = tokio::time::timeout(ingress.limits.drain, places.acquire_many(all)).await;
}

/// Returns when the process is told to end.
async fn ended(ending: &mut watch::Receiver<bool>) {
    // A sender that is gone tells the same.
    let _ = ending.wait_for(|ending| *ending).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, SocketAddr, OwnedSemaphorePermit)> {
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
async fn serve_connection<S>(
    stream: S,
    client: ClientSide,
    ingress: Arc<Ingress>,
    mut ending: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    ingress.counters.connections.add();
    let limits = ingress.limits;
    let io = TokioIo::new(WriteTimeout::new(stream, limits.write_timeout));
    let peer = client.peer;
    let service = service_fn(|request| {
        let (ingress, client) = (Arc::clone(&ingress), client.clone());
        async move { Ok::<_, Infallible>(handle(ingress, client, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(LEAST_BUFFER))
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = ended(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "a client's connection ended");
    }
    ingress.counters.closed.add();
}
