//! What nobody needs any more: records, manifests and blobs of leases closed
//! long ago and of versions that were replaced, and images.

use std::collections::{BTreeMap, BTreeSet};

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::types::v1::BidId;

use super::shared::Shared;
use super::work::now;
use crate::chain::View;
use crate::store::YOUNG_SECONDS;

/// The versions that are in use, by deployment (as text).
type InUse = BTreeMap<String, BTreeSet<String>>;

/// Forgets what is past its time.
pub(super) fn collect(view: &View, shared: &Shared) -> anyhow::Result<()> {
    let keep = shared.config.storage.keep_seconds;
    for record in shared.leases.all() {
        let past = record.closed_at.is_some_and(|at| at.saturating_add(keep) < now());
        if record.removed && past && !view.leases.contains_key(&record.lease) {
            shared.leases.remove(&record.lease)?;
        }
    }
    let in_use = versions_in_use(view, shared);
    shared.secrets.retain(|deployment, version| is_in_use(&in_use, deployment, version))?;
    shared.board.transfers().retain(|deployment| in_use.contains_key(deployment));
    collect_files(&in_use, shared)
}

/// Images that neither a lease's manifest names nor a container has.
pub(super) async fn collect_images(shared: &Shared) -> anyhow::Result<()> {
    let removed = shared.image_engine.collect(shared.images.ids()).await?;
    if removed > 0 {
        tracing::info!(removed, "images that no lease uses");
    }
    Ok(())
}

/// Forgets manifests and blobs that no version in use names, but young ones:
/// a manifest that just came may be of a version newer than this view, and
/// name a blob that has been here for long.
fn collect_files(in_use: &InUse, shared: &Shared) -> anyhow::Result<()> {
    // One that came now would not be seen, nor what it names.
    let _none_comes = shared.manifests.hold();
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (deployment, version) in shared.manifests.list()? {
        let is_young = shared.manifests.age(&deployment, &version) <= YOUNG_SECONDS;
        if !is_young && !is_in_use(in_use, &deployment, &version) {
            shared.manifests.remove(&deployment, &version)?;
        } else if let Some(stored) = shared.manifests.get(&deployment, &version)? {
            let blobs = stored.manifest.blobs();
            let roots = blobs.into_iter().map(|blob| blob.root.to_hex().to_string());
            named.entry(deployment).or_default().extend(roots);
        }
    }
    shared.blobs.set_named(&named);
    let all: BTreeSet<&String> = named.values().flatten().collect();
    for root in shared.blobs.list() {
        if !all.contains(&root) && shared.blobs.age(&root) > YOUNG_SECONDS {
            shared.blobs.remove(&root)?;
        }
    }
    Ok(())
}

fn is_in_use(in_use: &InUse, deployment: &str, version: &str) -> bool {
    in_use.get(deployment).is_some_and(|versions| versions.contains(version))
}

/// What live leases run or are to run, and what those ran that closed not long
/// ago: their successors may come for it.
fn versions_in_use(view: &View, shared: &Shared) -> InUse {
    let mut in_use = InUse::new();
    for lease in view.leases.values() {
        in_use.entry(deployment_of(&lease.id).text()).or_default().insert(lease.version());
    }
    for record in shared.leases.all() {
        let Ok(id) = BidId::parse(&record.lease) else { continue };
        let versions = in_use.entry(deployment_of(&id).text()).or_default();
        versions.extend(record.accepted.into_iter().chain(record.serving).chain(record.wanted));
    }
    in_use
}
