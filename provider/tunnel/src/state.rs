//! The last table on disk, so that the data plane serves after a restart of
//! its own without asking anyone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::routes::RouteTable;

const TABLE: &str = "routes.json";
const LOCK: &str = "lock";
/// A table within the bounds of [`crate::routes`] is smaller.
pub const MAX_TABLE_BYTES: u64 = 256 << 20;

/// The state directory, held by one process at a time.
pub struct StateDir {
    path: PathBuf,
    _lock: Flock<File>,
}

impl StateDir {
    /// Makes the directory (0700) where it is missing, and locks it.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = private().truncate(false).open(path.join(LOCK))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|_| {
            io::Error::other(format!("another stoa-tunnel uses {}", path.display()))
        })?;
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// Where a file of the data plane's own lies.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The last table; an empty one where there is none. What another version
    /// has left in it that this one would refuse is left out.
    pub fn load(&self) -> io::Result<RouteTable> {
        let path = self.path.join(TABLE);
        let bytes = match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_TABLE_BYTES => {
                return Err(io::Error::other(format!("{} is too large", path.display())))
            }
            Ok(_) => fs::read(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(RouteTable::default())
            }
            Err(error) => return Err(error),
        };
        let mut table: RouteTable = serde_json::from_slice(&bytes)
            .map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?;
        if table.validate().is_err() {
            for problem in table.sift() {
                tracing::warn!("left out of {}: {problem}", path.display());
            }
        }
        table.validate().map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?;
        Ok(table)
    }

    /// Writes a table so that a crash leaves the old one or the new one.
    pub fn save(&self, table: &RouteTable) -> io::Result<()> {
        write(&self.path.join(TABLE), &serde_json::to_vec(table)?)
    }
}

/// Writes a private file so that a crash leaves the old one or the new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut file = private().truncate(true).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_with_its_keys_is_for_this_user_alone_and_its_words_show_none() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let state = StateDir::open(&path).unwrap();
        let (id, chain, key) = ("c".into(), "CHAIN".into(), "SECRET".into());
        let credentials = vec![crate::overlay::Credential { id, chain, key }];
        let overlay = crate::overlay::OverlayTable { credentials, ..Default::default() };
        let table = RouteTable { generation: 1, overlay: Some(overlay), ..RouteTable::default() };
        state.save(&table).unwrap();
        assert_eq!(state.load().unwrap(), table);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join(TABLE))), (0o700, 0o600));
        assert!(fs::read_to_string(path.join(TABLE)).unwrap().contains("SECRET"));
        let words = format!("{:?}", crate::control::Request::SetRoutes { table: Box::new(table) });
        assert!(words.contains("Credential") && !words.contains("SECRET"), "{words}");
    }

    #[test]
    fn a_table_is_kept_and_the_directory_has_one_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let state = StateDir::open(&path).unwrap();
        assert_eq!(state.load().unwrap(), RouteTable::default());
        let table = RouteTable { generation: 7, ..RouteTable::default() };
        state.save(&table).unwrap();
        assert_eq!(state.load().unwrap(), table);
        assert!(StateDir::open(&path).is_err());
        // A part that this version does not take costs none of the rest.
        let forward = |port| crate::routes::Forward {
            transport: crate::routes::Transport::Tcp,
            listen: ([0, 0, 0, 0], port).into(),
            targets: vec![],
        };
        let both = RouteTable { forwards: vec![forward(0), forward(80)], ..table };
        state.save(&both).unwrap();
        assert_eq!(state.load().unwrap().forwards, [forward(80)]);
        drop(state);
        fs::write(path.join(TABLE), b"{").unwrap();
        let error = StateDir::open(&path).unwrap().load().unwrap_err().to_string();
        assert!(error.contains("routes.json"), "{error}");
    }
}
