//! Who takes part in a deployment, and what of it is here.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::market::v1::{Lease, LeaseState};
use stoa_client::proto::types::v1::{BidId, DeploymentId};
use stoa_swarm::{Access, Dial, Hash, Holding, Rights, Stream, ALPN};

use super::service::tune;
use crate::chain::{ChainReads, Views};
use crate::peers::Peers;
use crate::store::{BlobStore, LeaseStore, ManifestStore};

/// How long an answer of the chain is believed, and how long where the chain
/// cannot be observed.
const BELIEVED: Duration = Duration::from_secs(3);
const BELIEVED_BLIND: Duration = Duration::from_secs(300);
/// Deployments whose members are remembered.
const MAX_KNOWN: usize = 1024;

/// What is needed to tell.
pub struct Parts {
    pub own: String,
    pub reads: Arc<dyn ChainReads>,
    pub views: Views,
    pub peers: Arc<Peers>,
    pub manifests: Arc<ManifestStore>,
    pub blobs: Arc<BlobStore>,
    pub leases: Arc<LeaseStore>,
    /// How long a provider serves after its lease's end, in seconds.
    pub keep_seconds: u64,
}

/// The members of this provider's deployments.
pub struct Members {
    parts: Arc<Parts>,
    known: Mutex<HashMap<String, (Instant, Arc<Known>)>>,
}

/// What the chain says of a deployment.
#[derive(Debug, Default)]
struct Known {
    /// Providers with a live lease.
    live: BTreeSet<String>,
    /// Providers whose lease closed not long ago, and who have no other.
    keepers: BTreeSet<String>,
}

impl Members {
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), known: Mutex::default() }
    }

    /// Providers that can be asked for a deployment's manifest and blobs: with
    /// a live lease, or with one that closed not long ago.
    ///
    /// # Errors
    /// Where the chain cannot be observed.
    pub async fn to_ask(&self, deployment: &str) -> stoa_client::Result<BTreeSet<String>> {
        let known = self.look(deployment, BELIEVED).await?;
        let all = known.live.union(&known.keepers);
        Ok(all.filter(|provider| **provider != self.parts.own).cloned().collect())
    }

    async fn look(&self, deployment: &str, believed: Duration) -> stoa_client::Result<Arc<Known>> {
        let before = self.known().get(deployment).cloned();
        if let Some((_, known)) = before.as_ref().filter(|(at, _)| at.elapsed() < believed) {
            return Ok(Arc::clone(known));
        }
        match self.ask(deployment).await {
            Ok(known) => {
                let known = Arc::new(known);
                let mut all = self.known();
                if all.len() >= MAX_KNOWN {
                    all.retain(|_, (at, _)| at.elapsed() < BELIEVED);
                }
                all.insert(deployment.into(), (Instant::now(), Arc::clone(&known)));
                Ok(known)
            }
            // A chain that cannot be observed changes nothing, for a while.
            Err(error) => match before.filter(|(at, _)| at.elapsed() < BELIEVED_BLIND) {
                Some((_, known)) => Ok(known),
                None => Err(error),
            },
        }
    }

    async fn ask(&self, deployment: &str) -> stoa_client::Result<Known> {
        let id = DeploymentId::parse(deployment)?;
        let reads = &self.parts.reads;
        let all = reads.all_leases_of(&id).await?;
        let (closed, live): (Vec<Lease>, Vec<Lease>) =
            all.into_iter().partition(|lease| lease.state() == LeaseState::Closed);
        let live: BTreeSet<String> = live.into_iter().filter_map(provider_of).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let since = now.saturating_sub(self.parts.keep_seconds);
        let recent = closed.into_iter().filter(|lease| lease.closed_at >= since);
        let keepers = recent.filter_map(provider_of).filter(|name| !live.contains(name)).collect();
        Ok(Known { live, keepers })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, (Instant, Arc<Known>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    /// A blob or manifest of a deployment that is, or was, leased here.
    fn find(&self, deployment: &str, root: &Hash) -> io::Result<Option<Arc<Holding>>> {
        for version in self.versions(deployment) {
            let Some(stored) = self.manifests.get(deployment, &version)? else { continue };
            if stored.root == *root {
                let bytes = stored.manifest.canonical_json();
                return Ok(Holding::of_bytes(bytes).map(Arc::new));
            }
            if let Some(blob) = stored.manifest.blobs().iter().find(|blob| blob.root == *root) {
                return self.blobs.held(blob);
            }
        }
        Ok(None)
    }

    /// The versions that leases here want, run, or ran.
    fn versions(&self, deployment: &str) -> BTreeSet<String> {
        let mut versions = BTreeSet::new();
        if let Some(view) = self.views.borrow().as_ref() {
            let own = view.leases.values().filter(|l| deployment_of(&l.id).text() == deployment);
            versions.extend(own.map(|lease| lease.version()));
        }
        let is_of_it = |lease: &str| {
            BidId::parse(lease).is_ok_and(|id| deployment_of(&id).text() == deployment)
        };
        for record in self.leases.all() {
            if is_of_it(&record.lease) {
                versions.extend(record.accepted);
                versions.extend(record.serving);
            }
        }
        versions
    }
}

fn provider_of(lease: Lease) -> Option<String> {
    Some(lease.id?.provider)
}

#[async_trait]
impl Access for Members {
    async fn rights(&self, deployment: &str, peer: &str) -> Option<Rights> {
        let warn = |error: &stoa_client::Error| tracing::warn!(%deployment, "members: {error}");
        let mut known = self.look(deployment, BELIEVED).await.inspect_err(warn).ok()?;
        if !known.live.contains(peer) {
            // It may have won its lease a moment ago.
            known = self.look(deployment, Duration::ZERO).await.inspect_err(warn).ok()?;
        }
        // Of a deployment that is none of this provider's, nobody is a member.
        let is_member = |name: &str| known.live.contains(name) || known.keepers.contains(name);
        let both = is_member(&self.parts.own) && is_member(peer);
        both.then(|| Rights { may_fetch: known.live.contains(peer) })
    }

    async fn holding(&self, deployment: &str, root: &Hash) -> Option<Arc<Holding>> {
        let (parts, of, root) = (Arc::clone(&self.parts), deployment.to_owned(), *root);
        let found = tokio::task::spawn_blocking(move || parts.find(&of, &root)).await;
        found.unwrap_or_else(|panic| Err(io::Error::other(panic))).unwrap_or_else(|error| {
            tracing::error!(%deployment, root = %root.to_hex(), "looking for it: {error}");
            None
        })
    }
}

#[async_trait]
impl Dial for Members {
    async fn dial(&self, peer: &str) -> io::Result<Box<dyn Stream>> {
        let stream = self.parts.peers.stream(peer, ALPN).await.map_err(io::Error::other)?;
        tune(stream.get_ref().0);
        Ok(Box::new(stream))
    }
}
