//! What the turns of all leases share, and which manifest each lease is to
//! run.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stoa_client::convert::check_group;
use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::gateway::v1::LeasePhase;
use stoa_client::TxQueue;
use stoa_manifest::{Blob, Service};
use tokio::sync::Notify;

use super::clock::Clock;
use super::crashes::Crashes;
use super::images::{ImageEngine, Images};
use super::reconciler::Parts;
use super::{status, Board};
use crate::chain::{ChainReads, LeaseView};
use crate::config::Config;
use crate::failpoint::failpoint;
use crate::runtime::Backend;
use crate::secrets::Secrets;
use crate::store::{BlobStore, LeaseStore, ManifestStore, StoredManifest};

/// What turns share.
pub(super) struct Shared {
    pub config: Arc<Config>,
    pub reads: Arc<dyn ChainReads>,
    pub queue: TxQueue,
    pub backend: Arc<dyn Backend>,
    pub image_engine: Arc<dyn ImageEngine>,
    pub images: Images,
    pub manifests: Arc<ManifestStore>,
    pub blobs: Arc<BlobStore>,
    pub leases: Arc<LeaseStore>,
    pub board: Arc<Board>,
    pub secrets: Arc<Secrets>,
    pub wake: Arc<Notify>,
    state: Mutex<State>,
    crashes: Mutex<Crashes>,
    clock: Mutex<Clock>,
}

/// What is remembered between turns; nothing that a restart must know.
#[derive(Default)]
pub(super) struct State {
    /// Leases whose turn is under way.
    pub busy: HashSet<String>,
    pub failures: HashMap<String, (u32, Instant)>,
    /// Leases that wait for time to pass.
    pub unsettled: HashSet<String>,
    /// Leases that this process started on chain.
    pub started: HashSet<String>,
}

impl Shared {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            config: parts.config,
            reads: parts.reads,
            queue: parts.queue,
            backend: parts.backend,
            image_engine: parts.image_engine,
            images: Images::default(),
            manifests: parts.manifests,
            blobs: parts.blobs,
            leases: parts.leases,
            board: parts.board,
            secrets: parts.secrets,
            wake: parts.wake,
            state: Mutex::default(),
            crashes: Mutex::default(),
            clock: Mutex::default(),
        }
    }

    /// The manifest that a lease is to run: the chain's version once it and
    /// its blobs are here, until then the one accepted last. Posts what is
    /// waited for.
    pub(super) fn accepted(
        &self,
        lease: &LeaseView,
    ) -> anyhow::Result<Option<Arc<StoredManifest>>> {
        let (deployment, wanted) = (deployment_of(&lease.id).text(), lease.version());
        let mut record = self.leases.get(&lease.name);
        if !self.leases.has(&lease.name) {
            record = self.leases.update(&lease.name, |_| {})?;
            tracing::info!(lease = %lease.name, "a new lease");
            failpoint("lease.after_seen");
        }
        if record.rejected.as_ref().is_some_and(|rejected| *rejected != wanted) {
            record = self.leases.update(&lease.name, |record| {
                record.rejected = None;
                record.rejected_because.clear();
            })?;
        }
        let came = self.manifests.get(&deployment, &wanted)?;
        let misfit = came.as_ref().and_then(|stored| misfit(lease, stored));
        let candidate = came.filter(|_| misfit.is_none());
        if let Some(stored) = &candidate {
            self.board.transfers().observe(&deployment, stored, &self.blobs);
            if record.wanted.as_ref() != Some(&wanted) {
                let version = Some(wanted.clone());
                record = self.leases.update(&lease.name, |r| r.wanted = version)?;
            }
        }
        let is_new = record.accepted.as_ref() != Some(&wanted);
        if let (Some(stored), true, false) =
            (&candidate, is_new, record.rejected.as_ref() == Some(&wanted))
        {
            let waits = match self.missing_blob(lease, stored)? {
                Some(why) => Some((LeasePhase::AwaitingBlobs, why)),
                None => self.missing_secrets(lease, stored),
            };
            match (waits, &record.accepted) {
                (None, _) => {
                    record =
                        self.leases.update(&lease.name, |r| r.accepted = Some(wanted.clone()))?;
                    failpoint("lease.after_accept");
                }
                (Some((phase, why)), None) => {
                    self.board.post(&lease.name, status::bare(&lease.id, phase, why));
                }
                (Some(_), Some(_)) => {}
            }
        }
        match &record.accepted {
            Some(version) => Ok(self.manifests.get(&deployment, version)?),
            None if candidate.is_some() => Ok(None),
            None => {
                let phase = LeasePhase::AwaitingManifest;
                let text = misfit.unwrap_or(format!("send the manifest of version {wanted}"));
                self.board.post(&lease.name, status::bare(&lease.id, phase, text));
                Ok(None)
            }
        }
    }

    /// What is still to come of the blobs of the lease's own group.
    fn missing_blob(
        &self,
        lease: &LeaseView,
        stored: &StoredManifest,
    ) -> anyhow::Result<Option<String>> {
        let group = stored.manifest.group(&lease.spec.name);
        for service in group.into_iter().flat_map(|group| &group.services) {
            for blob in service.blobs() {
                let state = self.blobs.state(&blob)?;
                if !state.complete {
                    return Ok(Some(format!(
                        "send {}: {} of {} bytes are here",
                        what_it_is(service, &blob),
                        state.have,
                        blob.bytes
                    )));
                }
            }
        }
        Ok(None)
    }

    /// The secrets of the lease's own group that are still to come.
    fn missing_secrets(
        &self,
        lease: &LeaseView,
        stored: &StoredManifest,
    ) -> Option<(LeasePhase, String)> {
        let group = stored.manifest.group(&lease.spec.name)?;
        let id = deployment_of(&lease.id);
        let missing = self.secrets.missing(&id, &stored.version, group);
        let first = missing.first()?;
        let words = format!(
            "secrets are missing: {}; keep each with `stoa secret set {first}`, then `stoa secret \
             send {}`",
            missing.join(", "),
            lease.id.dseq
        );
        Some((LeasePhase::AwaitingSecrets, words))
    }

    pub(super) fn is_started(&self, lease: &str) -> bool {
        self.state().started.contains(lease)
    }

    pub(super) fn note_started(&self, lease: &str) {
        self.state().started.insert(lease.into());
    }

    pub(super) fn is_resting(&self, lease: &str) -> bool {
        self.state().failures.get(lease).is_some_and(|(_, until)| *until > Instant::now())
    }

    /// Whether the lease's last turn failed.
    pub(super) fn has_failed(&self, lease: &str) -> bool {
        self.state().failures.contains_key(lease)
    }

    /// When the first lease that failed may be tried again.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.state().failures.values().map(|(_, until)| *until).min()
    }

    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state();
        state.busy.is_empty() && state.unsettled.is_empty()
    }

    pub(super) fn crashes(&self) -> MutexGuard<'_, Crashes> {
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a manifest has that the lease was not sold. It was compared when it
/// came, with the leases that were here then.
fn misfit(lease: &LeaseView, stored: &StoredManifest) -> Option<String> {
    let name = &lease.spec.name;
    let differences = match stored.manifest.group(name) {
        None => format!("it has no group {name}"),
        Some(group) => check_group(group, &lease.spec).err()?.join("; "),
    };
    Some(format!(
        "manifest {} does not match the order on chain: {differences}; update the deployment",
        stored.version
    ))
}

/// What a service has of a blob, in words.
fn what_it_is(service: &Service, blob: &Blob) -> String {
    match service.bundles().find(|(_, bundle)| bundle == blob) {
        Some((mount, _)) => format!("the data of {}'s volume {}", service.name, mount.name),
        None => format!("the image of {}", service.name),
    }
}
