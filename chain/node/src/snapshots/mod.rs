//! Snapshots of the state, from which a new node joins without executing every block.
//!
//! A snapshot holds the records of one height and nothing derived from them: whoever restores
//! it computes the Merkle root, compares it with the app hash that its light client vouches for,
//! and makes the indexes anew. So a lying peer costs time and nothing else.
//!
//! Format 1: records by ascending key, in chunks that are compressed one by one. The manifest
//! lists the SHA-256 of each chunk's *content*, so that nodes with different compressors offer
//! one and the same snapshot. On disk: `data/snapshots/HEIGHT/{manifest,0,1,…}`.

mod format;
mod keeper;
mod maker;
mod restore;
mod shelf;

#[cfg(test)]
mod tests;

pub use format::{Manifest, FORMAT};
pub use keeper::{Keeper, Schedule};
pub use maker::make;
pub use restore::{Offer, Refused, Restoring};
pub use shelf::{Listed, Shelf};

use crate::store::StoreError;

/// A failure around snapshots.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Bytes are not what this format says.
    #[error("snapshot: {0}")]
    Format(String),
    /// There is no snapshot of this height.
    #[error("there is no snapshot of height {0}; `stoad snapshots list` shows which there are")]
    Missing(u64),
}

impl SnapshotError {
    fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}
