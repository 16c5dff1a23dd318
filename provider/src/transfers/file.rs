//! The file in which it is kept.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{All, Transfers};
use crate::store;

/// In the data directory.
pub const FILE: &str = "transfers.json";
/// Between two writings.
const PAUSE: Duration = Duration::from_secs(2);
/// More is not ours.
const MAX_BYTES: u64 = 64 << 20;

impl Transfers {
    /// With what a former run left; a file that is none is begun anew.
    pub fn open(path: &Path) -> Self {
        let transfers = Self::default();
        match read_all(path) {
            Ok(all) => *transfers.known() = all,
            Err(error) => tracing::warn!("{}: {error}; it is begun anew", path.display()),
        }
        transfers
    }

    /// Writes what is known now.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(&*self.known())?;
        store::write(path, &bytes)
    }
}

/// What a daemon has written, by deployment.
pub fn read(path: &Path) -> io::Result<Transfers> {
    let transfers = Transfers::default();
    *transfers.known() = read_all(path)?;
    Ok(transfers)
}

impl Transfers {
    /// Deployments of which something is known.
    pub fn deployments(&self) -> Vec<String> {
        self.known().keys().cloned().collect()
    }
}

fn read_all(path: &Path) -> io::Result<All> {
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_BYTES => return Err(io::Error::other("too long")),
        Ok(_) => std::fs::read(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(All::new()),
        Err(error) => return Err(error),
    };
    Ok(serde_json::from_slice(&bytes)?)
}

/// Writes changes down, for ever.
pub async fn keep(transfers: Arc<Transfers>, path: std::path::PathBuf) {
    let mut changes = transfers.changes();
    while changes.changed().await.is_ok() {
        let (transfers, path) = (Arc::clone(&transfers), path.clone());
        let written = tokio::task::spawn_blocking(move || transfers.write(&path)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!("writing down where payloads came from: {error}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
