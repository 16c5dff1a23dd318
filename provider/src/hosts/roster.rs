//! Which machines the provider has besides the daemon's own, and what its
//! operator ordered about each.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::config::{Cores, Size};
use crate::store;

/// The machine that the daemon runs on.
pub const LOCAL: &str = "local";
const MAX_HOSTS: usize = 256;
const MAX_NAME: usize = 40;

/// All of them, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    #[serde(default)]
    pub hosts: BTreeMap<String, HostEntry>,
    /// What is ordered about the daemon's own machine.
    #[serde(default)]
    pub local: HostOrder,
}

/// One.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostEntry {
    /// Where its agent listens.
    pub address: SocketAddr,
    /// Where its relay does.
    pub relay: SocketAddr,
    /// SHA-256 of its certificate, hex: no other is talked to.
    pub fingerprint: String,
    /// What of it is for sale; all of it unless given.
    #[serde(default)]
    pub declared: Declared,
    #[serde(default)]
    pub order: HostOrder,
}

/// What of a machine is for sale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    pub cpu: Option<Cores>,
    pub memory: Option<Size>,
    pub storage: Option<Size>,
}

/// What the operator ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostOrder {
    /// To be used.
    #[default]
    Active,
    /// Nothing new goes there, and what can move does.
    Draining,
    /// It will not come back as it was: what ran there is placed anew.
    Dead,
}

impl HostOrder {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Dead => "dead",
        }
    }
}

/// Of names in certificates and on the command line.
pub fn is_host_name(name: &str) -> bool {
    let clean = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name != LOCAL
        && name.chars().all(clean)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

pub(super) fn bad_name(name: &str) -> String {
    format!(
        "`{name}` is no machine's name: 1 to {MAX_NAME} of a-z, 0-9 and -, and not `{LOCAL}`, \
         which is the daemon's own machine"
    )
}

/// The roster on disk.
#[derive(Debug, Clone)]
pub struct RosterFile {
    path: PathBuf,
}

impl RosterFile {
    pub fn new(dir: &Path) -> Self {
        Self { path: dir.join("roster.json") }
    }

    /// Empty where there is none.
    pub fn read(&self) -> io::Result<Roster> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| io::Error::other(format!("{}: {e}", self.path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Roster::default()),
            Err(error) => Err(error),
        }
    }

    /// Changes it; one process at a time.
    pub fn update<T>(
        &self,
        change: impl FnOnce(&mut Roster) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let lock = File::create(self.path.with_extension("lock"))?;
        let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        let mut roster = self.read()?;
        let result = change(&mut roster)?;
        anyhow::ensure!(roster.hosts.len() <= MAX_HOSTS, "at most {MAX_HOSTS} machines");
        store::write(&self.path, &serde_json::to_vec_pretty(&roster)?)?;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_certificates_and_local_is_taken() {
        for good in ["a", "node-2", "r4u17"] {
            assert!(is_host_name(good), "{good}");
        }
        let long = "a".repeat(41);
        for bad in ["", "local", "Node", "a.b", "-a", "a-", "a/b", &long] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_change_that_fails_leaves_the_roster_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = RosterFile::new(dir.path());
        file.update(|roster| {
            roster.local = HostOrder::Draining;
            Ok(())
        })
        .unwrap();
        let failed: anyhow::Result<()> = file.update(|roster| {
            roster.local = HostOrder::Dead;
            anyhow::bail!("no")
        });
        assert!(failed.is_err());
        assert_eq!(file.read().unwrap().local, HostOrder::Draining);
    }
}
