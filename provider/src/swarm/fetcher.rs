//! Fetches what own live leases lack: the manifest, then the blobs of the
//! groups leased here. What comes goes where a tenant's upload goes, and wakes
//! the reconciler as that does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context as _};
use sha2::{Digest, Sha256};
use stoa_client::convert::check_group;
use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::gateway::v1::EventKind;
use stoa_manifest::{Blob, Manifest, MAX_CANONICAL_BYTES};
use stoa_swarm::{Hash, Holding, Progress, Swarm, Wanted};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::meters::Meters;
use super::Members;
use crate::chain::{LeaseView, View, Views};
use crate::overlay::check_connections;
use crate::reconcile::Board;
use crate::store::{BlobStore, ManifestStore, StoredManifest};
use crate::transfers::Kind;

/// Between looks while something is missing.
const LOOK: Duration = Duration::from_millis(300);
/// Between looks while nothing is.
const REST: Duration = Duration::from_secs(5);
/// Between questions who takes part.
const ASK_CHAIN: Duration = Duration::from_secs(5);
/// After a refusal of this provider's own (a quota, a full disk).
const AGAIN: Duration = Duration::from_secs(60);

/// What the fetcher works with.
pub struct FetcherParts {
    pub swarm: Swarm,
    pub members: Arc<Members>,
    pub views: Views,
    pub manifests: Arc<ManifestStore>,
    pub blobs: Arc<BlobStore>,
    pub board: Arc<Board>,
    /// Wakes the reconciler.
    pub wake: Arc<Notify>,
    /// Of all blobs of one deployment.
    pub max_deployment_bytes: u64,
}

/// See the module.
pub struct Fetcher {
    parts: FetcherParts,
    meters: Meters,
    deployments: HashMap<String, State>,
}

/// What is remembered of a deployment.
#[derive(Default)]
struct State {
    asked_chain: Option<Instant>,
    /// Bytes that were told to the transfers, by root and peer.
    told: HashMap<(Hash, String), u64>,
    /// A version whose manifest is no good for the leases here.
    refused: Option<String>,
    /// Roots that are not begun before then.
    rests: HashMap<Hash, Instant>,
    /// Peers are known to the engine.
    active: bool,
}

/// A deployment's live leases here.
type Leases<'a> = BTreeMap<String, Vec<&'a LeaseView>>;

impl Fetcher {
    pub fn new(parts: FetcherParts) -> Self {
        Self { parts, meters: Meters::default(), deployments: HashMap::new() }
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        let mut views = self.parts.views.clone();
        loop {
            let view = views.borrow_and_update().clone();
            let missing = match view {
                Some(view) => self.look(&view).await,
                None => false,
            };
            self.meters.update(self.parts.swarm.counters());
            let pause = if missing { LOOK } else { REST };
            if let Ok(Err(_)) = timeout(pause, views.changed()).await {
                return;
            }
            if missing {
                // Views come with each block: that is no reason to look more often.
                tokio::time::sleep(LOOK / 3).await;
            }
        }
    }

    /// Goes on with everything that is missing. Whether anything is.
    async fn look(&mut self, view: &View) -> bool {
        let mut live = Leases::new();
        for lease in view.leases.values() {
            live.entry(deployment_of(&lease.id).text()).or_default().push(lease);
        }
        let over: Vec<String> =
            self.deployments.keys().filter(|name| !live.contains_key(*name)).cloned().collect();
        over.iter().for_each(|name| self.leave(name));
        let mut missing = false;
        for (name, leases) in &live {
            missing |= match self.deployment(name, leases).await {
                Ok(missing) => missing,
                Err(error) => {
                    tracing::warn!(deployment = %name, "from other providers: {error:#}");
                    true
                }
            };
        }
        let needed: BTreeSet<String> =
            live.values().flatten().flat_map(|l| self.needs(l)).collect();
        for root in self.parts.blobs.fetching() {
            if !needed.contains(root.to_hex().as_str()) {
                self.parts.blobs.end_fetch(&root);
            }
        }
        missing
    }

    fn leave(&mut self, name: &str) {
        self.deployments.remove(name);
        self.parts.swarm.leave(name);
    }

    fn needs(&self, lease: &LeaseView) -> Vec<String> {
        let of = deployment_of(&lease.id).text();
        let stored = self.parts.manifests.get(&of, &lease.version()).ok().flatten();
        let blobs = stored.map(|stored| own_blobs(&stored.manifest, &[lease])).unwrap_or_default();
        blobs.iter().map(|blob| blob.root.to_hex().to_string()).collect()
    }

    /// Goes on with one deployment. Whether something is missing.
    async fn deployment(&mut self, name: &str, leases: &[&LeaseView]) -> anyhow::Result<bool> {
        let Some(first) = leases.first() else { return Ok(false) };
        let version = first.version();
        let root: Result<[u8; 32], _> = first.deployment.manifest_root.as_slice().try_into();
        let Ok(root) = root.map(Hash::from_bytes) else { return Ok(false) };
        let stored = self.parts.manifests.get(name, &version)?;
        let missing = match &stored {
            None => self.manifest(name, leases, &version, root).await?,
            Some(stored) => {
                self.came_otherwise(name, stored);
                self.blobs(name, leases, stored).await?
            }
        };
        self.tell(name, root, stored.as_deref());
        self.drop_unwanted(name, leases, root, stored.as_deref());
        let state = self.deployments.entry(name.into()).or_default();
        if !missing && state.active {
            state.active = false;
            self.parts.swarm.set_peers(name, []);
        }
        Ok(missing)
    }

    /// Gives up what an update has made pointless.
    fn drop_unwanted(
        &self,
        name: &str,
        leases: &[&LeaseView],
        manifest: Hash,
        stored: Option<&StoredManifest>,
    ) {
        let blobs = stored.map(|stored| own_blobs(&stored.manifest, leases)).unwrap_or_default();
        for progress in self.parts.swarm.progress(name) {
            let root = progress.root;
            let needed = root == manifest || blobs.iter().any(|blob| blob.root == root);
            if progress.wanted && !progress.finished && !needed {
                self.parts.swarm.forget(name, &root);
            }
        }
    }

    /// Tells the engine whom to ask.
    async fn ask_members(&mut self, name: &str) -> anyhow::Result<()> {
        let state = self.deployments.entry(name.into()).or_default();
        let is_due = state.asked_chain.is_none_or(|at| at.elapsed() > ASK_CHAIN);
        if !is_due && state.active {
            return Ok(());
        }
        let peers = self.parts.members.to_ask(name).await?;
        state.asked_chain = Some(Instant::now());
        state.active = true;
        self.parts.swarm.set_peers(name, peers);
        Ok(())
    }

    async fn manifest(
        &mut self,
        name: &str,
        leases: &[&LeaseView],
        version: &str,
        root: Hash,
    ) -> anyhow::Result<bool> {
        let state = self.deployments.entry(name.into()).or_default();
        if state.refused.as_deref() == Some(version) {
            return Ok(false);
        }
        self.ask_members(name).await?;
        let most = MAX_CANONICAL_BYTES as u64;
        let fetch = self.parts.swarm.fetch(name, Wanted::Unsized { root, most });
        let Some(holding) = fetch.holding() else { return Ok(true) };
        let bytes = holding.to_bytes()?;
        if let Err(error) = self.check(&bytes, version, leases) {
            tracing::error!(deployment = %name, %version, "a manifest of no use: {error:#}");
            self.parts.swarm.forget(name, &root);
            self.deployments.entry(name.into()).or_default().refused = Some(version.into());
            return Ok(false);
        }
        let manifest = Manifest::from_canonical(&bytes)?;
        let kept = self.parts.manifests.put(name, &bytes, manifest);
        let stored = kept.context("keeping the manifest")?;
        tracing::info!(deployment = %name, %version, "manifest from other providers");
        self.parts.board.transfers().observe(name, &stored, &self.parts.blobs);
        self.note(leases, &format!("manifest {}… came from other providers", short(version)));
        self.parts.wake.notify_one();
        // Its blobs are begun at once.
        self.tell(name, root, Some(&stored));
        self.blobs(name, leases, &stored).await
    }

    /// As the gateway checks what a tenant sends.
    fn check(&self, bytes: &[u8], version: &str, leases: &[&LeaseView]) -> anyhow::Result<()> {
        let found = hex::encode(Sha256::digest(bytes));
        ensure!(found == version, "its root is that on chain, and its version is {found}");
        let manifest = Manifest::from_canonical(bytes)?;
        for lease in leases {
            let group = manifest.group(&lease.spec.name);
            let group = group.with_context(|| format!("it has no group {}", lease.spec.name))?;
            check_group(group, &lease.spec)
                .map_err(|differences| anyhow::anyhow!("{}", differences.join("; ")))?;
        }
        let groups = leases.iter().map(|lease| lease.spec.name.as_str());
        check_connections(&manifest, groups).map_err(|beyond| anyhow::anyhow!("{beyond}"))?;
        let own = own_blobs(&manifest, leases);
        let sum = own.iter().fold(0_u64, |sum, blob| sum.saturating_add(blob.bytes));
        let most = self.parts.max_deployment_bytes;
        ensure!(sum <= most, "its images and data have {sum} bytes; at most {most} are taken");
        Ok(())
    }

    /// Ends the fetch of a manifest that a tenant has sent meanwhile. Of blobs
    /// what tenants and providers send goes to one place.
    fn came_otherwise(&self, name: &str, stored: &StoredManifest) {
        let is_waited_for = |p: &Progress| p.root == stored.root && p.wanted && !p.finished;
        if !self.parts.swarm.progress(name).iter().any(is_waited_for) {
            return;
        }
        if let Some(holding) = Holding::of_bytes(stored.manifest.canonical_json()) {
            self.parts.swarm.offer(name, &Arc::new(holding));
        }
    }

    async fn blobs(
        &mut self,
        name: &str,
        leases: &[&LeaseView],
        stored: &StoredManifest,
    ) -> anyhow::Result<bool> {
        let mut missing = false;
        for blob in own_blobs(&stored.manifest, leases) {
            if self.parts.blobs.path_of(&blob).is_some() {
                continue;
            }
            missing = true;
            self.ask_members(name).await?;
            let state = self.deployments.entry(name.into()).or_default();
            if state.rests.get(&blob.root).is_some_and(|until| *until > Instant::now()) {
                continue;
            }
            let (store, wanted, of) = (Arc::clone(&self.parts.blobs), blob, name.to_owned());
            let begun = move || store.begin_fetch(&wanted, &of);
            let begun = tokio::task::spawn_blocking(begun).await?;
            let holding = match begun {
                Ok(holding) => holding,
                Err(error) => {
                    state.rests.insert(blob.root, Instant::now() + AGAIN);
                    tracing::warn!(deployment = %name, blob = %blob.root.to_hex(), "{error}");
                    continue;
                }
            };
            let fetch = self.parts.swarm.fetch(name, Wanted::Blob(holding));
            if fetch.holding().is_some() {
                self.parts.blobs.end_fetch(&blob.root);
                let text =
                    format!("blob {}… came from other providers", short(&blob.root.to_hex()));
                tracing::info!(deployment = %name, blob = %blob.root.to_hex(), "blob complete");
                self.note(leases, &text);
                self.parts.wake.notify_one();
            }
        }
        Ok(missing)
    }

    /// Tells how far all is and whom it came from.
    fn tell(&mut self, name: &str, manifest: Hash, stored: Option<&StoredManifest>) {
        let transfers = self.parts.board.transfers();
        let state = self.deployments.entry(name.into()).or_default();
        for progress in self.parts.swarm.progress(name) {
            let root = progress.root.to_hex();
            for (peer, bytes) in &progress.from {
                let told = state.told.entry((progress.root, peer.clone())).or_default();
                // The engine counts anew where it has forgotten a deployment.
                let more = bytes.checked_sub(*told).unwrap_or(*bytes);
                *told = *bytes;
                if more > 0 {
                    transfers.received(name, &root, peer, more);
                }
            }
            let blobs = stored.map(|stored| stored.manifest.blobs()).unwrap_or_default();
            if progress.root == manifest {
                if let Some(size) = progress.size {
                    let complete = stored.is_some();
                    transfers.have(name, Kind::Manifest, &root, size, progress.have, complete);
                }
            } else if let Some(blob) = blobs.iter().find(|blob| blob.root == progress.root) {
                let complete = self.parts.blobs.path_of(blob).is_some();
                transfers.blob(name, blob, progress.have, complete);
            }
        }
    }

    fn note(&self, leases: &[&LeaseView], text: &str) {
        for lease in leases {
            self.parts.board.events().note(&lease.name, EventKind::Manifest, text);
        }
    }
}

fn short(hex: &str) -> &str {
    hex.get(..12).unwrap_or(hex)
}

/// What the groups leased here run, each blob once.
fn own_blobs(manifest: &Manifest, leases: &[&LeaseView]) -> Vec<Blob> {
    let groups = leases.iter().filter_map(|lease| manifest.group(&lease.spec.name));
    let mut blobs: Vec<Blob> = vec![];
    for blob in groups.flat_map(|group| group.blobs()) {
        if !blobs.contains(&blob) {
            blobs.push(blob);
        }
    }
    blobs
}
