//! The HTTP server: connections, bodies and times within bounds.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tonic::Code;

use super::answer::{refuse, Rest};
use crate::{
    limit::{self, Connection},
    metrics::Interface,
    query::MAX_REQUEST,
    services::Services,
};

/// Largest body in bytes: the largest request in base64, with room.
const MAX_BODY: usize = 2 * MAX_REQUEST;

/// Largest head of a request in bytes.
const MAX_HEAD: usize = 64 << 10;

/// How long a call may take, its body's coming too.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may be without a whole head, between two calls too.
const IDLE: Duration = Duration::from_secs(30);

/// What the operator decides.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Connections at a time.
    pub max_connections: usize,
    /// Whether pages of any origin may call from a browser.
    pub cors: bool,
}

/// The REST server of a node.
pub struct Server {
    rest: Arc<Rest>,
    max_connections: usize,
}

/// Binds the address of a server.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("REST address {address}"))
}

impl Server {
    /// A server of these services.
    pub fn new(services: Arc<Services>, options: Options) -> Result<Self> {
        let rest = Arc::new(Rest::new(services, options.cors)?);
        Ok(Self { rest, max_connections: options.max_connections })
    }

    /// Serves until the listener fails.
    pub async fn serve(self, listener: TcpListener) -> Result<()> {
        tracing::info!(address = %listener.local_addr()?, "REST listens");
        let mut connections = limit::connections(listener, self.max_connections, Interface::Rest);
        while let Some(connection) = connections.next().await {
            tokio::spawn(serve_connection(Arc::clone(&self.rest), connection?));
        }
        Err(io::Error::other("no more connections are accepted").into())
    }
}

async fn serve_connection(rest: Arc<Rest>, connection: Connection) {
    let serve = service_fn(move |request| {
        let rest = Arc::clone(&rest);
        async move { Ok::<_, Infallible>(serve(&rest, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(connection), serve)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a REST connection broke off");
    }
}

async fn serve(rest: &Rest, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let answer = async {
        match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => rest.answer(&head, body.to_bytes()).await,
            Err(_) => {
                let text = format!("the body does not come whole, or has over {MAX_BODY} bytes");
                refuse(StatusCode::PAYLOAD_TOO_LARGE, Code::OutOfRange, &text)
            }
        }
    };
    tokio::time::timeout(TIMEOUT, answer).await.unwrap_or_else(|_| {
        let text = format!("no answer within {} seconds", TIMEOUT.as_secs());
        refuse(StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded, &text)
    })
}
