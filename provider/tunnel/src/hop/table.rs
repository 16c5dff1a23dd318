//! The instances on this machine, as a file that the agent writes and the
//! relay reads: each lives without the other.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// The file's name in the state directory. It is replaced whole.
pub const TABLE_FILE: &str = "instances.json";
/// The file's longest.
const MAX_BYTES: u64 = 64 << 20;

/// All that may be reached here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceTable {
    pub instances: Vec<RelayInstance>,
}

/// One instance, reached from its link container's network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayInstance {
    /// `lease/service[index]`.
    pub instance: String,
    /// The link container's network namespace.
    pub netns: PathBuf,
    /// The workload's address in it.
    pub address: IpAddr,
}

/// The table as it is on disk now.
pub(super) struct LiveInstances {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Arc<InstanceTable>)>>,
}

/// By which a file that was replaced is known: its inode is another.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    inode: u64,
    bytes: u64,
}

impl LiveInstances {
    pub(super) fn new(state: &Path) -> Self {
        Self { path: state.join(TABLE_FILE), read: Mutex::default() }
    }

    pub(super) fn find(&self, instance: &str) -> io::Result<RelayInstance> {
        let table = self.current()?;
        let found = table.instances.iter().find(|known| known.instance == instance);
        found.cloned().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{instance} does not run here"))
        })
    }

    fn current(&self) -> io::Result<Arc<InstanceTable>> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(&self.path)?;
        let stamp = Stamp {
            modified: metadata.modified().ok(),
            inode: metadata.ino(),
            bytes: metadata.len(),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, table)) = read.as_ref() {
            if *known == stamp {
                return Ok(Arc::clone(table));
            }
        }
        if stamp.bytes > MAX_BYTES {
            return Err(io::Error::other(format!("{} is too large", self.path.display())));
        }
        let table: InstanceTable = serde_json::from_slice(&std::fs::read(&self.path)?)?;
        let table = Arc::new(table);
        *read = Some((stamp, Arc::clone(&table)));
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_replaced_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let live = LiveInstances::new(dir.path());
        assert!(live.find("a").is_err(), "no table yet");
        let put = |names: &[&str]| {
            let of = |name: &&str| RelayInstance {
                instance: name.to_string(),
                netns: "/n".into(),
                address: [10, 0, 0, 3].into(),
            };
            let table = InstanceTable { instances: names.iter().map(of).collect() };
            let new = dir.path().join("new");
            std::fs::write(&new, serde_json::to_vec(&table).unwrap()).unwrap();
            std::fs::rename(new, dir.path().join(TABLE_FILE)).unwrap();
        };
        put(&["a"]);
        live.find("a").unwrap();
        put(&["b"]);
        live.find("b").unwrap();
        assert_eq!(live.find("a").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
