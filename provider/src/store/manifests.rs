//! Manifests by their version, the SHA-256 of their canonical bytes.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use stoa_manifest::Manifest;

use super::atomic;
use crate::failpoint::failpoint;

/// A manifest that is on disk and whole.
#[derive(Debug)]
pub struct StoredManifest {
    /// Hex of the SHA-256.
    pub version: String,
    /// BLAKE3 of the canonical bytes.
    pub root: blake3::Hash,
    /// How many they are.
    pub bytes: u64,
    pub manifest: Manifest,
}

impl StoredManifest {
    pub(crate) fn new(version: &str, bytes: &[u8], manifest: Manifest) -> Arc<Self> {
        let (root, length) = (blake3::hash(bytes), bytes.len() as u64);
        Arc::new(Self { version: version.into(), root, bytes: length, manifest })
    }
}

/// A directory of them.
#[derive(Debug)]
pub struct ManifestStore {
    directory: PathBuf,
    known: Mutex<HashMap<String, Arc<StoredManifest>>>,
    /// One file at a time: tenants of one file send it at one time.
    writing: Mutex<()>,
}

impl ManifestStore {
    pub fn open(directory: &Path) -> io::Result<Self> {
        atomic::directory(directory)?;
        Ok(Self { directory: directory.into(), known: Mutex::default(), writing: Mutex::default() })
    }

    /// Keeps canonical bytes that were parsed and checked; doing so again
    /// changes nothing.
    pub fn put(&self, bytes: &[u8], manifest: Manifest) -> io::Result<Arc<StoredManifest>> {
        let version = hex::encode(Sha256::digest(bytes));
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.get(&version)? {
            return Ok(known);
        }
        failpoint("manifest.before_store");
        atomic::write(&self.path(&version), bytes)?;
        failpoint("manifest.after_store");
        let stored = StoredManifest::new(&version, bytes, manifest);
        self.known().insert(version, Arc::clone(&stored));
        Ok(stored)
    }

    /// The manifest of a version. One whose bytes have changed on disk is
    /// not there, and gone for good.
    pub fn get(&self, version: &str) -> io::Result<Option<Arc<StoredManifest>>> {
        if !is_version(version) {
            return Ok(None);
        }
        if let Some(known) = self.known().get(version) {
            return Ok(Some(Arc::clone(known)));
        }
        let path = self.path(version);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let whole = hex::encode(Sha256::digest(&bytes)) == version;
        let Some(manifest) = whole.then(|| Manifest::from_canonical(&bytes).ok()).flatten() else {
            tracing::error!(path = %path.display(), "a stored manifest is damaged; removing it");
            atomic::remove(&path)?;
            return Ok(None);
        };
        let stored = StoredManifest::new(version, &bytes, manifest);
        self.known().insert(version.into(), Arc::clone(&stored));
        Ok(Some(stored))
    }

    /// Versions that are here.
    pub fn list(&self) -> io::Result<Vec<String>> {
        let mut versions = vec![];
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(version) = name.strip_suffix(".json").filter(|v| is_version(v)) {
                versions.push(version.to_owned());
            }
        }
        Ok(versions)
    }

    /// Seconds since it came; 0 where that cannot be told.
    pub fn age(&self, version: &str) -> u64 {
        atomic::age(&self.path(version))
    }

    /// Forgets one.
    pub fn remove(&self, version: &str) -> io::Result<()> {
        self.known().remove(version);
        match is_version(version) {
            true => atomic::remove(&self.path(version)),
            false => Ok(()),
        }
    }

    fn path(&self, version: &str) -> PathBuf {
        self.directory.join(format!("{version}.json"))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<StoredManifest>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_version(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::one_service_manifest;

    #[test]
    fn one_manifest_of_many_tenants_is_kept_though_all_send_it_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = ManifestStore::open(dir.path()).unwrap();
        let manifest = one_service_manifest("nginx");
        let bytes = manifest.canonical_json();
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    store.put(&bytes, manifest.clone()).unwrap();
                });
            }
        });
        assert_eq!(store.list().unwrap().len(), 1);
    }

    #[test]
    fn keeps_over_a_restart_and_drops_what_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = one_service_manifest("nginx:1.27");
        let bytes = manifest.canonical_json();
        let version = hex::encode(manifest.version());
        let store = ManifestStore::open(dir.path()).unwrap();
        assert!(store.get(&version).unwrap().is_none());
        store.put(&bytes, manifest.clone()).unwrap();
        // What a killed write leaves is not a manifest.
        std::fs::write(dir.path().join(format!("{version}.json.new")), b"half").unwrap();

        let again = ManifestStore::open(dir.path()).unwrap();
        assert_eq!(again.get(&version).unwrap().unwrap().manifest, manifest);
        assert_eq!(again.list().unwrap(), std::slice::from_ref(&version));

        std::fs::write(dir.path().join(format!("{version}.json")), b"[]").unwrap();
        let third = ManifestStore::open(dir.path()).unwrap();
        assert!(third.get(&version).unwrap().is_none());
        assert!(third.list().unwrap().is_empty());
        assert!(third.get("../../etc/passwd").unwrap().is_none());
    }
}
