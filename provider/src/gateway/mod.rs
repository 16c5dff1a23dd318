//! What tenants call: gRPC and REST over TLS 1.3, both ends checked against
//! the chain.

// `tonic::Status` is what the calls must answer with, whatever its size.
#![allow(clippy::result_large_err)]

mod auth;
mod blobs;
mod caller;
mod connections;
mod door;
mod events;
mod leases;
mod logs;
mod manifests;
mod providers;
mod quota;
mod rest;
mod screen;
mod secrets;
mod service;
mod sessions;
mod tenant_service;
#[cfg(test)]
mod tests;
mod tunnels;

use std::sync::Arc;

use stoa_swarm::Swarm;
use tokio::sync::Notify;

use crate::bidding::{Capacity, Screener};
use crate::chain::{ChainReads, Views};
use crate::config::Config;
use crate::overlay::Overlay;
use crate::reconcile::Board;
use crate::runtime::Backend;
use crate::secrets::Secrets;
use crate::store::{BlobStore, ManifestStore};

pub use caller::{Caller, Peer, ProviderCaller};
pub use door::{serve, Certificates, Place};
pub use providers::{Providers, RawService};
pub use rest::Route;
pub use service::GatewayService;

/// What the gateway works with.
pub struct Context {
    pub config: Arc<Config>,
    /// The provider's address.
    pub provider: String,
    pub reads: Arc<dyn ChainReads>,
    pub views: Views,
    pub capacity: tokio::sync::watch::Receiver<Option<Capacity>>,
    pub screener: Arc<Screener>,
    pub backend: Arc<dyn Backend>,
    pub manifests: Arc<ManifestStore>,
    pub blobs: Arc<BlobStore>,
    pub board: Arc<Board>,
    pub secrets: Arc<Secrets>,
    pub overlay: Arc<Overlay>,
    /// Serves on what tenants upload.
    pub swarm: Swarm,
    /// Wakes the reconciler.
    pub wake: Arc<Notify>,
    /// What else is spoken on the port, with other providers.
    pub raw: Vec<Arc<dyn RawService>>,
}
