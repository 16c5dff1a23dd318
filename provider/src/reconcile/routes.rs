//! By which manifest's ports and names each lease is reached. A manifest that
//! cannot be read now takes nothing away.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use stoa_client::ids::{deployment_of, TextId};

use super::shared::Shared;
use crate::chain::{LeaseView, View};
use crate::ingress::Service;
use crate::store::StoredManifest;

/// Each lease's services as they were told to the ingress last.
#[derive(Default)]
pub(super) struct Routes(BTreeMap<String, Told>);

struct Told {
    version: String,
    services: Vec<Service>,
}

impl Routes {
    /// What the ingress is to lead to now: the live leases with their accepted
    /// manifests, and those that run on without money.
    pub(super) fn services<'a>(
        &mut self,
        view: &View,
        accepted: &[(&LeaseView, Arc<StoredManifest>)],
        run_on: impl Iterator<Item = &'a LeaseView>,
        shared: &Shared,
    ) -> Vec<Service> {
        for (lease, stored) in accepted {
            self.0.insert(lease.name.clone(), Told::of(lease, &reached_by(lease, stored, shared)));
        }
        let mut known: HashSet<&str> = view.leases.keys().map(String::as_str).collect();
        for lease in run_on {
            known.insert(&lease.name);
            let of = deployment_of(&lease.id).text();
            let accepted = shared.leases.get(&lease.name).accepted;
            let stored = accepted.map(|version| shared.manifests.get(&of, &version));
            if let Some(Ok(Some(stored))) = stored {
                let reached_by = reached_by(lease, &stored, shared);
                self.0.insert(lease.name.clone(), Told::of(lease, &reached_by));
            }
        }
        self.0.retain(|name, _| known.contains(name.as_str()));
        self.0.values().flat_map(|told| told.services.iter().cloned()).collect()
    }

    /// Whether a lease is reached as this version says.
    pub(super) fn follow(&self, lease: &str, version: &str) -> bool {
        self.0.get(lease).is_some_and(|told| told.version == version)
    }

    pub(super) fn know(&self, lease: &str) -> bool {
        self.0.contains_key(lease)
    }
}

/// While an update has touched nothing yet, the manifest of what serves.
fn reached_by(
    lease: &LeaseView,
    stored: &Arc<StoredManifest>,
    shared: &Shared,
) -> Arc<StoredManifest> {
    let record = shared.leases.get(&lease.name);
    let touched =
        record.rollout.is_some_and(|r| r.version == stored.version && !r.service.is_empty());
    let before = record.serving.filter(|version| *version != stored.version && !touched);
    let of = deployment_of(&lease.id).text();
    let before = before.and_then(|version| shared.manifests.get(&of, &version).ok()?);
    before.unwrap_or_else(|| Arc::clone(stored))
}

impl Told {
    fn of(lease: &LeaseView, stored: &StoredManifest) -> Self {
        let group = stored.manifest.group(&lease.spec.name);
        let services = group.map(|group| group.services.as_slice()).unwrap_or_default();
        let service = |service: &stoa_manifest::Service| Service {
            lease: lease.name.clone(),
            service: service.clone(),
        };
        let services = services.iter().map(service).collect();
        Self { version: stored.version.clone(), services }
    }
}
