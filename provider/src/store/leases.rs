//! What must be remembered of each lease: which manifest was accepted, which
//! is served, and how far an update has come.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::atomic;

/// One lease's memory. Versions are in hex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// The lease's id as text.
    pub lease: String,
    /// The version that is to run: manifest and blobs are here.
    pub accepted: Option<String>,
    /// The version that ran completely last: what a failed update goes back
    /// to.
    pub serving: Option<String>,
    /// A version whose update failed; it is not tried again.
    pub rejected: Option<String>,
    /// Why it failed, in words.
    #[serde(default)]
    pub rejected_because: String,
    /// The service that is being updated.
    pub rollout: Option<Rollout>,
    /// Instances that are to stay stopped; at most one entry each.
    #[serde(default)]
    pub overuses: Vec<Overuse>,
    /// The version that the chain named last and whose manifest came.
    #[serde(default)]
    pub wanted: Option<String>,
    /// Unix seconds at which the chain positively said "closed".
    pub closed_at: Option<u64>,
    /// Nothing of it is left at the engine.
    #[serde(default)]
    pub removed: bool,
}

/// An update under way, at one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    pub version: String,
    /// Empty where something that its containers are made of cannot be had:
    /// nothing of the version before was touched yet.
    pub service: String,
    /// Unix seconds.
    pub since: u64,
}

/// An instance that wrote more than it was sold. It stays stopped as long as
/// the same version is wanted and the same container is there: its tenant
/// ends that with an update, the operator by removing the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overuse {
    pub service: String,
    pub index: u32,
    /// The engine's id.
    pub container: String,
    /// The version that was wanted.
    pub version: String,
    /// The persistent volume; `None`: ephemeral storage.
    pub volume: Option<String>,
    pub used_bytes: u64,
    pub limit_bytes: u64,
}

impl LeaseRecord {
    /// Takes a mark in, and drops what it makes pointless.
    pub fn note_overuse(&mut self, overuse: Overuse) {
        self.overuses.retain(|old| {
            old.version == overuse.version
                && (&old.service, old.index) != (&overuse.service, overuse.index)
        });
        self.overuses.push(overuse);
    }
}

/// The records, in memory and on disk.
#[derive(Debug)]
pub struct LeaseStore {
    directory: PathBuf,
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    known: BTreeMap<String, LeaseRecord>,
    /// Those whose last change is not on disk.
    unwritten: BTreeSet<String>,
}

impl LeaseStore {
    /// Reads all. A record that does not parse is an error: losing one could
    /// lose a tenant's version.
    pub fn open(directory: &Path) -> io::Result<Self> {
        atomic::directory(directory)?;
        let mut known = BTreeMap::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let record: LeaseRecord = serde_json::from_slice(&std::fs::read(&path)?)
                .map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?;
            known.insert(record.lease.clone(), record);
        }
        let records = Records { known, unwritten: BTreeSet::new() };
        Ok(Self { directory: directory.into(), records: Mutex::new(records) })
    }

    /// What is known of a lease; an empty record where nothing is.
    pub fn get(&self, lease: &str) -> LeaseRecord {
        let known = self.records().known.get(lease).cloned();
        known.unwrap_or_else(|| LeaseRecord { lease: lease.into(), ..LeaseRecord::default() })
    }

    pub fn has(&self, lease: &str) -> bool {
        self.records().known.contains_key(lease)
    }

    pub fn all(&self) -> Vec<LeaseRecord> {
        self.records().known.values().cloned().collect()
    }

    /// Changes a record; it is on disk before this returns.
    pub fn update(
        &self,
        lease: &str,
        change: impl FnOnce(&mut LeaseRecord),
    ) -> io::Result<LeaseRecord> {
        let mut records = self.records();
        let before = records.known.get(lease).cloned();
        let mut record = before
            .clone()
            .unwrap_or_else(|| LeaseRecord { lease: lease.into(), ..LeaseRecord::default() });
        change(&mut record);
        if before.as_ref() != Some(&record) || records.unwritten.contains(lease) {
            atomic::write(&self.path(lease), &serde_json::to_vec_pretty(&record)?)?;
            records.unwritten.remove(lease);
            records.known.insert(lease.into(), record.clone());
        }
        Ok(record)
    }

    /// The same, and where it cannot be written it holds for this process all
    /// the same: what fills a disk must be stopped also when it is full. A
    /// later change, or [`LeaseStore::write_rest`], brings it to disk.
    pub fn update_even_unwritten(
        &self,
        lease: &str,
        change: impl Fn(&mut LeaseRecord),
    ) -> io::Result<()> {
        let Err(error) = self.update(lease, &change) else { return Ok(()) };
        let mut records = self.records();
        records.unwritten.insert(lease.into());
        change(
            records
                .known
                .entry(lease.into())
                .or_insert_with(|| LeaseRecord { lease: lease.into(), ..LeaseRecord::default() }),
        );
        Err(error)
    }

    /// Writes what could not be written.
    pub fn write_rest(&self) -> io::Result<()> {
        let unwritten = self.records().unwritten.clone();
        unwritten.iter().try_for_each(|lease| self.update(lease, |_| {}).map(drop))
    }

    pub fn remove(&self, lease: &str) -> io::Result<()> {
        let mut records = self.records();
        records.known.remove(lease);
        records.unwritten.remove(lease);
        atomic::remove(&self.path(lease))
    }

    /// Ids hold slashes and may be long: the file goes by their hash.
    fn path(&self, lease: &str) -> PathBuf {
        let name = hex::encode(Sha256::digest(lease.as_bytes()));
        self.directory.join(format!("{}.json", &name[..32]))
    }

    fn records(&self) -> std::sync::MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = LeaseStore::open(dir.path()).unwrap();
        assert_eq!(store.get("a/1/1/1/p").accepted, None);
        store.update("a/1/1/1/p", |record| record.accepted = Some("ff".into())).unwrap();
        let again = LeaseStore::open(dir.path()).unwrap();
        assert_eq!(again.get("a/1/1/1/p").accepted.as_deref(), Some("ff"));
        again.remove("a/1/1/1/p").unwrap();
        assert!(LeaseStore::open(dir.path()).unwrap().all().is_empty());
        std::fs::write(dir.path().join("x.json"), b"{").unwrap();
        assert!(LeaseStore::open(dir.path()).is_err());
    }
}
