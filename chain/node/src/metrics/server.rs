//! `/metrics` and `/health` over HTTP, for the operator's own network.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{header, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

use super::{get, Health};
use crate::app::Machine;

/// Connections at a time; a scraper has one.
const MAX_CONNECTIONS: usize = 32;

/// How long a request's head may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a failed accept (no file descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves this process's metrics.
pub struct Server {
    machine: Arc<Machine>,
    health: Health,
}

/// Binds the address of a server.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("metrics address {address}"))
}

impl Server {
    /// A server of the metrics of this process and of a machine's store.
    pub fn new(machine: Arc<Machine>, health: Health) -> Self {
        get().show_all();
        Self { machine, health }
    }

    /// Serves for as long as the process lives.
    pub async fn serve(self, listener: TcpListener) {
        let server = Arc::new(self);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "metrics connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&server), request));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                // A scraper that goes away is no news.
                let _ = connection.await;
                drop(place);
            });
        }
    }

    fn metrics(&self) -> Vec<u8> {
        let latest = self.machine.latest();
        get().store(self.machine.database().disk_bytes(), latest.oldest());
        get().text()
    }
}

async fn answer(
    server: Arc<Server>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let respond = |status: StatusCode, kind: &'static str, body: Vec<u8>| {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        Ok(response)
    };
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            respond(StatusCode::OK, prometheus::TEXT_FORMAT, server.metrics())
        }
        (&Method::GET, "/health") => {
            let verdict = server.health.look(get()).await;
            let status = match verdict.healthy {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            respond(status, "application/json", serde_json::to_vec(&verdict).unwrap_or_default())
        }
        _ => respond(StatusCode::NOT_FOUND, "text/plain", b"there are /metrics and /health".into()),
    }
}
