//! Blobs (images that come with a deployment), from the tenant and from other
//! providers at once: taken piece by piece, each verified by BLAKE3 before it
//! is kept, and gone on with after any interruption.
//!
//! All lie in one [`stoa_swarm::Store`], so that the engine serves what is
//! here of a blob whoever brought it: `<root>.part` and its companions, and
//! `<root>.blob` once it is whole.

mod upload;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stoa_manifest::Blob;
use stoa_swarm::bits::Bits;
use stoa_swarm::{Holding, Shape, Store, PIECE};

use super::{atomic, YOUNG_SECONDS};
use crate::config::Storage;

pub use upload::{Upload, MAX_CHUNK};

/// Versions of a deployment whose files have room here at a time: an update's
/// come while those of the version before run.
pub const VERSIONS_AT_ONCE: u64 = 2;
/// Left free on the disk whatever is uploaded: manifests and records are small.
const SPARE_BYTES: u64 = 64 << 20;

/// How far a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobState {
    /// Bytes that are here and verified.
    pub have: u64,
    /// Whole and durable.
    pub complete: bool,
}

/// Why a blob was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("a message with {0} bytes; right is 1 to {MAX_CHUNK}")]
    Chunk(usize),
    #[error(
        "{bytes} bytes from byte {offset} on: content comes in whole pieces of {PIECE} bytes, each \
         at a multiple of that; only the last of a blob is shorter"
    )]
    Pieces { offset: u64, bytes: usize },
    #[error("{end} bytes are more than the {size} that the manifest names")]
    TooLong { end: u64, size: u64 },
    #[error("content came before the blob's hashes; send those first")]
    NoHashes,
    #[error("hashes from byte {given} on; those from byte {right} on are next")]
    HashesOffset { given: u64, right: u64 },
    #[error("the hashes from byte {at} on are not those of blob {root}; they are refused")]
    WrongHashes { root: String, at: u64 },
    #[error(
        "the bytes from byte {offset} on are not those of blob {root}; they are refused. Was the \
         file changed since it was deployed?"
    )]
    Wrong { root: String, offset: u64 },
    #[error("no room: {0}")]
    Quota(String),
    #[error("blob storage: {0}")]
    Io(#[from] io::Error),
}

/// A directory of blobs. Its methods block: use them off the event loop.
#[derive(Debug)]
pub struct BlobStore {
    directory: PathBuf,
    limits: Storage,
    pieces: Store,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Sizes promised to blobs that are not complete, by root.
    promised: HashMap<String, u64>,
    /// Whole blobs.
    complete: HashMap<String, u64>,
    /// Blobs that come from other providers.
    fetching: HashMap<String, Arc<Holding>>,
    /// How many take something of a blob in now.
    takers: HashMap<String, usize>,
    /// For which deployments each blob is here, and since when that is known:
    /// its bytes count for each of them, whichever version named it.
    holders: HashMap<String, HashMap<String, Instant>>,
}

impl Inner {
    fn note_holder(&mut self, root: &str, deployment: &str) {
        let holders = self.holders.entry(root.into()).or_default();
        holders.insert(deployment.into(), Instant::now());
    }

    /// Bytes, here or promised, of a deployment's blobs but some.
    fn held_for(&self, deployment: &str, but: impl Fn(&str) -> bool) -> u64 {
        let of_it = self.holders.iter().filter(|(_, holders)| holders.contains_key(deployment));
        let size = |root: &str| self.complete.get(root).or_else(|| self.promised.get(root));
        let sizes = of_it.filter(|(root, _)| !but(root)).filter_map(|(root, _)| size(root));
        sizes.fold(0, |sum, size| sum.saturating_add(*size))
    }

    fn add_taker(&mut self, root: &str) {
        *self.takers.entry(root.into()).or_default() += 1;
    }

    fn remove_taker(&mut self, root: &str) {
        if let Some(count) = self.takers.get_mut(root) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.takers.remove(root);
            }
        }
    }
}

impl BlobStore {
    pub fn open(directory: &Path, limits: Storage) -> io::Result<Self> {
        atomic::directory(directory)?;
        let mut inner = Inner::default();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let length = entry.metadata()?.len();
            if let Some(root) = name.strip_suffix(".blob") {
                inner.complete.insert(root.into(), length);
            } else if let Some(root) = name.strip_suffix(".part") {
                inner.promised.insert(root.into(), length);
            }
        }
        let pieces = Store::open(directory);
        Ok(Self { directory: directory.into(), limits, pieces, inner: Mutex::new(inner) })
    }

    /// How far a blob is, whoever brings it.
    pub fn state(&self, blob: &Blob) -> io::Result<BlobState> {
        if self.is_complete(blob) {
            return Ok(BlobState { have: blob.bytes, complete: true });
        }
        let have = self.held(blob)?.map_or(0, |holding| holding.bytes());
        Ok(BlobState { have, complete: false })
    }

    /// What is here of a blob in verified pieces, to serve it.
    pub fn held(&self, blob: &Blob) -> io::Result<Option<Arc<Holding>>> {
        let found = self.pieces.find(blob.root)?;
        Ok(found.filter(|holding| holding.shape().size() == blob.bytes))
    }

    /// Which pieces are here of a blob that is not complete, and whether all
    /// its hashes are.
    pub fn pieces(&self, blob: &Blob) -> io::Result<(Bits, bool)> {
        if let Some(holding) = self.held(blob)? {
            return Ok((holding.have(), holding.has_tree()));
        }
        let pieces = Shape::new(blob.bytes).map_or(0, Shape::pieces);
        Ok((Bits::none(pieces), false))
    }

    /// Where a whole blob lies.
    pub fn path_of(&self, blob: &Blob) -> Option<PathBuf> {
        self.is_complete(blob).then(|| self.path(&name_of(blob), "blob"))
    }

    /// Begins or goes on to take a blob of a deployment (as text) from its
    /// tenant. None: the blob is whole already.
    pub fn begin(
        self: &Arc<Self>,
        blob: &Blob,
        deployment: &str,
    ) -> Result<Option<Upload>, BlobError> {
        if self.is_complete(blob) {
            self.inner().note_holder(&name_of(blob), deployment);
            return Ok(None);
        }
        let holding = self.take(blob, deployment)?;
        holding.set_first_hand();
        Ok(Some(Upload::new(Arc::clone(self), name_of(blob), holding)))
    }

    /// The same as [`BlobStore::state`]; one that came whole just before a
    /// restart gets its last name first.
    pub fn settle(self: &Arc<Self>, blob: &Blob) -> Result<BlobState, BlobError> {
        let state = self.state(blob)?;
        let holding = self.held(blob)?.filter(|_| !state.complete && state.have == blob.bytes);
        let Some(holding) = holding else { return Ok(state) };
        self.inner().add_taker(&name_of(blob));
        Upload::new(Arc::clone(self), name_of(blob), holding).finish()
    }

    /// Begins or goes on to take a blob of a deployment (as text) from other
    /// providers.
    pub fn begin_fetch(&self, blob: &Blob, deployment: &str) -> Result<Arc<Holding>, BlobError> {
        let root = name_of(blob);
        {
            let mut inner = self.inner();
            if let Some(holding) = inner.fetching.get(&root).cloned() {
                inner.note_holder(&root, deployment);
                return Ok(holding);
            }
        }
        let holding = self.take(blob, deployment)?;
        let mut inner = self.inner();
        if inner.fetching.insert(root.clone(), Arc::clone(&holding)).is_some() {
            inner.remove_taker(&root);
        }
        Ok(holding)
    }

    /// Ends that: it is whole now, or no longer wanted. What came is kept.
    pub fn end_fetch(&self, root: &blake3::Hash) {
        let name = root.to_hex().to_string();
        let mut inner = self.inner();
        let Some(holding) = inner.fetching.remove(&name) else { return };
        inner.remove_taker(&name);
        if holding.is_finished() {
            note_complete(&mut inner, name, &holding);
        }
    }

    /// Blobs that come from other providers now.
    pub fn fetching(&self) -> Vec<blake3::Hash> {
        self.inner().fetching.values().map(|holding| holding.root()).collect()
    }

    /// The place of a blob's pieces, where there is room for them.
    fn take(&self, blob: &Blob, deployment: &str) -> Result<Arc<Holding>, BlobError> {
        let root = name_of(blob);
        let shape = Shape::new(blob.bytes)
            .ok_or_else(|| BlobError::Quota(format!("a blob of {} bytes", blob.bytes)))?;
        self.check_disk(blob)?;
        let before = {
            let mut inner = self.inner();
            self.check_quota(&inner, &root, blob.bytes)?;
            self.check_deployment(&inner, &root, blob.bytes, deployment)?;
            inner.note_holder(&root, deployment);
            inner.add_taker(&root);
            inner.promised.insert(root.clone(), blob.bytes)
        };
        self.pieces.holding(blob.root, shape).map_err(|error| {
            let mut inner = self.inner();
            inner.remove_taker(&root);
            if before.is_none() {
                inner.promised.remove(&root);
            }
            error.into()
        })
    }

    /// What is promised must fit on the disk, beside what others need of it.
    fn check_disk(&self, blob: &Blob) -> Result<(), BlobError> {
        let missing = blob.bytes.saturating_sub(self.state(blob)?.have);
        match atomic::free_bytes(&self.directory) {
            Some(free) if missing.saturating_add(SPARE_BYTES) > free => Err(BlobError::Quota(
                format!("{missing} bytes are to come and the disk has {free} free; try later"),
            )),
            _ => Ok(()),
        }
    }

    fn check_quota(&self, inner: &Inner, root: &str, bytes: u64) -> Result<(), BlobError> {
        if bytes > self.limits.max_blob.0 {
            return Err(BlobError::Quota(format!(
                "a blob of {bytes} bytes; this provider takes at most {}",
                self.limits.max_blob.0
            )));
        }
        let others = |map: &HashMap<String, u64>| {
            map.iter().filter(|(r, _)| r.as_str() != root).map(|(_, size)| *size).sum::<u64>()
        };
        let used = others(&inner.promised).saturating_add(others(&inner.complete));
        if used.saturating_add(bytes) > self.limits.max_blob_bytes.0 {
            return Err(BlobError::Quota(format!(
                "{bytes} bytes are asked for and {} of {} are free",
                self.limits.max_blob_bytes.0.saturating_sub(used),
                self.limits.max_blob_bytes.0
            )));
        }
        Ok(())
    }

    /// What a deployment has here counts whichever version named it: else
    /// each update would bring another [`Storage::max_deployment_bytes`]. That
    /// which runs and the one that is to run have room beside each other.
    fn check_deployment(
        &self,
        inner: &Inner,
        root: &str,
        bytes: u64,
        deployment: &str,
    ) -> Result<(), BlobError> {
        let most = self.limits.max_deployment_bytes.0.saturating_mul(VERSIONS_AT_ONCE);
        let others = inner.held_for(deployment, |other| other == root);
        match others.saturating_add(bytes) > most {
            true => Err(BlobError::Quota(format!(
                "{bytes} bytes are asked for, and of this deployment's versions {others} of at \
                 most {most} are here (twice storage.max_deployment_bytes); those of earlier \
                 versions go some {} minutes after nothing runs them any more: try then",
                YOUNG_SECONDS / 60
            ))),
            false => Ok(()),
        }
    }

    /// Bytes, here or promised, of a deployment's blobs (as text), whichever
    /// of its versions named them, but those given.
    pub fn held_for(&self, deployment: &str, but: &[Blob]) -> u64 {
        let names: BTreeSet<String> = but.iter().map(name_of).collect();
        self.inner().held_for(deployment, |root| names.contains(root))
    }

    /// Learns which blobs (roots) the manifests name that are kept of each
    /// deployment. Its others count for it no more, unless they just came.
    pub fn set_named(&self, named: &BTreeMap<String, BTreeSet<String>>) {
        let mut inner = self.inner();
        let young = Duration::from_secs(YOUNG_SECONDS);
        inner.holders.retain(|root, holders| {
            let is_named =
                |deployment: &str| named.get(deployment).is_some_and(|roots| roots.contains(root));
            holders.retain(|deployment, since| is_named(deployment) || since.elapsed() < young);
            !holders.is_empty()
        });
        for (deployment, roots) in named {
            for root in roots {
                let holders = inner.holders.entry(root.clone()).or_default();
                holders.entry(deployment.clone()).or_insert_with(Instant::now);
            }
        }
    }

    /// Forgets a blob, whole or not. One that is being taken in stays.
    pub fn remove(&self, root: &str) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.takers.contains_key(root) {
            return Ok(());
        }
        if let Ok(hash) = blake3::Hash::from_hex(root) {
            self.pieces.remove(hash)?;
        }
        inner.promised.remove(root);
        inner.complete.remove(root);
        inner.holders.remove(root);
        Ok(())
    }

    /// Seconds since anything of it was written; 0 where that cannot be told.
    pub fn age(&self, root: &str) -> u64 {
        let files = ["blob", "part"].map(|kind| self.path(root, kind));
        let ages = files.iter().filter(|file| file.exists()).map(|file| atomic::age(file));
        ages.min().unwrap_or(0)
    }

    /// Roots of all that is here, whole or not.
    pub fn list(&self) -> Vec<String> {
        let inner = self.inner();
        inner.complete.keys().chain(inner.promised.keys()).cloned().collect()
    }

    fn is_complete(&self, blob: &Blob) -> bool {
        self.inner().complete.get(&name_of(blob)) == Some(&blob.bytes)
    }

    /// A blob is whole and durable, whoever brought its last piece.
    fn note_complete(&self, holding: &Holding) {
        let name = holding.root().to_hex().to_string();
        let mut inner = self.inner();
        if inner.fetching.remove(&name).is_some() {
            inner.remove_taker(&name);
        }
        note_complete(&mut inner, name, holding);
    }

    fn path(&self, root: &str, kind: &str) -> PathBuf {
        self.directory.join(format!("{root}.{kind}"))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note_complete(inner: &mut Inner, name: String, holding: &Holding) {
    inner.promised.remove(&name);
    inner.complete.insert(name, holding.shape().size());
}

fn name_of(blob: &Blob) -> String {
    blob.root.to_hex().to_string()
}
