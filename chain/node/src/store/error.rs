//! What can go wrong in the store, in words for an operator.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// RocksDB reported an error (disk full, permissions, lock held, damaged file).
    #[error("database: {0}")]
    Engine(#[from] rocksdb::Error),
    /// The Merkle tree could not be read or updated.
    #[error("merkle tree: {0}")]
    Tree(String),
    /// The database does not hold what a committed height promises.
    #[error("database is damaged: {0}; restore it from a backup or sync anew")]
    Corrupt(String),
    /// The database was written by another layout of the store.
    #[error("database has format {found}, this stoad reads format {supported}")]
    Format {
        /// Format number found in the database.
        found: u64,
        /// The one this program knows.
        supported: u64,
    },
    /// The height was committed, but its history is no longer kept.
    #[error("height {height} is pruned: this node keeps heights {oldest} to {latest}")]
    Pruned {
        /// The height asked for.
        height: u64,
        /// Oldest height that can still be asked for.
        oldest: u64,
        /// Last committed height.
        latest: u64,
    },
    /// The height is not committed yet.
    #[error("height {height} is not committed yet: the last one is {latest}")]
    Future {
        /// The height asked for.
        height: u64,
        /// Last committed height.
        latest: u64,
    },
    /// Blocks must be staged and committed one after the other.
    #[error("height {got} cannot follow height {last}")]
    OutOfOrder {
        /// Last committed height.
        last: u64,
        /// Height that was offered.
        got: u64,
    },
    /// ICS 23 has no proof for empty keys.
    #[error("a key must have 1 to {max} bytes, got {len}")]
    KeyLength {
        /// Length of the refused key in bytes.
        len: usize,
        /// Longest key in bytes.
        max: usize,
    },
    /// ICS 23 has no proof for empty values: one would also spoil its neighbours' absence proofs.
    #[error("state key {key} has an empty value; state values must have at least one byte")]
    EmptyValue {
        /// The key in hex.
        key: String,
    },
    /// Derived indexes stand outside the tree.
    #[error("key {key} is a derived index and has no proof; only state keys have")]
    NotProvable {
        /// The key in hex.
        key: String,
    },
    /// No proof exists in a tree without leaves.
    #[error("the state at height {height} is empty and proves nothing")]
    EmptyState {
        /// The height asked for.
        height: u64,
    },
    /// The database was opened for reading only.
    #[error("the database is open for reading only")]
    ReadOnly,
}

/// Ends the process: the store could not do what the caller cannot do without.
///
/// A read of the state machine has no error to return: going on with a wrong answer would fork
/// this node from its chain, while a stopped node comes back at the last committed height.
pub(super) fn fatal(context: &str, error: &dyn std::fmt::Display) -> ! {
    tracing::error!(%error, "{context}: the node cannot go on and stops here");
    std::process::abort();
}
