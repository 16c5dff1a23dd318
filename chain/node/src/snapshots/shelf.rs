//! The directory of finished snapshots.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    format::{Manifest, MAX_CHUNK},
    SnapshotError,
};

/// Name of a snapshot's manifest.
pub const MANIFEST: &str = "manifest";

/// Name of a snapshot's chunk.
pub fn chunk_file(index: usize) -> String {
    index.to_string()
}

/// Suffix of a snapshot that is being made.
const PARTIAL: &str = ".partial";

/// A directory of snapshots, one a height.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

/// A finished snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it consists of.
    pub manifest: Manifest,
    /// Bytes of its files.
    pub disk_bytes: u64,
}

impl Shelf {
    /// The shelf in a directory, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where a snapshot's files are.
    pub fn path(&self, height: u64) -> PathBuf {
        self.dir.join(height.to_string())
    }

    /// Where a snapshot is made before it is finished.
    pub fn partial_path(&self, height: u64) -> PathBuf {
        self.dir.join(format!("{height}{PARTIAL}"))
    }

    /// Finished snapshots, newest first; one that cannot be read is left out.
    pub fn list(&self) -> Result<Vec<Listed>, SnapshotError> {
        let mut found: Vec<Listed> =
            self.heights()?.into_iter().filter_map(|height| self.find(height).ok()).collect();
        found.sort_by_key(|listed| std::cmp::Reverse(listed.manifest.height));
        Ok(found)
    }

    /// Heights of finished snapshots, in no order.
    pub fn heights(&self) -> Result<Vec<u64>, SnapshotError> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| SnapshotError::file(&self.dir, error))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    }

    /// A finished snapshot.
    pub fn find(&self, height: u64) -> Result<Listed, SnapshotError> {
        let dir = self.path(height);
        let path = dir.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SnapshotError::Missing(height));
            }
            bytes => bytes.map_err(|error| SnapshotError::file(&path, error))?,
        };
        let manifest = Manifest::decode(&bytes)?;
        let size = |index| fs::metadata(dir.join(chunk_file(index))).map_or(0, |meta| meta.len());
        let disk_bytes = (0..manifest.chunks.len()).map(size).sum();
        Ok(Listed { manifest, disk_bytes })
    }

    /// A chunk as it is sent.
    pub fn chunk(&self, height: u64, index: u32) -> Result<Vec<u8>, SnapshotError> {
        let path = self.path(height).join(chunk_file(usize::try_from(index).unwrap_or(usize::MAX)));
        let size = fs::metadata(&path).map_err(|error| SnapshotError::file(&path, error))?.len();
        if size > MAX_CHUNK as u64 {
            return Err(SnapshotError::Format(format!("{} is too large", path.display())));
        }
        fs::read(&path).map_err(|error| SnapshotError::file(&path, error))
    }

    /// Puts a snapshot that was made at its partial path in its place.
    pub fn finish(&self, height: u64) -> Result<(), SnapshotError> {
        let (from, to) = (self.partial_path(height), self.path(height));
        remove_dir(&to)?;
        fs::rename(&from, &to).map_err(|error| SnapshotError::file(&to, error))?;
        let synced = fs::File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| SnapshotError::file(&self.dir, error))
    }

    /// Removes a snapshot.
    pub fn remove(&self, height: u64) -> Result<(), SnapshotError> {
        remove_dir(&self.path(height))
    }

    /// Removes all but the newest `keep`, and what was begun and not finished.
    pub fn tidy(&self, keep: usize) -> Result<(), SnapshotError> {
        let mut heights = self.heights()?;
        heights.sort_by_key(|height| std::cmp::Reverse(*height));
        for height in heights.into_iter().skip(keep) {
            self.remove(height)?;
        }
        let Ok(entries) = fs::read_dir(&self.dir) else { return Ok(()) };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().ends_with(PARTIAL) {
                remove_dir(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn remove_dir(path: &Path) -> Result<(), SnapshotError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SnapshotError::file(path, error))
        }
        _ => Ok(()),
    }
}
