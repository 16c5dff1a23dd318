//! Which instance has its place on which machine: on disk before anything of
//! it is made there, so that a restarted daemon neither moves nor doubles it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::runtime::{GpuRequest, InstanceKey, Need, Placed};
use crate::store;

/// One instance's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    pub key: InstanceKey,
    pub host: String,
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    pub storage_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuRequest>,
    /// Its persistent volumes are there.
    pub has_volumes: bool,
}

/// All of them.
pub struct Placements {
    path: PathBuf,
    entries: Mutex<BTreeMap<InstanceKey, Placement>>,
}

impl Placement {
    pub fn new(need: &Need, host: &str) -> Self {
        Self {
            key: need.key.clone(),
            host: host.into(),
            cpu_millis: need.cpu_millis,
            memory_bytes: need.memory_bytes,
            storage_bytes: need.storage_bytes,
            gpu: need.gpu.clone(),
            has_volumes: need.has_volumes,
        }
    }

    /// Found running, of a size that nobody has told yet.
    pub fn found(key: &InstanceKey, host: &str) -> Self {
        Self {
            key: key.clone(),
            host: host.into(),
            cpu_millis: 0,
            memory_bytes: 0,
            storage_bytes: 0,
            gpu: None,
            // To be on the safe side until its manifest is looked at.
            has_volumes: true,
        }
    }
}

impl Placements {
    /// An unreadable file is an error: without it instances could be doubled.
    pub fn open(path: &Path) -> io::Result<Self> {
        let list: Vec<Placement> = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
            Err(error) => return Err(error),
        };
        let entries = list.into_iter().map(|one| (one.key.clone(), one)).collect();
        Ok(Self { path: path.into(), entries: Mutex::new(entries) })
    }

    pub fn get(&self, key: &InstanceKey) -> Option<Placement> {
        self.entries().get(key).cloned()
    }

    pub fn host_of(&self, key: &InstanceKey) -> Option<String> {
        self.entries().get(key).map(|placement| placement.host.clone())
    }

    pub fn on(&self, host: &str) -> Vec<Placement> {
        self.entries().values().filter(|one| one.host == host).cloned().collect()
    }

    pub fn has_lease_on(&self, lease: &str, host: &str) -> bool {
        self.entries().values().any(|one| one.host == host && one.key.lease == lease)
    }

    /// Their sizes, for working out what is free.
    pub fn taken_on(&self, host: &str) -> Vec<Placed> {
        let of = |one: Placement| Placed {
            lease: one.key.lease,
            cpu_millis: one.cpu_millis,
            memory_bytes: one.memory_bytes,
            storage_bytes: one.storage_bytes,
            gpu: one.gpu,
        };
        self.on(host).into_iter().map(of).collect()
    }

    /// Durable when this returns.
    pub fn put(&self, placements: Vec<Placement>) -> io::Result<()> {
        self.change(|entries| {
            for placement in placements {
                entries.insert(placement.key.clone(), placement);
            }
        })
    }

    pub fn remove(&self, key: &InstanceKey) -> io::Result<()> {
        self.change(|entries| drop(entries.remove(key)))
    }

    pub fn remove_lease(&self, lease: &str) -> io::Result<()> {
        self.change(|entries| entries.retain(|key, _| key.lease != lease))
    }

    /// On disk first; what cannot be written is not so.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<InstanceKey, Placement>)) -> io::Result<()> {
        let mut entries = self.entries();
        let mut next = entries.clone();
        change(&mut next);
        if next != *entries {
            let list: Vec<&Placement> = next.values().collect();
            store::write(&self.path, &serde_json::to_vec(&list)?)?;
            *entries = next;
        }
        Ok(())
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<InstanceKey, Placement>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
