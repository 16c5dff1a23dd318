//! Blobs (images that come with a deployment): taken in pieces, resumed
//! after any interruption, verified by BLAKE3 before they count.
//!
//! A tenant's upload arrives in `<root>.upload`; `<root>.synced` says how many
//! of its bytes are known to be on disk. After a restart what lies behind them
//! is cut off. When all are there and the hash is right, it is renamed to
//! `<root>.blob`. What other providers send comes piece by piece, each verified
//! by itself, into `<root>.part` and its companions ([`stoa_swarm::Store`]).

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoa_manifest::Blob;
use stoa_swarm::{Holding, Shape, Store};

use super::atomic;
use crate::config::Storage;
use crate::failpoint::failpoint;

/// The most that one piece may hold.
pub const MAX_CHUNK: usize = 1 << 20;
/// Bytes are synced at least this often.
const SYNC_EVERY: u64 = 8 << 20;
const READ_BUFFER: usize = 1 << 20;
/// Left free on the disk whatever is uploaded: manifests and records are small.
const SPARE_BYTES: u64 = 64 << 20;

/// How far a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobState {
    /// Bytes that are here and synced.
    pub have: u64,
    /// Whole and verified.
    pub complete: bool,
}

/// Why a blob was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("the piece begins at byte {given}, but {have} are here; go on from there")]
    Offset { given: u64, have: u64 },
    #[error("a piece of {0} bytes; right is 1 to {MAX_CHUNK}")]
    Chunk(usize),
    #[error("{end} bytes are more than the {size} that the manifest names")]
    TooLong { end: u64, size: u64 },
    #[error("blob {0} is being uploaded by another call; wait for it or go on later")]
    Busy(String),
    #[error("the bytes are not blob {0} (their hash is {1}); they are dropped: upload it again")]
    Mismatch(String, String),
    #[error("no room: {0}")]
    Quota(String),
    #[error("blob storage: {0}")]
    Io(#[from] io::Error),
}

/// A directory of blobs.
#[derive(Debug)]
pub struct BlobStore {
    directory: PathBuf,
    limits: Storage,
    /// The same directory, piece by piece.
    pieces: Store,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Blobs with an upload under way.
    busy: HashSet<String>,
    /// Sizes promised to uploads that are not complete, by root.
    promised: HashMap<String, u64>,
    /// Whole blobs, verified when they came.
    complete: HashMap<String, u64>,
    /// Blobs that come from other providers.
    fetching: HashMap<String, Arc<Holding>>,
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
            } else if let Some(root) = part_of(&name) {
                let promised = inner.promised.entry(root.into()).or_default();
                *promised = length.max(*promised);
            }
        }
        let pieces = Store::open(directory);
        Ok(Self { directory: directory.into(), limits, pieces, inner: Mutex::new(inner) })
    }

    /// How far a blob is, by upload or from other providers.
    pub fn progress(&self, blob: &Blob) -> io::Result<BlobState> {
        let state = self.state(blob)?;
        let root = blob.root.to_hex().to_string();
        let fetched = self.inner().fetching.get(&root).map(|holding| holding.bytes());
        Ok(BlobState { have: state.have.max(fetched.unwrap_or(0)), ..state })
    }

    /// Begins or goes on to take a blob from other providers.
    pub fn begin_fetch(&self, blob: &Blob) -> Result<Arc<Holding>, BlobError> {
        let root = blob.root.to_hex().to_string();
        if let Some(holding) = self.inner().fetching.get(&root) {
            return Ok(Arc::clone(holding));
        }
        let shape = Shape::new(blob.bytes)
            .ok_or_else(|| BlobError::Quota(format!("a blob of {} bytes", blob.bytes)))?;
        self.check_disk(blob)?;
        self.check_quota(&self.inner(), &root, blob.bytes)?;
        let holding = self.pieces.holding(blob.root, shape)?;
        let mut inner = self.inner();
        inner.promised.insert(root.clone(), blob.bytes);
        inner.fetching.insert(root, Arc::clone(&holding));
        Ok(holding)
    }

    /// Ends that: it is whole now, or no longer wanted. What came is kept.
    pub fn end_fetch(&self, root: &blake3::Hash) {
        let name = root.to_hex().to_string();
        let mut inner = self.inner();
        let Some(holding) = inner.fetching.remove(&name) else { return };
        if holding.is_finished() {
            inner.promised.remove(&name);
            inner.complete.insert(name, holding.shape().size());
        }
    }

    /// Blobs that come from other providers now.
    pub fn fetching(&self) -> Vec<blake3::Hash> {
        self.inner().fetching.values().map(|holding| holding.root()).collect()
    }

    /// What is here of a blob in verified pieces, to serve it.
    pub fn held(&self, blob: &Blob) -> io::Result<Option<Arc<Holding>>> {
        let found = self.pieces.find(blob.root)?;
        Ok(found.filter(|holding| holding.shape().size() == blob.bytes))
    }

    /// How far an upload of a blob is.
    pub fn state(&self, blob: &Blob) -> io::Result<BlobState> {
        let root = blob.root.to_hex().to_string();
        if self.inner().complete.get(&root) == Some(&blob.bytes) {
            return Ok(BlobState { have: blob.bytes, complete: true });
        }
        let synced = self.read_synced(&root)?;
        let length = match std::fs::metadata(self.path(&root, "upload")) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(BlobState { have: synced.min(length), complete: false })
    }

    /// Where a whole blob lies.
    pub fn path_of(&self, blob: &Blob) -> Option<PathBuf> {
        let root = blob.root.to_hex().to_string();
        let whole = self.inner().complete.get(&root) == Some(&blob.bytes);
        whole.then(|| self.path(&root, "blob"))
    }

    /// Begins or goes on with an upload; the only one of this blob until it
    /// is dropped. None: the blob is whole already.
    pub fn begin(self: &Arc<Self>, blob: Blob) -> Result<Option<Upload>, BlobError> {
        let root = blob.root.to_hex().to_string();
        if self.state(&blob)?.complete {
            return Ok(None);
        }
        self.check_disk(&blob)?;
        {
            let mut inner = self.inner();
            self.check_quota(&inner, &root, blob.bytes)?;
            if !inner.busy.insert(root.clone()) {
                return Err(BlobError::Busy(root));
            }
            inner.promised.insert(root.clone(), blob.bytes);
        }
        let opened = self.open_part(&root, &blob);
        match opened {
            Ok((file, have)) => Ok(Some(Upload {
                store: Arc::clone(self),
                blob,
                root,
                file,
                written: have,
                synced: have,
            })),
            Err(error) => {
                self.inner().busy.remove(&root);
                Err(error.into())
            }
        }
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

    /// Opens what is there of it, without the part that may not be on disk.
    fn open_part(&self, root: &str, blob: &Blob) -> io::Result<(File, u64)> {
        let have = self.state(blob)?.have;
        let path = self.path(root, "upload");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.set_len(have)?;
        let mut file = file;
        io::Seek::seek(&mut file, io::SeekFrom::Start(have))?;
        Ok((file, have))
    }

    /// Forgets a blob, whole or not. One that is being uploaded stays.
    pub fn remove(&self, root: &str) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.busy.contains(root) || inner.fetching.contains_key(root) {
            return Ok(());
        }
        if let Ok(hash) = blake3::Hash::from_hex(root) {
            self.pieces.remove(hash)?;
        }
        self.remove_upload(&mut inner, root)?;
        inner.complete.remove(root);
        Ok(())
    }

    /// An upload that is none, or over.
    fn remove_upload(&self, inner: &mut Inner, root: &str) -> io::Result<()> {
        if !inner.fetching.contains_key(root) {
            inner.promised.remove(root);
        }
        ["upload", "synced"].iter().try_for_each(|kind| atomic::remove(&self.path(root, kind)))
    }

    /// Seconds since anything of it was written; 0 where that cannot be told.
    pub fn age(&self, root: &str) -> u64 {
        let files = ["blob", "upload", "part"].map(|kind| self.path(root, kind));
        let ages = files.iter().filter(|file| file.exists()).map(|file| atomic::age(file));
        ages.min().unwrap_or(0)
    }

    /// Roots of all that is here, whole or not.
    pub fn list(&self) -> Vec<String> {
        let inner = self.inner();
        inner.complete.keys().chain(inner.promised.keys()).cloned().collect()
    }

    fn read_synced(&self, root: &str) -> io::Result<u64> {
        match std::fs::read_to_string(self.path(root, "synced")) {
            Ok(text) => Ok(text.trim().parse().unwrap_or(0)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn path(&self, root: &str, kind: &str) -> PathBuf {
        self.directory.join(format!("{root}.{kind}"))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One upload. Blocking: use it off the event loop.
#[derive(Debug)]
pub struct Upload {
    store: Arc<BlobStore>,
    blob: Blob,
    root: String,
    file: File,
    written: u64,
    synced: u64,
}

impl Upload {
    /// Bytes taken so far.
    pub fn have(&self) -> u64 {
        self.written
    }

    /// Takes the next piece.
    pub fn push(&mut self, offset: u64, data: &[u8]) -> Result<(), BlobError> {
        if data.is_empty() || data.len() > MAX_CHUNK {
            return Err(BlobError::Chunk(data.len()));
        }
        if offset != self.written {
            return Err(BlobError::Offset { given: offset, have: self.written });
        }
        let end = offset.saturating_add(data.len() as u64);
        if end > self.blob.bytes {
            return Err(BlobError::TooLong { end, size: self.blob.bytes });
        }
        self.file.write_all(data)?;
        self.written = end;
        if self.written - self.synced >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes what was taken durable, then the count of it.
    pub fn sync(&mut self) -> Result<(), BlobError> {
        self.file.sync_data()?;
        failpoint("blob.after_sync");
        let count = self.written.to_string();
        atomic::write(&self.store.path(&self.root, "synced"), count.as_bytes())?;
        self.synced = self.written;
        Ok(())
    }

    /// Ends the upload: keeps a part for later, or verifies and keeps the
    /// whole.
    pub fn finish(mut self) -> Result<BlobState, BlobError> {
        if self.written != self.synced {
            self.sync()?;
        }
        if self.written < self.blob.bytes {
            return Ok(BlobState { have: self.written, complete: false });
        }
        let upload = self.store.path(&self.root, "upload");
        failpoint("blob.before_rename");
        if self.store.pieces.adopt(self.blob.root, &upload)?.is_none() {
            let hash = hash_file(&upload)?;
            self.store.remove_upload(&mut self.store.inner(), &self.root)?;
            return Err(BlobError::Mismatch(self.root.clone(), hash.to_hex().to_string()));
        }
        failpoint("blob.after_store");
        atomic::remove(&self.store.path(&self.root, "synced"))?;
        let mut inner = self.store.inner();
        inner.promised.remove(&self.root);
        inner.complete.insert(self.root.clone(), self.blob.bytes);
        drop(inner);
        Ok(BlobState { have: self.blob.bytes, complete: true })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A connection that broke: what came is kept for the next.
        if self.written != self.synced && self.written < self.blob.bytes {
            let _ = self.sync();
        }
        self.store.inner().busy.remove(&self.root);
    }
}

/// The root of a file that holds some of a blob.
fn part_of(name: &str) -> Option<&str> {
    name.strip_suffix(".upload").or_else(|| name.strip_suffix(".part"))
}

fn hash_file(path: &Path) -> io::Result<blake3::Hash> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&buffer[..read]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Size;

    fn blob(bytes: &[u8]) -> Blob {
        Blob { root: blake3::hash(bytes), bytes: bytes.len() as u64 }
    }

    fn store(dir: &Path) -> Arc<BlobStore> {
        Arc::new(BlobStore::open(dir, Storage::default()).unwrap())
    }

    #[test]
    fn an_upload_goes_on_where_a_kill_left_it() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let blob = blob(&bytes);
        let first = store(dir.path());
        let mut upload = first.begin(blob).unwrap().unwrap();
        upload.push(0, &bytes[..MAX_CHUNK]).unwrap();
        upload.sync().unwrap();
        upload.push(MAX_CHUNK as u64, &bytes[MAX_CHUNK..2 * MAX_CHUNK]).unwrap();
        // As a kill does it: no drop, and bytes that were never synced.
        std::mem::forget(upload);

        let second = store(dir.path());
        assert_eq!(second.state(&blob).unwrap().have, MAX_CHUNK as u64);
        let mut upload = second.begin(blob).unwrap().unwrap();
        assert!(matches!(second.begin(blob), Err(BlobError::Busy(_))));
        let wrong = upload.push(0, &bytes[..10]).unwrap_err();
        assert!(matches!(wrong, BlobError::Offset { have, .. } if have == MAX_CHUNK as u64));
        let mut at = MAX_CHUNK;
        while at < bytes.len() {
            let end = bytes.len().min(at + MAX_CHUNK);
            upload.push(at as u64, &bytes[at..end]).unwrap();
            at = end;
        }
        let done = upload.finish().unwrap();
        assert!(done.complete);
        assert!(second.begin(blob).unwrap().is_none());

        let third = store(dir.path());
        assert!(third.state(&blob).unwrap().complete);
        assert_eq!(std::fs::read(third.path_of(&blob).unwrap()).unwrap(), bytes);
        third.remove(&blob.root.to_hex()).unwrap();
        assert!(third.list().is_empty());
    }

    #[test]
    fn wrong_bytes_and_too_many_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let good = blob(b"good");
        let mut upload = store.begin(good).unwrap().unwrap();
        assert!(matches!(upload.push(0, b"goods"), Err(BlobError::TooLong { .. })));
        assert!(matches!(upload.push(0, b""), Err(BlobError::Chunk(0))));
        upload.push(0, b"evil").unwrap();
        assert!(matches!(upload.finish(), Err(BlobError::Mismatch(..))));
        assert_eq!(store.state(&good).unwrap(), BlobState { have: 0, complete: false });
        assert!(store.begin(good).unwrap().is_some());
    }

    #[test]
    fn promised_bytes_count_against_the_quota() {
        let dir = tempfile::tempdir().unwrap();
        let limits =
            Storage { max_blob: Size(100), max_blob_bytes: Size(150), ..Storage::default() };
        let store = Arc::new(BlobStore::open(dir.path(), limits).unwrap());
        let of = |text: &[u8], bytes| Blob { root: blake3::hash(text), bytes };
        assert!(matches!(store.begin(of(b"a", 101)), Err(BlobError::Quota(_))));
        let first = store.begin(of(b"a", 100)).unwrap();
        assert!(matches!(store.begin(of(b"b", 51)), Err(BlobError::Quota(_))));
        drop(first);
        assert!(store.begin(of(b"c", 50)).unwrap().is_some());
    }
}
