//! The machine: its engine, what may lie on its disk, and when things happen.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::sizes::Size;

/// What tenants may lay down here before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Bytes of all blobs, arriving ones counted with the size that their
    /// manifest names.
    pub max_blob_bytes: Size,
    /// Bytes of one.
    pub max_blob: Size,
    /// Bytes of all blobs of one deployment, whichever of its versions named
    /// them.
    pub max_deployment_bytes: Size,
    /// How long a closed lease's manifest, blobs and sealed secrets stay.
    #[serde(alias = "manifest_keep")]
    pub keep_seconds: u64,
}

/// The container engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    pub socket: PathBuf,
    /// Workloads' networks of 16 addresses are taken out of it.
    pub network_pool: String,
    pub stop_grace_seconds: u64,
}

/// When things happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// The state is looked at after so long without an announced block.
    pub poll_seconds: u64,
    /// A chain that stands still so long is an alert.
    pub stall_seconds: u64,
    pub withdraw_seconds: u64,
    /// An updated instance must be ready within it, or the update is undone.
    pub update_seconds: u64,
    /// An instance counts as ready when it has run so long.
    pub settle_seconds: u64,
    /// Between two measurings of what workloads have written.
    pub storage_check_seconds: u64,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            max_blob_bytes: Size(64 << 30),
            max_blob: Size(16 << 30),
            max_deployment_bytes: Size(32 << 30),
            keep_seconds: 86_400,
        }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            socket: "/var/run/docker.sock".into(),
            network_pool: "10.224.0.0/14".into(),
            stop_grace_seconds: 10,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll_seconds: 2,
            stall_seconds: 30,
            withdraw_seconds: 3_600,
            update_seconds: 120,
            settle_seconds: 2,
            storage_check_seconds: 30,
        }
    }
}
