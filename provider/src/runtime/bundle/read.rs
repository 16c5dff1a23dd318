//! From a hostile tar to entries that are understood.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use tar::{Archive, EntryType};

use super::{Bundle, Entry, Kind, Limits};
use crate::runtime::archive::bad;
use crate::runtime::archive::index::{clean, not_a_tar, Extensions, Extent};
use crate::runtime::disk::LEAST_PER_ENTRY;
use crate::runtime::RuntimeError;

/// Folders in one another.
const MAX_DEPTH: usize = 64;
/// What file systems take, in bytes.
const MAX_NAME: usize = 255;
const MAX_TARGET: usize = 4095;
/// All ones means "nobody" to the kernel.
const MAX_OWNER: u64 = 0xffff_fffe;
/// Seconds since 1970, in the year 2106.
const LATEST: u64 = 0xffff_ffff;
/// Files of such names mean "removed" in a layer.
const WHITEOUT: &str = ".wh.";
/// Neither setuid nor setgid.
const MODES: u32 = 0o1777;

impl Bundle {
    /// Reads an archive and checks everything that can be. Blocking.
    pub(in crate::runtime) fn read(file: File, limits: &Limits) -> Result<Self, RuntimeError> {
        let length = file.metadata().map_err(not_a_tar)?.len();
        let mut found = Reading { limits, length, names: 0, entries: BTreeMap::new() };
        found.read(&file)?;
        let says_owners = found.entries.contains_key("");
        found.imply_folders()?;
        found.check_links()?;
        let bytes = found.bytes()?;
        let entries = found.entries;
        let (layer_bytes, diff_id) = (0, String::new());
        Self { file, entries, bytes, says_owners, layer_bytes, diff_id }.measured()
    }
}

/// An archive while it is read.
struct Reading<'a> {
    limits: &'a Limits,
    length: u64,
    names: usize,
    entries: BTreeMap<String, Entry>,
}

impl Reading<'_> {
    fn read(&mut self, file: &File) -> Result<(), RuntimeError> {
        let mut reader = file;
        reader.seek(SeekFrom::Start(0)).map_err(not_a_tar)?;
        let mut archive = Archive::new(reader);
        let mut extensions = Extensions::default();
        // Entries that only describe the next one count as well.
        let mut left = self.limits.entries.saturating_mul(4);
        for entry in archive.entries_with_seek().map_err(not_a_tar)?.raw(true) {
            left = left.checked_sub(1).ok_or_else(|| self.too_many())?;
            let mut entry = entry.map_err(not_a_tar)?;
            if !extensions.absorb(&mut entry)? {
                self.add(&entry, std::mem::take(&mut extensions))?;
            }
        }
        match self.entries.keys().any(|name| !name.is_empty()) {
            true => Ok(()),
            false => Err(bad("nothing is in it")),
        }
    }

    fn add<R: Read>(
        &mut self,
        entry: &tar::Entry<'_, R>,
        extensions: Extensions,
    ) -> Result<(), RuntimeError> {
        let header = entry.header();
        let raw = extensions.name_of(entry)?;
        let name = clean(&raw)?;
        check_name(&name)?;
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Folder,
            // As the oldest archives have folders.
            EntryType::Regular if raw.ends_with('/') => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => {
                let bytes = header.entry_size().map_err(not_a_tar)?;
                let extent = Extent { offset: entry.raw_file_position(), bytes };
                if extent.offset.checked_add(bytes).is_none_or(|end| end > self.length) {
                    return Err(bad(format!("{name:?} is cut short")));
                }
                Kind::File(extent)
            }
            EntryType::Symlink => Kind::Symlink(inside(&name, extensions.target_of(entry)?)?),
            EntryType::Link => Kind::Hard(clean(&extensions.target_of(entry)?)?),
            other => {
                return Err(bad(format!(
                    "{name:?} is of type {other:?}; files, folders and links are taken"
                )))
            }
        };
        let old = header.as_old();
        let owner = |given: Option<u64>, field: &[u8], read: std::io::Result<u64>| match given {
            Some(owner) => Ok(owner),
            None if is_blank(field) => Ok(0),
            None => read.map_err(not_a_tar),
        };
        let user = owner(extensions.user, &old.uid, header.uid())?;
        let group = owner(extensions.group, &old.gid, header.gid())?;
        if user > MAX_OWNER || group > MAX_OWNER {
            return Err(bad(format!("{name:?} belongs to {user}:{group}, which nobody is")));
        }
        let mode = match &kind {
            // It has none of its own.
            Kind::Symlink(_) => 0o777,
            Kind::Folder if is_blank(&old.mode) => 0o755,
            _ if is_blank(&old.mode) => 0o644,
            _ => header.mode().map_err(not_a_tar)? & MODES,
        };
        let time = header.mtime().unwrap_or(0).min(LATEST);
        self.insert(name, Entry { kind, mode, user, group, time })
    }

    /// A folder may be named again; what else comes twice could mean one thing
    /// here and another at the engine.
    fn insert(&mut self, name: String, entry: Entry) -> Result<(), RuntimeError> {
        if name.is_empty() && entry.kind != Kind::Folder {
            return Err(bad("what should be its top folder is none"));
        }
        if let Some(known) = self.entries.get(&name) {
            if known.kind != Kind::Folder || entry.kind != Kind::Folder {
                return Err(bad(format!("{name:?} is in it twice")));
            }
        }
        let target = match &entry.kind {
            Kind::Symlink(target) | Kind::Hard(target) => target.len(),
            Kind::Folder | Kind::File(_) => 0,
        };
        self.names = self.names.saturating_add(name.len()).saturating_add(target);
        self.entries.insert(name, entry);
        self.check_size()
    }

    fn check_size(&self) -> Result<(), RuntimeError> {
        if self.entries.len() > self.limits.entries {
            return Err(self.too_many());
        }
        match self.names > self.limits.names {
            true => Err(bad(format!("its names have more than {} bytes", self.limits.names))),
            false => Ok(()),
        }
    }

    fn too_many(&self) -> RuntimeError {
        bad(format!("more than {} files and folders are in it", self.limits.entries))
    }

    /// Whatever holds something is a folder: a file below a link would come to
    /// lie where the link points.
    fn imply_folders(&mut self) -> Result<(), RuntimeError> {
        let names: Vec<String> = self.entries.keys().cloned().collect();
        self.entries.entry(String::new()).or_insert_with(Entry::folder);
        for name in names {
            for (end, _) in name.match_indices('/') {
                let parent = name.get(..end).unwrap_or_default();
                match self.entries.get(parent) {
                    Some(Entry { kind: Kind::Folder, .. }) => {}
                    Some(_) => {
                        return Err(bad(format!(
                            "{name:?} is below {parent:?}, which is no folder"
                        )))
                    }
                    None => self.insert(parent.to_owned(), Entry::folder())?,
                }
            }
        }
        Ok(())
    }

    fn check_links(&self) -> Result<(), RuntimeError> {
        for (name, entry) in &self.entries {
            let Kind::Hard(target) = &entry.kind else { continue };
            if !matches!(self.entries.get(target), Some(Entry { kind: Kind::File(_), .. })) {
                return Err(bad(format!(
                    "{name:?} is a link to {target:?}, which is no file in it"
                )));
            }
        }
        Ok(())
    }

    /// What all takes on a disk. A hard link counts as its file, for so are
    /// volumes measured.
    fn bytes(&self) -> Result<u64, RuntimeError> {
        let file = |entry: Option<&Entry>| match entry.map(|entry| &entry.kind) {
            Some(Kind::File(extent)) => extent.bytes,
            _ => 0,
        };
        let sizes = self.entries.values().map(|entry| match &entry.kind {
            Kind::Folder | Kind::Symlink(_) => 0,
            Kind::File(extent) => extent.bytes,
            Kind::Hard(target) => file(self.entries.get(target)),
        });
        let on_disk = |bytes: u64| {
            let blocks = bytes.div_ceil(LEAST_PER_ENTRY).max(1);
            blocks.saturating_mul(LEAST_PER_ENTRY)
        };
        let sum = sizes.map(on_disk).fold(0, u64::saturating_add);
        match sum > self.limits.bytes {
            true => Err(bad(format!(
                "its files take {sum} bytes; this provider takes up to {}",
                self.limits.bytes
            ))),
            false => Ok(sum),
        }
    }
}

/// Some programs leave a field empty.
fn is_blank(field: &[u8]) -> bool {
    field.iter().all(|byte| matches!(byte, 0 | b' '))
}

fn check_name(name: &str) -> Result<(), RuntimeError> {
    let shown = || name.chars().take(100).collect::<String>();
    if name.contains('\0') {
        return Err(bad(format!("{:?} has a NUL character", shown())));
    }
    if name.split('/').count() > MAX_DEPTH {
        return Err(bad(format!("{:?}… is over {MAX_DEPTH} folders deep", shown())));
    }
    for part in name.split('/') {
        if part.len() > MAX_NAME {
            return Err(bad(format!("{:?}… has a name of over {MAX_NAME} bytes", shown())));
        }
        if part.starts_with(WHITEOUT) {
            return Err(bad(format!("{:?}: a name may not begin with {WHITEOUT}", shown())));
        }
    }
    Ok(())
}

/// A symbolic link's target, which must not lead out of the volume, not by way
/// of another link either: so `..` may stand at its beginning alone, where it
/// leads through folders that are real.
fn inside(link: &str, target: String) -> Result<String, RuntimeError> {
    let refuse = |why: &str| Err(bad(format!("{link:?} is a link to {target:?}, which {why}")));
    if target.is_empty() || target.len() > MAX_TARGET || target.contains('\0') {
        return refuse("cannot be");
    }
    if target.starts_with('/') {
        return refuse("is an absolute path; make it relative");
    }
    let parts = || target.split('/').filter(|part| !part.is_empty() && *part != ".");
    let up = parts().take_while(|part| *part == "..").count();
    if parts().skip(up).any(|part| part == "..") {
        return refuse("goes up after it has gone down; leave that out");
    }
    match up > link.matches('/').count() {
        true => refuse("leads out of the archive"),
        false => Ok(target),
    }
}
