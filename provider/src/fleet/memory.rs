//! What was seen on a machine, on disk: a daemon that starts while the machine
//! is silent still leads requests to what runs there.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::runtime::{InstanceKey, Observation, ObservedInstance};
use crate::store;

/// The file of one machine's.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    path: PathBuf,
    /// Of the machine's certificate: one that was joined anew under an old
    /// name is another.
    fingerprint: String,
}

/// JSON has no maps by instance: they are a list.
#[derive(Serialize, Deserialize)]
struct Seen {
    fingerprint: String,
    instances: Vec<(InstanceKey, ObservedInstance)>,
    /// All else.
    rest: Observation,
}

impl Memory {
    pub(super) fn new(dir: &Path, host: &str, fingerprint: &str) -> Self {
        Self { path: path_of(dir, host), fingerprint: fingerprint.into() }
    }

    /// None where there is nothing of this machine's; a file that is not
    /// understood is as good as none.
    pub(super) fn read(&self) -> Option<Observation> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!("{}: {error}", self.path.display());
                return None;
            }
        };
        match serde_json::from_slice::<Seen>(&bytes) {
            Ok(seen) if seen.fingerprint == self.fingerprint => {
                Some(Observation { instances: seen.instances.into_iter().collect(), ..seen.rest })
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!("{}: {error}; it is made anew", self.path.display());
                None
            }
        }
    }

    /// What is to be written.
    pub(super) fn bytes(&self, mut seen: Observation) -> io::Result<Vec<u8>> {
        let instances = std::mem::take(&mut seen.instances).into_iter().collect();
        let fingerprint = self.fingerprint.clone();
        Ok(serde_json::to_vec(&Seen { fingerprint, instances, rest: seen })?)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        store::write(&self.path, bytes)
    }
}

/// Forgets a machine that is none of the provider's any more.
pub(super) fn forget(dir: &Path, host: &str) {
    let path = path_of(dir, host);
    if let Err(error) = store::remove(&path) {
        tracing::warn!("{}: {error}", path.display());
    }
}

fn path_of(dir: &Path, host: &str) -> PathBuf {
    dir.join(format!("seen-{host}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_machine_of_that_name_had_is_not_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let of = |fingerprint: &str| Memory::new(dir.path(), "n1", fingerprint);
        assert!(of("a").read().is_none());
        let key = InstanceKey { lease: "l".into(), service: "web".into(), index: 0 };
        let instances = [(key.clone(), ObservedInstance::default())].into();
        let leases_with_volumes = ["l".to_string()].into();
        let seen = Observation { instances, leases_with_volumes, ..Observation::default() };
        of("a").write(&of("a").bytes(seen).unwrap()).unwrap();
        let read = of("a").read().unwrap();
        assert!(read.instances.contains_key(&key) && read.leases_with_volumes.contains("l"));
        assert!(of("b").read().is_none());
        assert!(Memory::new(dir.path(), "n2", "a").read().is_none());
        of("a").write(b"{").unwrap();
        assert!(of("a").read().is_none(), "damage is no reason not to start");
        forget(dir.path(), "n1");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
