//! Files that are whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

/// Writes a private file so that a crash leaves the old one or the new one;
/// when this returns, the new one survives a power cut. Where it fails, as on
/// a full disk, the old one stays and nothing else is left.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    write_all(&temporary, bytes).and_then(|()| rename(&temporary, path)).inspect_err(|_| {
        // Half a file takes room of which there is none.
        let _ = fs::remove_file(&temporary);
    })
}

fn write_all(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Bytes that are free where a path lies; `None` where that cannot be told.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    found.blocks_available().checked_mul(found.fragment_size())
}

/// Whether there was no room: on the disk, or in what this user may write.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Renames and syncs the directory, so that the name is as durable as the
/// bytes.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_directory(to)
}

/// Removes a file; one that is gone is removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Seconds since a file was written; 0 where that cannot be told.
pub(super) fn age(path: &Path) -> u64 {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    written.ok().and_then(|at| at.elapsed().ok()).map_or(0, |age| age.as_secs())
}

/// Makes a file as young as if it were written now.
pub(super) fn renew(path: &Path) -> io::Result<()> {
    File::open(path)?.set_modified(SystemTime::now())
}

/// Makes a directory that only this user may enter.
pub(super) fn directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync_directory(of: &Path) -> io::Result<()> {
    match of.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
