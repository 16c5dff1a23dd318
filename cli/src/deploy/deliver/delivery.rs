//! What is brought to a deployment's providers.

use std::{collections::BTreeMap, path::PathBuf};

use stoa_client::sealing::Values;
use stoa_manifest::Manifest;
use stoa_proto::types::v1::DeploymentId;

use super::super::Tenant;
use crate::{exit::Failure, secret};

/// What is brought to the providers.
pub struct Delivery {
    pub id: DeploymentId,
    /// Hex.
    pub version: String,
    /// Canonical bytes.
    pub manifest: Vec<u8>,
    /// Files to be shipped, by BLAKE3 root.
    pub blobs: BTreeMap<String, PathBuf>,
    pub(super) parsed: Manifest,
    /// What the manifest names and does not hold.
    pub(super) secrets: Values,
}

impl Delivery {
    /// With the secrets that the manifest names, as they are kept here.
    pub fn new(
        tenant: &Tenant,
        id: DeploymentId,
        version: String,
        manifest: Vec<u8>,
        blobs: BTreeMap<String, PathBuf>,
    ) -> Result<Self, Failure> {
        let parsed = Manifest::from_canonical(&manifest)
            .map_err(|e| Failure::new(format!("the manifest that is kept here: {e}")))?;
        let secrets = secret::values_of(&tenant.context, &parsed)?;
        Ok(Self { id, version, manifest, blobs, parsed, secrets })
    }

    /// Images and data that a group uses, by BLAKE3 root.
    pub(super) fn images_of(&self, group: &str) -> Vec<String> {
        let blobs = self.parsed.group(group).map(|group| group.blobs()).unwrap_or_default();
        blobs.iter().map(|blob| blob.root.to_hex().to_string()).collect()
    }
}
