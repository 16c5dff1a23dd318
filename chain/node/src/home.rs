//! The node's home directory: CometBFT's layout with stoad's own files beside it.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Paths in a node's home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The home at a path, made absolute so that CometBFT and stoad mean the same.
    ///
    /// # Errors
    /// If the working directory of a relative path cannot be told.
    pub fn new(path: &Path) -> io::Result<Self> {
        std::path::absolute(path).map(Self)
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The directory of configuration and keys.
    pub fn config_dir(&self) -> PathBuf {
        self.0.join("config")
    }

    /// The directory of databases.
    pub fn data_dir(&self) -> PathBuf {
        self.0.join("data")
    }

    /// CometBFT's configuration.
    pub fn comet_config(&self) -> PathBuf {
        self.config_dir().join("config.toml")
    }

    /// stoad's configuration.
    pub fn stoad_config(&self) -> PathBuf {
        self.config_dir().join("stoad.toml")
    }

    /// The chain's first document.
    pub fn genesis(&self) -> PathBuf {
        self.config_dir().join("genesis.json")
    }

    /// Genesis transactions to collect.
    pub fn gentx_dir(&self) -> PathBuf {
        self.config_dir().join("gentx")
    }

    /// This node's peer identity.
    pub fn node_key(&self) -> PathBuf {
        self.config_dir().join("node_key.json")
    }

    /// The validator's key, where no remote signer holds it.
    pub fn validator_key(&self) -> PathBuf {
        self.config_dir().join("priv_validator_key.json")
    }

    /// The operator's secret key, which signs this validator's genesis transaction.
    pub fn operator_key(&self) -> PathBuf {
        self.config_dir().join("operator.key")
    }

    /// The state machine's database.
    pub fn database(&self) -> PathBuf {
        self.data_dir().join("stoa.db")
    }

    /// Snapshots for nodes that join.
    pub fn snapshots(&self) -> PathBuf {
        self.data_dir().join("snapshots")
    }

    /// What the validator's key has signed last.
    pub fn validator_state(&self) -> PathBuf {
        self.data_dir().join("priv_validator_state.json")
    }

    /// The upgrade at which the node stopped, as cosmovisor reads it.
    pub fn upgrade_info(&self) -> PathBuf {
        self.data_dir().join("upgrade-info.json")
    }

    /// The socket between CometBFT and stoad.
    pub fn abci_socket(&self) -> PathBuf {
        self.data_dir().join("abci.sock")
    }
}

/// Writes a file as a whole and syncs it: after a crash it is the old one or the new one. An
/// existing file keeps its mode; a new one is readable by everyone.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or_else(|| io::Error::other("the path has no directory"))?;
    let mode = fs::metadata(path).map_or(0o644, |meta| meta.permissions().mode());
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(content)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode & 0o777))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(dir)?.sync_all()
}

/// [`write_whole`] for a file that must not exist yet.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    if path.exists() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists already"));
    }
    write_whole(path, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_new(&path, b"one").unwrap();
        assert!(write_new(&path, b"two").is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no scratch file is left");
    }
}
