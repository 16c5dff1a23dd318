//! Taking a manifest: checked against the chain before it is kept.

use sha2::{Digest, Sha256};
use stoa_client::convert::check_group;
use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::gateway::v1::{
    BlobStatusResponse, EventKind, GetManifestResponse, SubmitManifestRequest,
    SubmitManifestResponse,
};
use stoa_client::proto::types::v1::BidId;
use stoa_manifest::{Manifest, MAX_CANONICAL_BYTES};
use tonic::Status;

use super::blobs::status_of;
use super::caller::Caller;
use super::leases::{live_leases, own_deployment, unobservable, OwnLease};
use super::{quota, Context};
use crate::overlay::check_connections;
use crate::store;

/// Keeps the manifest of a deployment with a live lease here. Answers with
/// all of its blobs that are still missing, those of the groups leased here
/// first: the others are for the providers of the other groups.
pub(super) async fn submit(
    context: &Context,
    caller: &Caller,
    request: SubmitManifestRequest,
) -> Result<SubmitManifestResponse, Status> {
    let id = own_deployment(request.deployment, caller)?;
    let bytes = request.manifest;
    if bytes.len() > MAX_CANONICAL_BYTES {
        return Err(Status::invalid_argument(format!(
            "a manifest of {} bytes; at most {MAX_CANONICAL_BYTES} are taken",
            bytes.len()
        )));
    }
    let manifest = Manifest::from_canonical(&bytes)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let (deployment, leases) = live_leases(context, &id).await?;
    let version = Sha256::digest(&bytes);
    if deployment.version != version.as_slice() {
        return Err(Status::failed_precondition(format!(
            "this manifest has version {}, but deployment {} has {} on chain; send that one, or \
             update the deployment first",
            hex::encode(version),
            id.text(),
            hex::encode(&deployment.version)
        )));
    }
    if deployment.manifest_root != blake3::hash(&bytes).as_bytes() {
        return Err(Status::failed_precondition(format!(
            "the version of deployment {} is this manifest's and its manifest root is not; \
             update the deployment with both",
            id.text()
        )));
    }
    for own in &leases {
        check_against_order(&manifest, own)?;
    }
    let groups = leases.iter().map(|own| own.spec.name.as_str());
    check_connections(&manifest, groups).map_err(|beyond| {
        Status::failed_precondition(format!(
            "this provider carries fewer connections between services than the manifest declares \
             with `to: [{{service: ...}}]`: {beyond}"
        ))
    })?;
    let blobs = quota::ordered(&manifest, &leases);
    quota::admit_own(context, &manifest, &leases)?;
    let of = id.text();
    let known =
        context.manifests.get(&of, &hex::encode(version)).is_ok_and(|known| known.is_some());
    let stored = context.manifests.put(&of, &bytes, manifest).map_err(|error| {
        tracing::error!("keeping a manifest: {error}");
        if store::is_full(&error) {
            return Status::resource_exhausted("the provider's disk is full; try later");
        }
        Status::internal("the manifest could not be kept; the provider's log says why")
    })?;
    tracing::info!(deployment = %of, version = %stored.version, "manifest accepted");
    let transfers = context.board.transfers();
    if !known {
        let root = stored.root.to_hex();
        transfers.received(&of, &root, &caller.tenant, stored.bytes);
    }
    transfers.observe(&of, &stored, &context.blobs);
    for own in &leases {
        let words = format!("manifest {}… accepted", &stored.version[..12]);
        context.board.events().note(&own.lease.text(), EventKind::Manifest, &words);
    }
    context.wake.notify_one();
    let mut missing_blobs: Vec<BlobStatusResponse> = vec![];
    for blob in blobs {
        let status = status_of(context, blob).await?;
        if !status.complete {
            missing_blobs.push(status);
        }
    }
    Ok(SubmitManifestResponse { missing_blobs })
}

/// The manifest that a lease runs, or is to run.
pub(super) async fn get(context: &Context, lease: &BidId) -> Result<GetManifestResponse, Status> {
    let served = context.board.get(&lease.text()).map(|status| status.version);
    let id = deployment_of(lease);
    let version = match served.filter(|version| !version.is_empty()) {
        Some(version) => version,
        None => {
            let deployment = context.reads.deployment(&id).await.map_err(unobservable)?;
            hex::encode(&deployment.version)
        }
    };
    let stored = context.manifests.get(&id.text(), &version).map_err(|error| {
        tracing::error!("reading a manifest: {error}");
        Status::internal("the manifest could not be read; the provider's log says why")
    })?;
    let stored = stored.ok_or_else(|| {
        Status::not_found(format!("the manifest of version {version} is not here; send it"))
    })?;
    Ok(GetManifestResponse { manifest: stored.manifest.canonical_json(), version })
}

fn check_against_order(manifest: &Manifest, own: &OwnLease) -> Result<(), Status> {
    let name = &own.spec.name;
    let group = manifest.group(name).ok_or_else(|| {
        Status::failed_precondition(format!(
            "lease {} is of the group {name}, which this manifest does not have",
            own.lease.text()
        ))
    })?;
    check_group(group, &own.spec).map_err(|differences| {
        Status::failed_precondition(format!(
            "the manifest does not match the order on chain: {}",
            differences.join("; ")
        ))
    })
}
