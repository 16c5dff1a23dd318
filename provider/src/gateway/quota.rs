//! How much of a deployment's blobs is taken: those of the groups leased here
//! first, and those of the others, which are passed on, as far as the quota
//! goes. What earlier versions brought counts as long as it is here.

use stoa_manifest::{Blob, Group, Manifest};
use tonic::Status;

use super::leases::OwnLease;
use super::Context;
use crate::store::{VERSIONS_AT_ONCE, YOUNG_SECONDS};

/// All blobs of a manifest, each once, those of the groups leased here first.
pub(super) fn ordered(manifest: &Manifest, leases: &[OwnLease]) -> Vec<Blob> {
    let mut blobs = own(manifest, leases);
    for blob in manifest.blobs() {
        if !blobs.contains(&blob) {
            blobs.push(blob);
        }
    }
    blobs
}

/// Refuses a manifest whose groups here need more than one deployment may
/// have: it could never run.
pub(super) fn admit_own(
    context: &Context,
    manifest: &Manifest,
    leases: &[OwnLease],
) -> Result<(), Status> {
    let most = context.config.storage.max_deployment_bytes.0;
    let bytes = sum(&own(manifest, leases));
    match bytes > most {
        true => Err(Status::resource_exhausted(format!(
            "the images and data of the groups leased here have {bytes} bytes; this provider takes \
             at most {most} of one deployment (storage.max_deployment_bytes): make them smaller, or \
             have a registry serve the images"
        ))),
        false => Ok(()),
    }
}

/// Refuses a blob of a deployment (as text) that goes over the quota, counted
/// in the order of [`ordered`], with all else that is here of the deployment.
/// The store counts what is here once more when the blob is begun.
pub(super) fn admit(
    context: &Context,
    deployment: &str,
    blobs: &[Blob],
    wanted: &Blob,
) -> Result<(), Status> {
    if context.blobs.path_of(wanted).is_some() {
        return Ok(());
    }
    let most = context.config.storage.max_deployment_bytes.0;
    let before = blobs.iter().position(|blob| blob == wanted).unwrap_or(blobs.len());
    let first = blobs.get(..=before).unwrap_or(blobs);
    let bytes = sum(first);
    if bytes > most {
        return Err(Status::resource_exhausted(format!(
            "with this one the deployment's files have {bytes} bytes, and this provider takes at \
             most {most} of one deployment (storage.max_deployment_bytes); send it to the provider \
             whose group uses it"
        )));
    }
    let others = context.blobs.held_for(deployment, first);
    let of_versions = most.saturating_mul(VERSIONS_AT_ONCE);
    if bytes.saturating_add(others) > of_versions {
        return Err(Status::resource_exhausted(format!(
            "with this one the deployment's files have {bytes} bytes, {others} of other files of \
             its are still here, and this provider takes at most {of_versions} of all its versions \
             (twice storage.max_deployment_bytes); those of earlier versions go some {} minutes after \
             nothing runs them any more: try then",
            YOUNG_SECONDS / 60
        )));
    }
    Ok(())
}

fn sum(blobs: &[Blob]) -> u64 {
    blobs.iter().fold(0, |sum, blob| sum.saturating_add(blob.bytes))
}

/// What the groups leased here need, each blob once.
fn own(manifest: &Manifest, leases: &[OwnLease]) -> Vec<Blob> {
    let groups = leases.iter().filter_map(|own| manifest.group(&own.spec.name));
    let mut blobs = vec![];
    for blob in groups.flat_map(Group::blobs) {
        if !blobs.contains(&blob) {
            blobs.push(blob);
        }
    }
    blobs
}
