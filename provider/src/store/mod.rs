//! What the daemon keeps on disk. Everything is written beside, synced, and
//! renamed into place: a death at any moment leaves the old or the new.

mod atomic;
mod blobs;
#[cfg(test)]
mod full_disk;
mod leases;
mod manifests;

pub use atomic::{is_full, remove, write};
pub use blobs::{BlobError, BlobState, BlobStore, Upload, MAX_CHUNK, VERSIONS_AT_ONCE};
pub use leases::{LeaseRecord, LeaseStore, Overuse, Rollout};
pub use manifests::{ManifestStore, StoredManifest};

/// What no version in use names goes when it has been here for so many
/// seconds: younger, it may be of a version newer than what is looked at.
pub const YOUNG_SECONDS: u64 = 600;

/// Lower-case hex.
pub fn hex_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}
