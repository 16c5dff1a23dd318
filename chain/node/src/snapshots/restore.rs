//! Taking a snapshot in, chunk by chunk.

use std::sync::Arc;

use stoa_chain::{app, ctx::Block, modules};
use tracing::info;

use super::{
    format::{open_chunk, records, Manifest, FORMAT},
    SnapshotError,
};
use crate::store::{Database, Restore, StoreError};

/// What a peer offers, and what the light client says of that height.
pub struct Offer<'a> {
    /// Number of the snapshot's format.
    pub format: u32,
    /// Height.
    pub height: u64,
    /// Number of chunks.
    pub chunks: u32,
    /// What tells it from others.
    pub hash: &'a [u8],
    /// The manifest.
    pub metadata: &'a [u8],
    /// App hash after that height, which is trusted.
    pub app_hash: &'a [u8],
}

/// A snapshot that is being taken in.
pub struct Restoring {
    manifest: Manifest,
    app_hash: Vec<u8>,
    restore: Restore,
    next: u32,
    last_key: Vec<u8>,
    records: u64,
}

/// Why a chunk, or all of it, is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Another peer may send this chunk as it should be.
    #[error("{0}")]
    Chunk(SnapshotError),
    /// The snapshot itself is wrong.
    #[error("{0}")]
    Snapshot(String),
    /// This node cannot go on.
    #[error(transparent)]
    Node(#[from] SnapshotError),
}

impl Restoring {
    /// Begins, if what is offered can be a snapshot.
    ///
    /// # Errors
    /// Why it can be none.
    pub fn begin(database: &Arc<Database>, offer: &Offer<'_>) -> Result<Self, Refused> {
        let refuse = |why: &str| Refused::Snapshot(why.to_owned());
        if offer.format != FORMAT {
            return Err(refuse("its format is unknown here"));
        }
        let manifest =
            Manifest::decode(offer.metadata).map_err(|error| refuse(&error.to_string()))?;
        if manifest.height != offer.height
            || manifest.count() != offer.chunks
            || manifest.hash() != offer.hash
        {
            return Err(refuse("its manifest is of another one"));
        }
        let restore = database.restore(offer.height).map_err(SnapshotError::from)?;
        info!(height = offer.height, records = manifest.records, "taking in a snapshot");
        Ok(Self {
            manifest,
            app_hash: offer.app_hash.to_vec(),
            restore,
            next: 0,
            last_key: Vec::new(),
            records: 0,
        })
    }

    /// The chunk that is wanted next.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Number of its chunks.
    pub fn count(&self) -> u32 {
        self.manifest.count()
    }

    /// Takes in a chunk; one that was taken in before changes nothing.
    pub fn apply(&mut self, index: u32, bytes: &[u8]) -> Result<(), Refused> {
        if index < self.next {
            return Ok(());
        }
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let hash = self.manifest.chunks.get(place).filter(|_| index == self.next);
        let hash = hash.ok_or_else(|| {
            Refused::Chunk(SnapshotError::Format(format!("chunk {index} is not due")))
        })?;
        let content = open_chunk(bytes, hash).map_err(Refused::Chunk)?;
        // From here on the chunk is what the manifest says: a fault is the snapshot's.
        let entries = records(&content, self.last_key.clone())
            .map_err(|error| Refused::Snapshot(error.to_string()))?;
        if let Some((key, _)) = entries.last() {
            self.last_key.clone_from(key);
        }
        self.records += entries.len() as u64;
        self.restore.add(entries).map_err(refuse_record)?;
        self.next += 1;
        Ok(())
    }

    /// Whether all chunks are taken in.
    pub fn is_complete(&self) -> bool {
        self.next == self.manifest.count()
    }

    /// Compares the root of what was taken in with the trusted one, makes the indexes, and makes
    /// it the database's state.
    pub fn finish(self, chain_id: &str) -> Result<(), Refused> {
        let Self { app_hash, mut restore, records, .. } = self;
        let height = restore.height();
        let (root, view) = restore.complete().map_err(SnapshotError::from)?;
        if root.as_slice() != app_hash {
            restore.discard().map_err(SnapshotError::from)?;
            let (root, wanted) = (hex::encode(root), hex::encode(app_hash));
            return Err(Refused::Snapshot(format!("its root is {root}, the chain's is {wanted}")));
        }
        // The time is a record, and so under the root.
        let mut block = Block { chain_id: chain_id.to_owned(), height, now: 0 };
        let time = modules::last_block_time(&stoa_chain::ctx::Ctx::new(&view, block.clone()));
        block.now = time.unwrap_or_default();
        let now = block.now;
        let indexes = app::derive_indexes(&view, block)
            .map_err(|error| SnapshotError::Format(format!("the indexes of its state: {error}")))?;
        drop(view);
        restore.finish(now, &indexes).map_err(SnapshotError::from)?;
        info!(height, records, "the snapshot is taken in, its root is the chain's");
        Ok(())
    }

    /// Throws away what was taken in.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn discard(self) -> Result<(), SnapshotError> {
        Ok(self.restore.discard()?)
    }
}

/// A record that can be no state is the snapshot's fault; what else fails is this node's.
fn refuse_record(error: StoreError) -> Refused {
    match error {
        StoreError::KeyLength { .. }
        | StoreError::EmptyValue { .. }
        | StoreError::NotProvable { .. } => Refused::Snapshot(error.to_string()),
        error => Refused::Node(error.into()),
    }
}
