//! How much of each deployment's manifest and blobs is here, and whom it came
//! from: for the tenant's and the operator's status, not for decisions.
//!
//! Whoever takes bytes in says so here: [`Transfers::have`] how far a payload
//! is, [`Transfers::received`] who sent what. It is kept in a file beside, so
//! that "from whom" outlives the daemon and `stoa-provider status` can read it.

mod file;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoa_client::proto::gateway::v1::Payload;
use stoa_manifest::Blob;
use tokio::sync::watch;

pub use file::{keep, read, FILE};
pub use record::{Kind, Record};

use crate::store::{BlobStore, StoredManifest};

/// Payloads remembered of one deployment.
const MAX_PAYLOADS: usize = 512;
/// Changes are told in so many steps of a payload.
const STEPS: u64 = 64;

/// The payloads of a deployment, by root.
pub(super) type Payloads = BTreeMap<String, Record>;
/// All of them, by deployment as text.
pub(super) type All = BTreeMap<String, Payloads>;

/// What is known of all deployments' payloads.
#[derive(Debug)]
pub struct Transfers {
    known: Mutex<All>,
    changes: watch::Sender<u64>,
}

impl Default for Transfers {
    fn default() -> Self {
        Self { known: Mutex::default(), changes: watch::channel(0).0 }
    }
}

impl Transfers {
    /// Through which changes are told; the board's are told so, too.
    pub(crate) fn teller(&self) -> watch::Sender<u64> {
        self.changes.clone()
    }

    /// Counts changes that are worth telling.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How far a payload is. `root` is lower-case hex, `have` counts verified
    /// bytes; `have == size` alone does not make it complete.
    pub fn have(
        &self,
        deployment: &str,
        kind: Kind,
        root: &str,
        size: u64,
        have: u64,
        complete: bool,
    ) {
        let told = self.change(deployment, root, |record| {
            let before = (record.step(), record.complete, record.size);
            (record.kind, record.size, record.complete) = (kind, size, complete);
            record.have = have;
            before != (record.step(), record.complete, record.size)
        });
        if told {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// That a peer (an address) sent bytes which were kept.
    pub fn received(&self, deployment: &str, root: &str, peer: &str, bytes: u64) {
        self.change(deployment, root, |record| {
            record.received(peer, bytes);
            false
        });
    }

    /// For the status of a deployment's leases: the manifest, then blobs.
    pub fn payloads(&self, deployment: &str) -> Vec<Payload> {
        let known = self.known();
        let mut records: Vec<_> = known.get(deployment).into_iter().flatten().collect();
        records.sort_by_key(|(root, record)| (record.kind, root.as_str()));
        records.into_iter().map(|(root, record)| record.shown(root)).collect()
    }

    /// What the stores have of a manifest and all its blobs; what the
    /// deployment no longer names is forgotten.
    pub fn observe(&self, deployment: &str, stored: &StoredManifest, blobs: &Arc<BlobStore>) {
        let root = stored.root.to_hex();
        let named = stored.manifest.blobs();
        let keep = |known: &str| {
            known == root.as_str() || named.iter().any(|b| b.root.to_hex().as_str() == known)
        };
        if let Some(payloads) = self.known().get_mut(deployment) {
            payloads.retain(|known, _| keep(known));
        }
        self.have(deployment, Kind::Manifest, &root, stored.bytes, stored.bytes, true);
        for blob in &named {
            if let Ok(state) = blobs.state(blob) {
                self.blob(deployment, blob, state.have, state.complete);
            }
        }
    }

    /// How far a blob is.
    pub fn blob(&self, deployment: &str, blob: &Blob, have: u64, complete: bool) {
        let root = blob.root.to_hex();
        self.have(deployment, Kind::Blob, &root, blob.bytes, have, complete);
    }

    /// Forgets all deployments but these.
    pub fn retain(&self, live: impl Fn(&str) -> bool) {
        self.known().retain(|deployment, _| live(deployment));
    }

    fn change(
        &self,
        deployment: &str,
        root: &str,
        change: impl FnOnce(&mut Record) -> bool,
    ) -> bool {
        let mut known = self.known();
        if !known.contains_key(deployment) {
            known.insert(deployment.into(), Payloads::new());
        }
        let Some(payloads) = known.get_mut(deployment) else { return false };
        if let Some(record) = payloads.get_mut(root) {
            return change(record);
        }
        payloads.len() < MAX_PAYLOADS && change(payloads.entry(root.into()).or_default())
    }

    fn known(&self) -> MutexGuard<'_, All> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
