//! What nobody needs any more: records, manifests and blobs of leases closed
//! long ago, and images.

use std::collections::BTreeSet;

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::types::v1::BidId;

use super::shared::Shared;
use super::work::now;
use crate::chain::View;

/// Forgets what is past its time.
pub(super) fn collect(view: &View, shared: &Shared) -> anyhow::Result<()> {
    let keep = shared.config.storage.keep_seconds;
    for record in shared.leases.all() {
        let past = record.closed_at.is_some_and(|at| at.saturating_add(keep) < now());
        if record.removed && past && !view.leases.contains_key(&record.lease) {
            shared.leases.remove(&record.lease)?;
        }
    }
    let versions = versions_in_use(view, shared);
    let deployments = deployments_in_use(view, shared);
    let kept = |deployment: &str, version: &str| {
        deployments.contains(deployment) && versions.contains(version)
    };
    shared.secrets.retain(kept)?;
    shared.board.transfers().retain(|deployment| deployments.contains(deployment));
    let mut blobs = BTreeSet::new();
    for (deployment, version) in shared.manifests.list()? {
        match shared.manifests.get(&deployment, &version)? {
            Some(stored) if kept(&deployment, &version) => {
                let roots = stored.manifest.blobs();
                blobs.extend(roots.into_iter().map(|blob| blob.root.to_hex().to_string()));
            }
            // One that just came may be of a version newer than this view.
            _ if shared.manifests.age(&deployment, &version) > keep => {
                shared.manifests.remove(&deployment, &version)?;
            }
            _ => {}
        }
    }
    for root in shared.blobs.list() {
        if !blobs.contains(&root) && shared.blobs.age(&root) > keep {
            shared.blobs.remove(&root)?;
        }
    }
    Ok(())
}

/// Images that neither a lease's manifest names nor a container has.
pub(super) async fn collect_images(shared: &Shared) -> anyhow::Result<()> {
    let removed = shared.image_engine.collect(shared.images.ids()).await?;
    if removed > 0 {
        tracing::info!(removed, "images that no lease uses");
    }
    Ok(())
}

/// What live leases run or are to run, and what those ran that closed not long
/// ago: their successors may come for it.
fn versions_in_use(view: &View, shared: &Shared) -> BTreeSet<String> {
    let mut versions: BTreeSet<String> = view.leases.values().map(|l| l.version()).collect();
    for record in shared.leases.all() {
        versions.extend(record.accepted);
        versions.extend(record.serving);
        versions.extend(record.wanted);
    }
    versions
}

/// As text.
fn deployments_in_use(view: &View, shared: &Shared) -> BTreeSet<String> {
    let live = view.leases.values().map(|lease| lease.id.clone());
    let known = shared.leases.all();
    let known = known.iter().filter_map(|record| BidId::parse(&record.lease).ok());
    live.chain(known).map(|lease| deployment_of(&lease).text()).collect()
}
