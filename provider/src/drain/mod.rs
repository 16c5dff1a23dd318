//! Emptying a provider: no new orders, and leases closed by a time where one
//! is named. A file in the data directory says so, and outlives restarts.

mod closer;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store;

pub use closer::close_in_time;

const FILE: &str = "drain.json";

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Unix seconds.
    pub since: u64,
    /// Unix seconds by which every lease is to have ended; none: they end
    /// when their tenants want.
    pub close_by: Option<u64>,
}

/// Whether the provider is being emptied.
pub fn read(data_dir: &Path) -> io::Result<Option<Drain>> {
    match std::fs::read(file(data_dir)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Begins, or ends where there is nothing.
pub fn write(data_dir: &Path, drain: Option<Drain>) -> io::Result<()> {
    match drain {
        Some(drain) => store::write(&file(data_dir), &serde_json::to_vec(&drain)?),
        None => store::remove(&file(data_dir)),
    }
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_outlives_restarts_until_it_is_undone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        let drain = Drain { since: 5, close_by: Some(9) };
        write(dir.path(), Some(drain)).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(drain));
        write(dir.path(), None).unwrap();
        write(dir.path(), None).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        std::fs::write(file(dir.path()), "{").unwrap();
        assert!(read(dir.path()).is_err(), "unreadable is not the same as none");
    }
}
