//! `localnet.json`: what a network is made of, for everybody who wants to talk to it.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::process::start_time;

/// The file's name in the network's directory.
pub const FILE: &str = "localnet.json";

/// A network as it was made, and what runs of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The chain's name.
    pub chain_id: String,
    /// Milliseconds from block to block.
    pub block_ms: u64,
    /// Who keeps the processes; None once the network is down.
    pub supervisor: Option<Running>,
    /// The validators.
    pub nodes: Vec<Node>,
    /// The providers.
    pub providers: Vec<Provider>,
    /// The funded development keys.
    pub keys: Keys,
}

/// A process, so that another one of the same id is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its id.
    pub pid: u32,
    /// The kernel's ticks from boot to its start.
    pub started: u64,
}

impl Running {
    /// The process of this id, if there is one.
    pub fn of(pid: u32) -> Option<Self> {
        start_time(pid).map(|started| Self { pid, started })
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }
}

/// A validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Such as `node0`.
    pub name: String,
    /// Its home directory.
    pub home: PathBuf,
    /// CometBFT's RPC, as a URL.
    pub rpc: String,
    /// gRPC, as a URL.
    pub grpc: String,
    /// REST, as a URL.
    pub rest: String,
    /// Where its peers find it, `ID@host:port`.
    pub peer: String,
    /// stoad's process, while it runs.
    pub process: Option<Running>,
}

/// A provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Such as `provider0`.
    pub name: String,
    /// Its account.
    pub address: String,
    /// Its home directory.
    pub home: PathBuf,
    /// Where tenants reach it, as on the chain.
    pub gateway: String,
    /// Where workloads are reached over HTTP, as a URL; by their host names.
    pub ingress: String,
    /// Where other providers' data planes reach its own: `host:port`.
    pub tunnels: String,
    /// What it says of itself.
    pub attributes: Vec<(String, String)>,
    /// The control daemon's process, while it runs.
    pub process: Option<Running>,
    /// The data plane's name, such as `tunnel0`.
    pub tunnel_name: String,
    /// The data plane's process, while it runs.
    pub tunnel: Option<Running>,
}

/// The funded development keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// `--keyring-dir`.
    pub dir: PathBuf,
    /// `--keyring-backend`.
    pub backend: String,
    /// Each of them.
    pub funded: Vec<FundedKey>,
}

/// A development key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundedKey {
    /// Its name in the keyring.
    pub name: String,
    /// Its account.
    pub address: String,
    /// What it had at the beginning.
    pub funds: String,
}

impl State {
    /// Reads a directory's file; None where there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                let state = serde_json::from_slice(&bytes);
                Ok(Some(state.with_context(|| path.display().to_string())?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Writes it: a reader sees the old one or the new one.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        write_file(&dir.join(FILE), &bytes, 0o644)
    }

    /// Whether somebody keeps it.
    pub fn is_up(&self) -> bool {
        self.supervisor.is_some_and(|supervisor| supervisor.is_alive())
    }

    /// The processes that it names.
    pub fn processes(&self) -> impl Iterator<Item = Running> + '_ {
        let nodes = self.nodes.iter().filter_map(|node| node.process);
        nodes.chain(self.providers.iter().flat_map(|p| [p.process, p.tunnel]).flatten())
    }

    /// A key of the keyring by its name.
    pub fn key(&self, name: &str) -> Option<&FundedKey> {
        self.keys.funded.iter().find(|key| key.name == name)
    }

    /// The RPC addresses, in the order of the nodes.
    pub fn rpcs(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.rpc.clone()).collect()
    }

    /// The gRPC addresses, in the order of the nodes.
    pub fn grpcs(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.grpc.clone()).collect()
    }
}

/// Writes a whole file with a mode: a reader sees the old one or the new one.
///
/// # Errors
/// If the disk refuses.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let temporary = path.with_extension("new");
        // Left by a run that was killed, maybe with another mode.
        let _ = fs::remove_file(&temporary);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| path.display().to_string())
}

/// Makes a directory that only its owner enters, with those above it.
///
/// # Errors
/// If the disk refuses.
pub fn private_dir(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(State::read(dir.path()).unwrap(), None);
        let key = FundedKey { name: "tenant".into(), address: "a".into(), funds: "1ustoa".into() };
        let keys = Keys { funded: vec![key.clone()], ..Keys::default() };
        let supervisor = Running::of(std::process::id());
        let state = State { block_ms: 5, supervisor, keys, ..State::default() };
        state.write(dir.path()).unwrap();
        assert_eq!(State::read(dir.path()).unwrap().as_ref(), Some(&state));
        assert!(state.is_up());
        assert_eq!(state.key("tenant"), Some(&key));
        assert_eq!(state.key("nobody"), None);
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(format!("{:#}", State::read(dir.path()).unwrap_err()).contains(FILE));
    }

    #[test]
    fn another_process_of_the_same_id_is_another() {
        let own = Running::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        assert!(!Running { started: own.started + 1, ..own }.is_alive());
        assert_eq!(Running::of(u32::MAX), None);
    }
}
