//! The node's storage: RocksDB with a Jellyfish Merkle tree beside the flat values.
//!
//! A block becomes durable in one synced write batch: flat values, tree nodes, tree values,
//! what became stale, the height and the app hash. Killed at any instant, the database opens
//! at the last committed height with that height's app hash.
//!
//! Reads go through a [`Snapshot`]: a consistent view at a committed height which later commits
//! neither change nor wait for. State keys stand in the tree; keys of derived indexes (see
//! [`stoa_chain::store::is_index`]) are flat only.

mod database;
mod engine;
mod error;
mod layout;
mod options;
mod prune;
mod restore;
mod rollback;
mod snapshot;
mod tree;

#[cfg(test)]
mod tests;

pub use database::{Database, Staged};
pub use error::StoreError;
pub use options::Options;
pub use restore::Restore;
pub use snapshot::{Entry, Snapshot};

/// Longest key that the store takes, in bytes: the tree's value entries carry its length in two.
pub const MAX_KEY_LEN: usize = u16::MAX as usize;

/// The Merkle root of a height: what CometBFT calls the app hash.
pub type AppHash = [u8; 32];

/// The ICS 23 specification against which this store's proofs verify.
pub fn proof_spec() -> ics23::ProofSpec {
    jmt::ics23_spec()
}
