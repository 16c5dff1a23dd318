//! Where in a tarball each file lies, read from its headers alone.
//!
//! The entries are taken raw and the name extensions (GNU long names, PAX
//! records) interpreted here, with a bound: the tar reader's own way holds
//! a name of any length in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use tar::{Archive, Entry, EntryType};

use super::{bad, ImageLimits};
use crate::runtime::RuntimeError;

/// A long name or a PAX record block may have this many bytes.
const MAX_EXTENSION_BYTES: u64 = 64 << 10;
/// A link may point at a link, this often.
const MAX_LINK_DEPTH: usize = 4;

/// A file's place in the tarball.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// The files and links of a tarball by cleaned name.
#[derive(Debug, Default)]
pub(super) struct TarIndex {
    files: BTreeMap<String, Extent>,
    links: BTreeMap<String, String>,
}

/// What the extension entries before an entry say of it.
#[derive(Default)]
pub(in crate::runtime) struct Extensions {
    name: Option<String>,
    link: Option<String>,
    /// The owner, where the header has no room for it.
    pub(in crate::runtime) user: Option<u64>,
    pub(in crate::runtime) group: Option<u64>,
}

impl TarIndex {
    pub(super) fn read(file: &File, limits: &ImageLimits) -> Result<Self, RuntimeError> {
        let mut reader = file;
        reader.seek(SeekFrom::Start(0)).map_err(not_a_tar)?;
        let mut archive = Archive::new(reader);
        let mut index = Self::default();
        let mut extensions = Extensions::default();
        let entries = archive.entries_with_seek().map_err(not_a_tar)?.raw(true);
        for (count, entry) in entries.enumerate() {
            if count >= limits.entries {
                return Err(bad(format!("it has more than {} entries", limits.entries)));
            }
            let mut entry = entry.map_err(not_a_tar)?;
            if !extensions.absorb(&mut entry)? {
                index.add(&entry, std::mem::take(&mut extensions))?;
            }
        }
        Ok(index)
    }

    fn add<R: Read>(
        &mut self,
        entry: &Entry<'_, R>,
        extensions: Extensions,
    ) -> Result<(), RuntimeError> {
        let name = clean(&extensions.name_of(entry)?)?;
        match entry.header().entry_type() {
            EntryType::Directory => Ok(()),
            EntryType::Regular | EntryType::Continuous => {
                let bytes = entry.header().entry_size().map_err(not_a_tar)?;
                let extent = Extent { offset: entry.raw_file_position(), bytes };
                self.insert_once(name, |index, name| {
                    index.files.insert(name, extent);
                })
            }
            EntryType::Symlink | EntryType::Link => {
                let hard = entry.header().entry_type() == EntryType::Link;
                let target = extensions.target_of(entry)?;
                let target = if hard { clean(&target)? } else { resolve(&name, &target)? };
                self.insert_once(name, |index, name| {
                    index.links.insert(name, target);
                })
            }
            other => {
                Err(bad(format!("{name}: entries of type {other:?} have no place in an image")))
            }
        }
    }

    /// A name that comes twice could mean one file to us and another to the
    /// engine.
    fn insert_once(
        &mut self,
        name: String,
        insert: impl FnOnce(&mut Self, String),
    ) -> Result<(), RuntimeError> {
        if self.files.contains_key(&name) || self.links.contains_key(&name) {
            return Err(bad(format!("{name} is in it twice")));
        }
        insert(self, name);
        Ok(())
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Where a file is, following links within the tarball.
    pub(super) fn find(&self, name: &str) -> Result<Extent, RuntimeError> {
        let mut at = clean(name)?;
        for _ in 0..MAX_LINK_DEPTH {
            if let Some(extent) = self.files.get(&at) {
                return Ok(*extent);
            }
            match self.links.get(&at) {
                Some(target) => at.clone_from(target),
                None => break,
            }
        }
        Err(bad(format!("{name} is named in its manifest but not in it")))
    }

    /// A whole document, where it is small enough.
    pub(super) fn document(
        &self,
        file: &File,
        name: &str,
        limits: &ImageLimits,
    ) -> Result<Vec<u8>, RuntimeError> {
        let extent = self.find(name)?;
        if extent.bytes > limits.document_bytes {
            return Err(bad(format!(
                "{name} has {} bytes; at most {} are read",
                extent.bytes, limits.document_bytes
            )));
        }
        let mut bytes = vec![0; extent.bytes as usize];
        file.read_exact_at(&mut bytes, extent.offset)
            .map_err(|e| bad(format!("{name} is cut short: {e}")))?;
        Ok(bytes)
    }
}

impl Extensions {
    /// Takes an entry that only describes the next one; false for others.
    pub(in crate::runtime) fn absorb<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
    ) -> Result<bool, RuntimeError> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.name = Some(long_name(entry)?),
            EntryType::GNULongLink => self.link = Some(long_name(entry)?),
            EntryType::XHeader => self.pax(entry)?,
            EntryType::XGlobalHeader => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the entry after them is called, as it stands there.
    pub(in crate::runtime) fn name_of<R: Read>(
        &self,
        entry: &Entry<'_, R>,
    ) -> Result<String, RuntimeError> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => text(entry.path_bytes().into_owned(), "an entry's name"),
        }
    }

    /// Where it points, if it is a link.
    pub(in crate::runtime) fn target_of<R: Read>(
        &self,
        entry: &Entry<'_, R>,
    ) -> Result<String, RuntimeError> {
        match &self.link {
            Some(link) => Ok(link.clone()),
            None => {
                let bytes = entry.link_name_bytes().unwrap_or_default().into_owned();
                text(bytes, "a link's target")
            }
        }
    }

    fn pax<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), RuntimeError> {
        let bytes = extension_bytes(entry)?;
        for record in tar::PaxExtensions::new(&bytes) {
            let record = record.map_err(not_a_tar)?;
            match record.key_bytes() {
                b"path" => self.name = Some(text(record.value_bytes().to_vec(), "a name")?),
                b"linkpath" => self.link = Some(text(record.value_bytes().to_vec(), "a link")?),
                b"size" => {
                    return Err(bad("a file in it has its size in a PAX record (8 GiB or more)"))
                }
                b"uid" => self.user = Some(number(record.value_bytes(), "an owner")?),
                b"gid" => self.group = Some(number(record.value_bytes(), "a group")?),
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(bad("a file in it is sparse; pack it without --sparse"))
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn number(bytes: &[u8], what: &str) -> Result<u64, RuntimeError> {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    text.ok_or_else(|| bad(format!("{what} in a PAX record is no number")))
}

fn long_name<R: Read>(entry: &mut Entry<'_, R>) -> Result<String, RuntimeError> {
    let mut bytes = extension_bytes(entry)?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    text(bytes, "a long name")
}

fn extension_bytes<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, RuntimeError> {
    let size = entry.header().entry_size().map_err(not_a_tar)?;
    if size > MAX_EXTENSION_BYTES {
        return Err(bad(format!("a name in it has {size} bytes")));
    }
    let mut bytes = Vec::new();
    entry.take(MAX_EXTENSION_BYTES).read_to_end(&mut bytes).map_err(not_a_tar)?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>, what: &str) -> Result<String, RuntimeError> {
    String::from_utf8(bytes).map_err(|_| bad(format!("{what} is not UTF-8")))
}

/// A name without `./`, doubled slashes and trailing slash; one that climbs
/// out or is absolute is refused.
pub(in crate::runtime) fn clean(name: &str) -> Result<String, RuntimeError> {
    if name.starts_with('/') {
        return Err(bad(format!("{name:?} is an absolute path")));
    }
    resolve("", name)
}

/// A symlink's target seen from the link's own directory.
fn resolve(link: &str, target: &str) -> Result<String, RuntimeError> {
    if target.starts_with('/') {
        return Err(bad(format!("{link} points at the absolute path {target:?}")));
    }
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| bad(format!("{target:?} climbs out of the archive")))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

pub(in crate::runtime) fn not_a_tar(error: std::io::Error) -> RuntimeError {
    bad(format!("not a readable tar file: {error} (a compressed one must be unpacked first)"))
}
