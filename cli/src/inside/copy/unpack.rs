//! A tar stream from an instance into files here. The instance, and whoever
//! runs it, may have put anything into it: nothing is written but below the
//! target, and nothing through a link.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read},
    os::unix::fs::{symlink, OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use tar::{Archive, Entry, EntryType};

use super::Copied;
use crate::exit::Failure;

/// What is kept of a mode: no setuid, no setgid.
const PERMISSIONS: u32 = 0o777;

/// Unpacks to a path: into it where it is a directory, else under its name.
pub fn unpack(from: impl Read, to: &Path) -> Result<Copied, Failure> {
    let into_dir = to.is_dir() || to.as_os_str().to_string_lossy().ends_with('/');
    let root = match into_dir {
        true => to.to_path_buf(),
        false => to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).into(),
    };
    if !root.is_dir() {
        return Err(Failure::usage(format!("there is no directory {}", root.display())));
    }
    let name = if into_dir { None } else { to.file_name().map(PathBuf::from) };
    let mut unpacker =
        Unpacker { root, name, links: vec![], modes: vec![], copied: Copied::default() };
    let mut archive = Archive::new(from);
    let entries = archive.entries().map_err(|e| broken(&e))?;
    for entry in entries {
        let mut entry = entry.map_err(|e| broken(&e))?;
        unpacker.take(&mut entry)?;
    }
    unpacker.finish()
}

struct Unpacker {
    root: PathBuf,
    /// What the archive's topmost name becomes.
    name: Option<PathBuf>,
    /// Made last, so that nothing can be written through one.
    links: Vec<(PathBuf, PathBuf)>,
    /// Directories' modes, set last: one may forbid writing.
    modes: Vec<(PathBuf, u32)>,
    copied: Copied,
}

impl Unpacker {
    fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), Failure> {
        let told = entry.path().map_err(|e| broken(&e))?.into_owned();
        let Some(relative) = self.relative(&told) else {
            self.leave_out(&told, "its name leads outside");
            return Ok(());
        };
        let path = self.root.join(&relative);
        let mode = entry.header().mode().unwrap_or(0o644) & PERMISSIONS;
        match entry.header().entry_type() {
            EntryType::Directory => {
                self.parents(&relative, true)?;
                self.modes.push((path, mode));
            }
            EntryType::Regular | EntryType::Continuous => {
                self.parents(&relative, false)?;
                let file = make(&path, mode)?;
                self.copied.bytes += fill(entry, file, &path)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name().ok().flatten().map(|t| t.into_owned());
                match target.filter(|target| stays_inside(&relative, target)) {
                    Some(target) => self.links.push((relative, target)),
                    None => self.leave_out(&told, "a link that leads outside"),
                }
                return Ok(());
            }
            EntryType::Link => return self.hard_link(entry, &told, &relative, &path),
            _ => {
                self.leave_out(&told, "neither file, directory nor link");
                return Ok(());
            }
        }
        self.copied.entries += 1;
        Ok(())
    }

    fn hard_link<R: Read>(
        &mut self,
        entry: &Entry<'_, R>,
        told: &Path,
        relative: &Path,
        path: &Path,
    ) -> Result<(), Failure> {
        let target = entry.link_name().ok().flatten();
        let target = target.and_then(|target| self.relative(&target));
        let Some(target) = target else {
            self.leave_out(told, "a hard link that leads outside");
            return Ok(());
        };
        self.parents(relative, false)?;
        self.parents(&target, false)?;
        let source = self.root.join(&target);
        // Only what this archive can have brought.
        if !fs::symlink_metadata(&source).is_ok_and(|about| about.is_file()) {
            self.leave_out(told, "a hard link to what is no file");
            return Ok(());
        }
        clear(path)?;
        fs::hard_link(&source, path).map_err(|e| at(path, &e))?;
        self.copied.entries += 1;
        Ok(())
    }

    fn leave_out(&mut self, told: &Path, why: &str) {
        if self.copied.left_out.len() < 100 {
            self.copied.left_out.push(format!("{}: {why}", told.display()));
        }
    }

    /// A name in the archive as a path below the root; none where it leads
    /// elsewhere.
    fn relative(&self, told: &Path) -> Option<PathBuf> {
        let mut parts = vec![];
        for part in told.components() {
            match part {
                Component::Normal(part) => parts.push(part.to_owned()),
                Component::CurDir => {}
                _ => return None,
            }
        }
        if let (Some(first), Some(name)) = (parts.first_mut(), &self.name) {
            *first = name.clone().into_os_string();
        }
        (!parts.is_empty()).then(|| parts.iter().collect())
    }

    /// Makes the directories that a path is in, and with `itself` the path.
    /// Each must be a directory of its own, not a link to one.
    fn parents(&self, relative: &Path, itself: bool) -> Result<(), Failure> {
        let mut path = self.root.clone();
        let count = relative.components().count() - usize::from(!itself);
        for part in relative.components().take(count) {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(about) if about.is_dir() => {}
                Ok(_) => {
                    return Err(Failure::new(format!(
                        "{} is in the way: it is no directory (or a link to one); remove it, or \
                         copy to another place",
                        path.display()
                    )))
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    fs::create_dir(&path).map_err(|e| at(&path, &e))?;
                }
                Err(error) => return Err(at(&path, &error)),
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Copied, Failure> {
        for (relative, target) in std::mem::take(&mut self.links) {
            self.parents(&relative, false)?;
            let path = self.root.join(relative);
            clear(&path)?;
            symlink(target, &path).map_err(|e| at(&path, &e))?;
            self.copied.entries += 1;
        }
        // The innermost first. Through no link: all are directories still.
        for (path, mode) in self.modes.iter().rev() {
            if fs::symlink_metadata(path).is_ok_and(|about| about.is_dir()) {
                let mode = fs::Permissions::from_mode(*mode);
                fs::set_permissions(path, mode).map_err(|e| at(path, &e))?;
            }
        }
        Ok(self.copied)
    }
}

/// Whether a link's target is below the directory that is copied: the first
/// part of the link's own path.
fn stays_inside(link: &Path, target: &Path) -> bool {
    let mut depth = link.components().count() - 1;
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            // Up, but not out of the topmost directory.
            Component::ParentDir if depth > 1 => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// A new file in the place of what is there; never through a link.
fn make(path: &Path, mode: u32) -> Result<File, Failure> {
    clear(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let file = options.open(path).map_err(|e| at(path, &e))?;
    // The umask may have taken from it.
    let permissions = fs::Permissions::from_mode(mode);
    file.set_permissions(permissions).map_err(|e| at(path, &e))?;
    Ok(file)
}

fn fill<R: Read>(entry: &mut Entry<'_, R>, mut file: File, path: &Path) -> Result<u64, Failure> {
    let size = entry.size();
    let written = std::io::copy(entry, &mut file).map_err(|e| at(path, &e))?;
    if written != size {
        return Err(Failure::new(format!("{}: the stream broke off", path.display())));
    }
    if let Ok(seconds) = entry.header().mtime() {
        let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
        if let Some(time) = time {
            // A file system without times is no failure.
            let _ = file.set_modified(time);
        }
    }
    Ok(written)
}

/// Takes a file or link out of the way.
fn clear(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(path, &error)),
    }
}

fn at(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::new(format!("what the provider sent is no whole tar archive: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tar = tar::Builder<Vec<u8>>;

    fn put(tar: &mut Tar, kind: EntryType, name: &str, link: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o6755);
        header.set_size(content.len() as u64);
        // By hand: the library refuses to write what an attacker would.
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }

    fn archive(fill: impl FnOnce(&mut Tar)) -> std::io::Cursor<Vec<u8>> {
        let mut tar = tar::Builder::new(vec![]);
        fill(&mut tar);
        std::io::Cursor::new(tar.into_inner().unwrap())
    }

    /// A directory with `in` and `out` in it.
    fn place() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        fs::create_dir(dir.path().join("out")).unwrap();
        dir
    }

    fn nothing_in(path: &Path) -> bool {
        fs::read_dir(path).unwrap().next().is_none()
    }

    #[test]
    fn files_directories_and_links_come_with_their_permissions() {
        let dir = place();
        let archive = archive(|tar| {
            put(tar, EntryType::Directory, "www/", "", b"");
            put(tar, EntryType::Regular, "www/page", "", b"hello");
            put(tar, EntryType::Symlink, "www/index", "page", b"");
            put(tar, EntryType::Link, "www/same", "www/page", b"");
        });
        let copied = unpack(archive, &dir.path().join("in/site")).unwrap();
        assert_eq!((copied.entries, copied.bytes), (4, 5));
        assert!(copied.left_out.is_empty());
        let site = dir.path().join("in/site");
        assert_eq!(fs::read(site.join("index")).unwrap(), b"hello");
        assert_eq!(fs::read(site.join("same")).unwrap(), b"hello");
        let mode = fs::metadata(site.join("page")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "no setuid");
    }

    #[test]
    fn no_name_leads_outside() {
        let dir = place();
        let archive = archive(|tar| {
            put(tar, EntryType::Regular, "../out/a", "", b"x");
            put(tar, EntryType::Regular, "/tmp/stoa-escape", "", b"x");
            put(tar, EntryType::Regular, "www/../../out/b", "", b"x");
            put(tar, EntryType::Link, "www/c", "../out/c", b"");
            put(tar, EntryType::Char, "www/null", "", b"");
        });
        let copied = unpack(archive, &dir.path().join("in")).unwrap();
        assert_eq!((copied.entries, copied.left_out.len()), (0, 5), "{copied:?}");
        assert!(nothing_in(&dir.path().join("out")));
        assert!(!Path::new("/tmp/stoa-escape").exists());
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let dir = place();
        let out = dir.path().join("out");
        // A link in the archive, and then a file through it.
        let through = archive(|tar| {
            put(tar, EntryType::Directory, "www/", "", b"");
            put(tar, EntryType::Symlink, "www/x", "../../out", b"");
            put(tar, EntryType::Symlink, "www/y", "sub", b"");
            put(tar, EntryType::Regular, "www/x/a", "", b"evil");
            put(tar, EntryType::Regular, "www/y", "", b"kept");
        });
        let copied = unpack(through, &dir.path().join("in")).unwrap();
        assert!(nothing_in(&out));
        assert_eq!(copied.left_out.len(), 1, "{copied:?}");
        // A link that is there already: of a directory, of a file.
        let there = dir.path().join("in/there");
        fs::create_dir(&there).unwrap();
        symlink(&out, there.join("d")).unwrap();
        symlink(out.join("f"), there.join("f")).unwrap();
        let replaced = archive(|tar| put(tar, EntryType::Regular, "there/f", "", b"new"));
        unpack(replaced, &dir.path().join("in")).unwrap();
        assert_eq!(fs::read(there.join("f")).unwrap(), b"new");
        let through = archive(|tar| put(tar, EntryType::Regular, "there/d/a", "", b"evil"));
        let refused = unpack(through, &dir.path().join("in")).unwrap_err();
        assert!(refused.message.contains("in the way"), "{}", refused.message);
        assert!(nothing_in(&out));
    }

    #[test]
    fn links_may_lead_up_within_what_is_copied_and_no_further() {
        let inside = |link: &str, target: &str| stays_inside(Path::new(link), Path::new(target));
        assert!(inside("www/a/link", "../page"));
        assert!(inside("www/link", "./a/../page"));
        assert!(!inside("www/link", "../other"));
        assert!(!inside("www/a/link", "../../x"));
        assert!(!inside("www/link", "/etc/passwd"));
        assert!(!inside("link", "../x"));
    }

    #[test]
    fn a_stream_that_breaks_off_is_an_error() {
        let dir = place();
        let whole = archive(|tar| put(tar, EntryType::Regular, "a", "", &[1; 2000])).into_inner();
        assert!(unpack(&whole[..1000], &dir.path().join("in")).is_err());
        assert!(unpack(&b"no tar at all"[..], &dir.path().join("in")).is_err());
        assert_eq!(
            unpack(&whole[..], &dir.path().join("nowhere/x")).unwrap_err().code,
            crate::exit::Code::Usage
        );
    }

    #[test]
    fn what_is_packed_here_unpacks_as_it_was() {
        let dir = place();
        let from = dir.path().join("in/tree");
        fs::create_dir_all(from.join("deep/er")).unwrap();
        fs::write(from.join("deep/er/file"), vec![7; 600_000]).unwrap();
        fs::set_permissions(from.join("deep/er/file"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("deep/er/file", from.join("link")).unwrap();
        let (writer, mut pieces) = super::super::channel::writer();
        let packing = std::thread::spawn(move || {
            super::super::pack::pack(&from, "copy", writer).map_err(|f| f.failure.message)
        });
        let mut bytes = vec![];
        while let Some(piece) = pieces.blocking_recv() {
            bytes.extend(piece);
        }
        let packed = packing.join().unwrap().unwrap();
        assert_eq!((packed.entries, packed.bytes), (5, 600_000));
        let out = dir.path().join("out");
        let unpacked = unpack(&bytes[..], &out).unwrap();
        assert_eq!(unpacked, packed);
        assert_eq!(fs::read(out.join("copy/link")).unwrap().len(), 600_000);
        let mode = fs::metadata(out.join("copy/deep/er/file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}
