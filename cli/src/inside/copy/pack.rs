//! Files here into a tar stream: names, permissions, links as links. Owners
//! become root's, as which the instance unpacks.

use std::{
    fs::{self, File, Metadata},
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tar::{Builder, EntryType, Header};

use super::{channel::PieceWriter, Copied};
use crate::exit::Failure;

/// What is kept of a mode.
const PERMISSIONS: u32 = 0o777;

/// Why it ended early.
pub struct PackFailure {
    pub failure: Failure,
    /// The other end took no more: it says why.
    pub is_gone: bool,
}

type Result<T> = std::result::Result<T, PackFailure>;

/// The name that a copy has unless told otherwise.
pub fn own_name(path: &Path) -> std::result::Result<String, Failure> {
    let full = fs::canonicalize(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())));
    // A link is copied as one, under its own name.
    let named = match path.file_name() {
        Some(name) => Some(name.to_owned()),
        None => full?.file_name().map(ToOwned::to_owned),
    };
    let name = named.and_then(|name| name.into_string().ok());
    name.ok_or_else(|| {
        Failure::usage(format!("{} has no name; give one: SERVICE:/DIR/NAME", path.display()))
    })
}

/// Packs a file or directory under a name.
pub fn pack(path: &Path, name: &str, to: PieceWriter) -> Result<Copied> {
    let mut packer = Packer { builder: Builder::new(to), copied: Copied::default() };
    packer.add(path, Path::new(name))?;
    let done = packer.builder.into_inner().and_then(|mut writer| writer.flush());
    done.map_err(|e| failed(path, e))?;
    Ok(packer.copied)
}

struct Packer {
    builder: Builder<PieceWriter>,
    copied: Copied,
}

impl Packer {
    fn add(&mut self, path: &Path, name: &Path) -> Result<()> {
        // Not by recursion: trees may be deep.
        let mut waiting: Vec<(PathBuf, PathBuf)> = vec![(path.into(), name.into())];
        while let Some((path, name)) = waiting.pop() {
            let about = fs::symlink_metadata(&path).map_err(|e| failed(&path, e))?;
            if about.is_dir() {
                self.directory(&path, &name, &about)?;
                waiting.extend(children(&path, &name)?);
            } else {
                self.leaf(&path, &name, &about)?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, path: &Path, name: &Path, about: &Metadata) -> Result<()> {
        let mut header = header(about, EntryType::Directory, 0);
        let name = name.join("");
        self.builder
            .append_data(&mut header, name, std::io::empty())
            .map_err(|e| failed(path, e))?;
        self.copied.entries += 1;
        Ok(())
    }

    fn leaf(&mut self, path: &Path, name: &Path, about: &Metadata) -> Result<()> {
        let kind = about.file_type();
        let done = if kind.is_symlink() {
            let target = fs::read_link(path).map_err(|e| failed(path, e))?;
            let mut header = header(about, EntryType::Symlink, 0);
            self.builder.append_link(&mut header, name, target)
        } else if kind.is_file() {
            let file = File::open(path).map_err(|e| failed(path, e))?;
            // A file that grows meanwhile is cut, one that shrinks an error.
            let size = about.len();
            let mut header = header(about, EntryType::Regular, size);
            self.copied.bytes += size;
            let mut exact = Exactly { file, left: size };
            self.builder.append_data(&mut header, name, &mut exact)
        } else {
            self.copied.left_out.push(format!("{}: neither file nor directory", path.display()));
            return Ok(());
        };
        done.map_err(|e| failed(path, e))?;
        self.copied.entries += 1;
        Ok(())
    }
}

fn children(path: &Path, name: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut all = vec![];
    for entry in fs::read_dir(path).map_err(|e| failed(path, e))? {
        let entry = entry.map_err(|e| failed(path, e))?;
        all.push((entry.path(), name.join(entry.file_name())));
    }
    // The last is taken first.
    all.sort_by(|a, b| b.cmp(a));
    Ok(all)
}

fn header(about: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(about.permissions().mode() & PERMISSIONS);
    header.set_mtime(u64::try_from(about.mtime()).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

fn failed(path: &Path, error: std::io::Error) -> PackFailure {
    let is_gone = error.kind() == ErrorKind::BrokenPipe;
    PackFailure { failure: Failure::new(format!("{}: {error}", path.display())), is_gone }
}

/// So many bytes of a file, neither more nor fewer.
struct Exactly {
    file: File,
    left: u64,
}

impl std::io::Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        match std::io::Read::read(&mut self.file, &mut buffer[..most])? {
            0 => Err(std::io::Error::other("it became shorter while it was read")),
            count => {
                self.left -= count as u64;
                Ok(count)
            }
        }
    }
}
