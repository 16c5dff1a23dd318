//! gRPC: every call of [`Services`], and reflection of what is served.
//!
//! Unary calls are forwarded by path with their raw bytes, so that a query which the state
//! machine mounts is served here without another line. What is not served answers
//! `Unimplemented`.

#![allow(clippy::result_large_err, reason = "tonic's Status is the error of every call")]

mod codec;
mod service;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tonic::{service::Routes, transport};

use crate::{limit, metrics::Interface, services::Services};

/// Calls at a time on one connection.
const STREAMS_PER_CONNECTION: u32 = 64;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often a silent peer is asked whether it is there, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// The gRPC server of a node.
pub struct Server {
    services: Arc<Services>,
    max_connections: usize,
}

/// Binds the address of a server.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("gRPC address {address}"))
}

impl Server {
    /// A server of these services.
    pub const fn new(services: Arc<Services>, max_connections: usize) -> Self {
        Self { services, max_connections }
    }

    /// Serves until the listener fails.
    pub async fn serve(self, listener: TcpListener) -> Result<()> {
        tracing::info!(address = %listener.local_addr()?, "gRPC listens");
        let reflect = || {
            let all = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(stoa_proto::FILE_DESCRIPTOR_SET);
            self.services.names().into_iter().fold(all, |all, name| all.with_service_name(name))
        };
        let routes = Routes::default()
            .add_service(reflect().build_v1().context("reflection")?)
            .add_service(reflect().build_v1alpha().context("reflection")?)
            .into_axum_router()
            .fallback_service(service::Gateway::new(Arc::clone(&self.services)));
        transport::Server::builder()
            .timeout(TIMEOUT)
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1))
            .add_routes(Routes::from(routes))
            .serve_with_incoming(limit::connections(
                listener,
                self.max_connections,
                Interface::Grpc,
            ))
            .await
            .context("gRPC")
    }
}
