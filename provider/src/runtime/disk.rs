//! Disk space, measured on the engine's own machine (this one).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A tenant may make as many files as it likes; the walk ends here.
const MAX_ENTRIES: usize = 5_000_000;
const BYTES_PER_BLOCK: u64 = 512;

/// Least that a file, directory or link counts: a file system runs out of
/// inodes as well as of blocks, and an empty file takes no block.
pub(super) const LEAST_PER_ENTRY: u64 = 4096;

/// Bytes that a directory tree occupies, at least 4 KiB an entry. Follows no
/// links; what cannot be read counts nothing. Blocking.
pub(super) fn used_bytes(root: &Path) -> u64 {
    let mut waiting: Vec<PathBuf> = vec![root.to_owned()];
    let mut total: u64 = 0;
    let mut entries = 0;
    while let Some(directory) = waiting.pop() {
        let Ok(listing) = fs::read_dir(&directory) else { continue };
        for entry in listing.flatten() {
            entries += 1;
            if entries > MAX_ENTRIES {
                return total;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            let blocks = metadata.blocks().saturating_mul(BYTES_PER_BLOCK);
            total = total.saturating_add(blocks.max(LEAST_PER_ENTRY));
            if metadata.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    total
}

/// Size of a file system and what is free on it, in bytes.
pub(super) fn file_system(path: &Path) -> Option<(u64, u64)> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    let unit = found.fragment_size();
    Some((found.blocks().checked_mul(unit)?, found.blocks_available().checked_mul(unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_below_and_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("big"), vec![1; 1 << 20]).unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/file"), vec![1; 100_000]).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
        let used = used_bytes(dir.path());
        assert!((100_000..500_000).contains(&used), "{used}");
        for number in 0..100 {
            fs::write(dir.path().join(format!("empty{number}")), "").unwrap();
        }
        assert_eq!(used_bytes(dir.path()), used + 100 * LEAST_PER_ENTRY, "inodes run out, too");
        assert!(file_system(dir.path()).unwrap().0 > 0);
    }
}
