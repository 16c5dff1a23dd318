//! Manifests by the deployment that they were given for and their version,
//! the SHA-256 of their canonical bytes. A version is public on chain, and
//! any deployment may name it there: one that has not given the manifest
//! itself has nothing of it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// Deployment, as text, and version.
type Key = (String, String);

/// A directory of them.
#[derive(Debug)]
pub struct ManifestStore {
    directory: PathBuf,
    known: Mutex<HashMap<Key, Arc<StoredManifest>>>,
    /// One file at a time: a tenant and its other providers may bring it at one time.
    writing: Mutex<()>,
}

impl ManifestStore {
    pub fn open(directory: &Path) -> io::Result<Self> {
        atomic::directory(directory)?;
        Ok(Self { directory: directory.into(), known: Mutex::default(), writing: Mutex::default() })
    }

    /// Keeps canonical bytes that were parsed and checked for a deployment;
    /// doing so again changes nothing but their age.
    pub fn put(
        &self,
        deployment: &str,
        bytes: &[u8],
        manifest: Manifest,
    ) -> io::Result<Arc<StoredManifest>> {
        let version = hex::encode(Sha256::digest(bytes));
        let _one = self.hold();
        let path = self.path(deployment, &version).ok_or(io::ErrorKind::InvalidInput)?;
        if let Some(known) = self.get(deployment, &version)? {
            // One that comes again may have been about to go.
            if atomic::renew(&path).is_ok() {
                return Ok(known);
            }
        }
        failpoint("manifest.before_store");
        atomic::write(&path, bytes)?;
        failpoint("manifest.after_store");
        let stored = StoredManifest::new(&version, bytes, manifest);
        self.known().insert((deployment.into(), version), Arc::clone(&stored));
        Ok(stored)
    }

    /// As long as this is held, none comes.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A deployment's manifest of a version. One whose bytes have changed on
    /// disk is not there, and gone for good.
    pub fn get(&self, deployment: &str, version: &str) -> io::Result<Option<Arc<StoredManifest>>> {
        let key = (deployment.to_owned(), version.to_owned());
        if let Some(known) = self.known().get(&key) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(path) = self.path(deployment, version) else { return Ok(None) };
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
        self.known().insert(key, Arc::clone(&stored));
        Ok(Some(stored))
    }

    /// Deployments and versions that are here.
    pub fn list(&self) -> io::Result<Vec<(String, String)>> {
        let mut all = vec![];
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let parts = name.strip_suffix(".json").and_then(|name| name.rsplit_once('.'));
            if let Some((deployment, version)) = parts.filter(|(_, v)| is_version(v)) {
                all.push((deployment.replace('.', "/"), version.to_owned()));
            }
        }
        Ok(all)
    }

    /// Seconds since it came; 0 where that cannot be told.
    pub fn age(&self, deployment: &str, version: &str) -> u64 {
        self.path(deployment, version).map_or(0, |path| atomic::age(&path))
    }

    /// Forgets one.
    pub fn remove(&self, deployment: &str, version: &str) -> io::Result<()> {
        self.known().remove(&(deployment.to_owned(), version.to_owned()));
        self.path(deployment, version).map_or(Ok(()), |path| atomic::remove(&path))
    }

    /// None where these are no deployment, or no version.
    fn path(&self, deployment: &str, version: &str) -> Option<PathBuf> {
        let (owner, dseq) = deployment.split_once('/')?;
        let proper =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let name = format!("{owner}.{dseq}.{version}.json");
        let good = proper(owner) && proper(dseq) && is_version(version);
        good.then(|| self.directory.join(name))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Arc<StoredManifest>>> {
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

    const MINE: &str = "stoa1mine/7";

    #[test]
    fn a_manifest_that_comes_from_many_sides_at_once_is_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = ManifestStore::open(dir.path()).unwrap();
        let manifest = one_service_manifest("nginx");
        let bytes = manifest.canonical_json();
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    store.put(MINE, &bytes, manifest.clone()).unwrap();
                });
            }
        });
        assert_eq!(store.list().unwrap().len(), 1);
    }

    #[test]
    fn a_deployment_has_nothing_of_anothers_manifest_though_it_names_the_version() {
        let dir = tempfile::tempdir().unwrap();
        let store = ManifestStore::open(dir.path()).unwrap();
        let manifest = one_service_manifest("nginx");
        let stored = store.put(MINE, &manifest.canonical_json(), manifest.clone()).unwrap();
        for other in ["stoa1other/7", "stoa1mine/8", "stoa1mine", "../stoa1mine/7", "a.b/7", "/7"] {
            assert!(store.get(other, &stored.version).unwrap().is_none(), "{other}");
            assert_eq!(store.age(other, &stored.version), 0);
            store.remove(other, &stored.version).unwrap();
        }
        assert!(store.put("../a/7", &manifest.canonical_json(), manifest.clone()).is_err());
        let again = ManifestStore::open(dir.path()).unwrap();
        assert!(again.get("stoa1other/7", &stored.version).unwrap().is_none());
        assert!(again.get(MINE, &stored.version).unwrap().is_some());
        assert_eq!(again.list().unwrap(), [(MINE.to_owned(), stored.version.clone())]);
        again.remove(MINE, &stored.version).unwrap();
        assert!(again.get(MINE, &stored.version).unwrap().is_none());
    }

    #[test]
    fn a_manifest_that_comes_again_is_young_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = ManifestStore::open(dir.path()).unwrap();
        let manifest = one_service_manifest("nginx");
        let version = hex::encode(manifest.version());
        store.put(MINE, &manifest.canonical_json(), manifest.clone()).unwrap();
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(9000);
        let file = std::fs::File::open(store.path(MINE, &version).unwrap()).unwrap();
        file.set_modified(long_ago).unwrap();
        assert!(store.age(MINE, &version) >= 9000);
        store.put(MINE, &manifest.canonical_json(), manifest).unwrap();
        assert!(store.age(MINE, &version) < 9000);
    }

    #[test]
    fn keeps_over_a_restart_and_drops_what_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = one_service_manifest("nginx:1.27");
        let bytes = manifest.canonical_json();
        let version = hex::encode(manifest.version());
        let store = ManifestStore::open(dir.path()).unwrap();
        assert!(store.get(MINE, &version).unwrap().is_none());
        store.put(MINE, &bytes, manifest.clone()).unwrap();
        // What a killed write leaves is not a manifest.
        let path = store.path(MINE, &version).unwrap();
        std::fs::write(path.with_extension("json.new"), b"half").unwrap();

        let again = ManifestStore::open(dir.path()).unwrap();
        assert_eq!(again.get(MINE, &version).unwrap().unwrap().manifest, manifest);
        assert_eq!(again.list().unwrap(), [(MINE.to_owned(), version.clone())]);

        std::fs::write(&path, b"[]").unwrap();
        let third = ManifestStore::open(dir.path()).unwrap();
        assert!(third.get(MINE, &version).unwrap().is_none());
        assert!(third.list().unwrap().is_empty());
        assert!(third.get(MINE, "../../etc/passwd").unwrap().is_none());
    }
}
