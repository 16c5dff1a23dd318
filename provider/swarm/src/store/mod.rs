//! Blobs on disk, whole and in part.
//!
//! A blob that is not whole is `<root>.part`, its hashes are in
//! `<root>.tree`, and `<root>.have` says which pieces are in both. Each is
//! synced before the next, so that what `.have` says survives any death. A
//! whole blob is `<root>.blob`, with its hashes.

mod bytes;
mod files;
mod holding;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use blake3::Hash;

pub(crate) use holding::blocking;
pub use holding::{AcceptError, Holding};

use crate::shape::Shape;
use files::Files;

/// A directory of blobs. Its methods block: use them off the event loop.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// One holding for each blob that is in use.
    held: Mutex<HashMap<Hash, Weak<Holding>>>,
}

impl Store {
    /// Of a directory that is there and private.
    pub fn open(directory: &Path) -> Self {
        Self { directory: directory.into(), held: Mutex::default() }
    }

    /// A blob, as much of it as is here; begun where nothing is.
    pub fn holding(&self, root: Hash, shape: Shape) -> io::Result<Arc<Holding>> {
        self.with(root, |files| match files.open_whole(root)? {
            Some(whole) if whole.shape() == shape => Ok(Some(whole)),
            _ => files.open_part(root, shape).map(Some),
        })
        .and_then(|found| found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)))
    }

    /// A blob of which something is here.
    pub fn find(&self, root: Hash) -> io::Result<Option<Arc<Holding>>> {
        self.with(root, |files| match files.open_whole(root)? {
            Some(whole) => Ok(Some(whole)),
            None => match files.shape_of_part()? {
                Some(shape) => files.open_part(root, shape).map(Some),
                None => Ok(None),
            },
        })
    }

    /// Forgets a blob. Who still holds it may read on, and keeps nothing.
    pub fn remove(&self, root: Hash) -> io::Result<()> {
        let mut held = self.held();
        if let Some(holding) = held.remove(&root).and_then(|weak| weak.upgrade()) {
            holding.abandon();
        }
        Files::of(&self.directory, root).remove()
    }

    fn with(
        &self,
        root: Hash,
        open: impl FnOnce(&Files) -> io::Result<Option<Holding>>,
    ) -> io::Result<Option<Arc<Holding>>> {
        let mut held = self.held();
        if let Some(holding) = held.get(&root).and_then(Weak::upgrade) {
            return Ok(Some(holding));
        }
        let found = open(&Files::of(&self.directory, root))?.map(Arc::new);
        held.retain(|_, weak| weak.strong_count() > 0);
        if let Some(holding) = &found {
            held.insert(root, Arc::downgrade(holding));
        }
        Ok(found)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<Hash, Weak<Holding>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
