//! A tenant's upload: the blob's hashes, then its pieces in any order. What
//! is verified is kept, and served on at once.

use std::sync::Arc;

use stoa_swarm::store::AcceptError;
use stoa_swarm::verify::HashCheck;
use stoa_swarm::{Holding, PIECE};

use super::{BlobError, BlobState, BlobStore};
use crate::failpoint::failpoint;

/// The most that one message may hold, of hashes or of content.
pub const MAX_CHUNK: usize = 1 << 20;
/// What may be left unsynced, in percent: see [`Holding::due`].
const SYNC_DUE: u64 = 100;

/// One upload; there may be several of one blob. Blocking: use it off the
/// event loop.
#[derive(Debug)]
pub struct Upload {
    store: Arc<BlobStore>,
    root: String,
    holding: Arc<Holding>,
    hashes: HashCheck,
}

impl Upload {
    pub(super) fn new(store: Arc<BlobStore>, root: String, holding: Arc<Holding>) -> Self {
        let hashes = HashCheck::new(holding.root(), holding.shape());
        Self { store, root, holding, hashes }
    }

    /// What is here of the blob.
    pub fn holding(&self) -> &Arc<Holding> {
        &self.holding
    }

    /// Takes the next hashes: whole parents of 64 bytes, as
    /// [`stoa_swarm::verify::outboard`] writes them.
    ///
    /// # Errors
    /// Where they are not those that come next, or not the blob's.
    pub fn hashes(&mut self, offset: u64, hashes: &[u8]) -> Result<(), BlobError> {
        check_length(hashes)?;
        let right = self.hashes.at();
        if offset != right {
            return Err(BlobError::HashesOffset { given: offset, right });
        }
        self.holding.accept_hashes(&mut self.hashes, hashes).map_err(|error| match error {
            AcceptError::Io(error) => BlobError::Io(error),
            _ => BlobError::WrongHashes { root: self.root.clone(), at: self.hashes.at() },
        })
    }

    /// Takes whole pieces. How many of their bytes were not here yet; where
    /// one is wrong, those before it are kept.
    ///
    /// # Errors
    /// Where they are none, or not the blob's.
    pub fn push(&mut self, offset: u64, data: &[u8]) -> Result<u64, BlobError> {
        check_length(data)?;
        let shape = self.holding.shape();
        let bytes = data.len();
        let end = offset.saturating_add(bytes as u64);
        if end > shape.size() {
            return Err(BlobError::TooLong { end, size: shape.size() });
        }
        let whole = |at: u64| at.is_multiple_of(PIECE);
        if !whole(offset) || !(whole(end) || end == shape.size()) {
            return Err(BlobError::Pieces { offset, bytes });
        }
        if !self.holding.has_tree() {
            return Err(BlobError::NoHashes);
        }
        let mut new = 0_u64;
        let mut at = offset;
        for piece in data.chunks(PIECE as usize) {
            let number = u32::try_from(at / PIECE).unwrap_or(u32::MAX);
            match self.holding.accept_plain(number, piece) {
                Ok(true) => new += piece.len() as u64,
                Ok(false) => {}
                Err(AcceptError::Io(error)) => return Err(BlobError::Io(error)),
                Err(_) => return Err(BlobError::Wrong { root: self.root.clone(), offset: at }),
            }
            at += piece.len() as u64;
        }
        self.keep(SYNC_DUE)?;
        Ok(new)
    }

    /// Whether it is whole and durable, by this upload or otherwise.
    pub fn is_complete(&self) -> bool {
        self.holding.is_finished()
    }

    /// Ends the upload: all that came is durable.
    pub fn finish(self) -> Result<BlobState, BlobError> {
        let complete = self.keep(1)?;
        Ok(BlobState { have: self.holding.bytes(), complete })
    }

    /// Makes durable what came, where so much of it is due. Whether the blob
    /// is whole.
    fn keep(&self, due: u64) -> Result<bool, BlobError> {
        if self.holding.bytes() == self.holding.shape().size() {
            failpoint("blob.before_rename");
            let whole = self.holding.sync()?;
            if whole {
                failpoint("blob.after_store");
                self.store.note_complete(&self.holding);
            }
            return Ok(whole);
        }
        if self.holding.due() >= due {
            self.holding.sync()?;
            failpoint("blob.after_sync");
        }
        Ok(false)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A connection that broke: what came is kept for the next.
        let _ = self.holding.sync();
        self.store.inner().remove_taker(&self.root);
    }
}

fn check_length(bytes: &[u8]) -> Result<(), BlobError> {
    match (1..=MAX_CHUNK).contains(&bytes.len()) {
        true => Ok(()),
        false => Err(BlobError::Chunk(bytes.len())),
    }
}
