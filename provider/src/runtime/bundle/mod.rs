//! Archives that volumes hold at first, as tenants ship them: plain tar. None
//! is given to the engine as it is. It is read entry by entry with bounds on
//! everything, and a new one is written of what was understood, as the only
//! layer of an image that runs nothing.
//!
//! Taken are files, folders, symbolic links that stay inside, and hard links to
//! files in it, with modes (without setuid and setgid), numeric owners and
//! times. Refused is all else, with the entry's name.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::fs::File;

use super::archive::index::Extent;

/// Where an image has the files: a folder called as the one that a volume is
/// mounted at, so that the volume's own mode and owner come along.
pub(super) const CONTENT: &str = "/from/volume";
/// Where the volume is while it is filled. Nothing of the image is there.
pub(super) const TARGET: &str = "/volume";
/// On the image: what the files take on a disk, in bytes.
pub(super) const BYTES_LABEL: &str = "stoa.data-bytes";

/// On the image of an archive that names its top folder, and so says whose its
/// files are to be.
pub(super) const OWNERS_LABEL: &str = "stoa.data-owners";

/// Bounds on an archive, each of which holds for all entries together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Files, folders and links, those included that names only imply.
    pub(super) entries: usize,
    /// Bytes of all names and links' targets.
    pub(super) names: usize,
    /// What all takes on a disk.
    pub(super) bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 100_000, names: 16 << 20, bytes: 32 << 30 }
    }
}

/// An archive that was read.
#[derive(Debug)]
pub(super) struct Bundle {
    file: File,
    /// By path from the volume's root, which is the empty one: a folder stands
    /// before all that is in it.
    entries: BTreeMap<String, Entry>,
    /// What all takes on a disk, as volumes are measured.
    bytes: u64,
    /// Its top folder is named in it.
    says_owners: bool,
    /// Of the layer that is made of it.
    layer_bytes: u64,
    diff_id: String,
}

impl Bundle {
    /// SHA-256 of the layer, as image configurations have it.
    pub(super) fn diff_id(&self) -> &String {
        &self.diff_id
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    mode: u32,
    user: u64,
    group: u64,
    /// Seconds since 1970.
    time: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Folder,
    File(Extent),
    /// As it stands there.
    Symlink(String),
    /// Another entry, which is a file.
    Hard(String),
}

impl Entry {
    /// One that nothing was said of.
    fn folder() -> Self {
        Self { kind: Kind::Folder, mode: 0o755, user: 0, group: 0, time: 0 }
    }
}
