//! The other providers of a deployment: who they are, as the chain says, and
//! connections to them. Each end shows a certificate under the root that the
//! chain records for it, and nothing else is trusted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stoa_client::ids::TextId;
use stoa_client::proto::market::v1::LeaseState;
use stoa_client::proto::provider::v1::Provider;
use stoa_client::proto::types::v1::{BidId, DeploymentId};
use stoa_client::tls::{under_root, Identity};
use stoa_client::{gateway, Result};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::Channel;

use crate::chain::ChainReads;

/// A certificate that is shown to others lives so long.
const LEAF_DAYS: u32 = 30;
/// A connection that is kept is made anew after this, well before the
/// certificate ends that was shown on it.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Connections kept at most.
const MAX_KEPT: usize = 256;

/// A live lease of a deployment at another provider.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerLease {
    pub lease: BidId,
    pub state: LeaseState,
}

impl PeerLease {
    /// The other provider's address.
    pub fn provider(&self) -> &str {
        &self.lease.provider
    }
}

/// The ways to other providers.
pub struct Peers {
    reads: Arc<dyn ChainReads>,
    own: String,
    root: Identity,
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    channel: Channel,
    /// What the chain said of the provider then.
    record: Provider,
    since: Instant,
}

impl Peers {
    /// `own` is this provider's address, `root` its root with the key.
    pub fn new(reads: Arc<dyn ChainReads>, own: &str, root: Identity) -> Self {
        Self { reads, own: own.into(), root, kept: Mutex::default() }
    }

    /// The deployment's live leases at other providers, by their ids.
    ///
    /// # Errors
    /// Where the chain cannot be observed.
    pub async fn of_deployment(&self, id: &DeploymentId) -> Result<Vec<PeerLease>> {
        let leases = self.reads.leases_of(id).await?;
        let mut others: Vec<PeerLease> = leases
            .into_iter()
            .filter_map(|lease| Some(PeerLease { state: lease.state(), lease: lease.id? }))
            .filter(|peer| peer.provider() != self.own)
            .collect();
        others.sort_by_key(|peer| peer.lease.text());
        Ok(others)
    }

    /// A provider's record on chain.
    ///
    /// # Errors
    /// Where the chain cannot be observed, or does not know it.
    pub async fn record(&self, provider: &str) -> Result<Provider> {
        self.reads.other_provider(provider).await
    }

    /// A connection for gRPC, kept while the provider's record stays as it
    /// is.
    ///
    /// # Errors
    /// Where the provider cannot be reached, or is not whom the chain names.
    pub async fn channel(&self, provider: &str) -> Result<Channel> {
        let record = self.record(provider).await?;
        if let Some(kept) = self.kept().get(provider) {
            if kept.record == record && kept.since.elapsed() < KEPT {
                return Ok(kept.channel.clone());
            }
        }
        let channel = gateway::channel(&record, Some(&self.identity()?)).await?;
        let mut kept = self.kept();
        if kept.len() >= MAX_KEPT {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.since);
            if let Some(oldest) = oldest.map(|(provider, _)| provider.clone()) {
                kept.remove(&oldest);
            }
        }
        let one = Kept { channel: channel.clone(), record, since: Instant::now() };
        kept.insert(provider.into(), one);
        Ok(channel)
    }

    /// One connection that speaks the protocol of that name in the
    /// handshake, with [`crate::gateway::RawService`] at the other end.
    ///
    /// # Errors
    /// As for [`Self::channel`].
    pub async fn stream(&self, provider: &str, alpn: &[u8]) -> Result<TlsStream<TcpStream>> {
        let record = self.record(provider).await?;
        gateway::stream(&record, Some(&self.identity()?), alpn).await
    }

    /// A fresh certificate, with the root above it.
    fn identity(&self) -> Result<Identity> {
        under_root(&self.root, &self.own, &[], LEAF_DAYS)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
