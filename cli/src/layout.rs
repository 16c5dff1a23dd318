//! An OCI layout that lies unpacked in a folder, as one file to be shipped.
//!
//! The same content always makes the same bytes, and so the same version: names
//! in order, no times, no owners. The file is kept in the home, by its hash, for
//! an upload that goes on later.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use stoa_client::Config;
use stoa_manifest::Blob;

/// What an OCI layout has at its top.
const MARK: &str = "oci-layout";
/// Files in one.
const MAX_FILES: usize = 10_000;

/// The layout as a tarball; its hash, and where it lies.
pub fn pack(folder: &Path) -> Result<(Blob, PathBuf), String> {
    let home = Config::home(None).map_err(|e| e.to_string())?;
    pack_into(folder, &home.join("images"))
}

fn pack_into(folder: &Path, images: &Path) -> Result<(Blob, PathBuf), String> {
    if !folder.join(MARK).is_file() || !folder.join("index.json").is_file() {
        return Err(format!(
            "it is a folder and no OCI layout ({MARK} and index.json are not both in it); name \
             such a folder, or a tarball as `docker save` writes it"
        ));
    }
    let mut files = vec![];
    list(folder, Path::new(""), &mut files)?;
    files.sort();
    keep(images, |builder| {
        files.iter().try_for_each(|name| append_file(builder, folder, name, 0o644))
    })
}

/// A tarball that is being made.
pub(crate) type Packing = tar::Builder<Hashing<io::BufWriter<fs::File>>>;

/// Keeps a tarball in a folder by its hash; half-made ones do not stay.
pub(crate) fn keep(
    folder: &Path,
    write: impl FnOnce(&mut Packing) -> Result<(), String>,
) -> Result<(Blob, PathBuf), String> {
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let temporary = folder.join(format!(".packing-{:08x}", rand::random::<u32>()));
    let packed = write_to(&temporary, write).and_then(|blob| {
        let path = folder.join(format!("{}.tar", blob.root.to_hex()));
        fs::rename(&temporary, &path).map_err(|e| e.to_string())?;
        Ok((blob, path))
    });
    if packed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    packed
}

/// Files below a folder, from it. What is neither file nor folder is refused.
fn list(folder: &Path, inside: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let here = folder.join(inside);
    let bad = |e: io::Error| format!("{}: {e}", here.display());
    for entry in fs::read_dir(&here).map_err(bad)? {
        let entry = entry.map_err(bad)?;
        let name = inside.join(entry.file_name());
        let kind = entry.file_type().map_err(bad)?;
        if kind.is_dir() {
            list(folder, &name, files)?;
        } else if kind.is_file() {
            files.push(name);
        } else {
            return Err(format!("{} is neither a file nor a folder", name.display()));
        }
        if files.len() > MAX_FILES {
            return Err(format!("over {MAX_FILES} files are in it"));
        }
    }
    Ok(())
}

/// One file as it is packed: nothing of who has it, and when.
pub(crate) fn append_file(
    builder: &mut Packing,
    folder: &Path,
    name: &Path,
    mode: u32,
) -> Result<(), String> {
    let bad = |e: io::Error| format!("{}: {e}", name.display());
    let content = fs::File::open(folder.join(name)).map_err(bad)?;
    let bytes = content.metadata().map_err(bad)?.len();
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes);
    header.set_mode(mode);
    header.set_mtime(0);
    // A file that is being written to must not spoil the tarball.
    builder.append_data(&mut header, name, content.take(bytes)).map_err(bad)
}

fn write_to(
    to: &Path,
    write: impl FnOnce(&mut Packing) -> Result<(), String>,
) -> Result<Blob, String> {
    let bad = |e: io::Error| e.to_string();
    let file = io::BufWriter::new(fs::File::create(to).map_err(bad)?);
    let mut builder =
        tar::Builder::new(Hashing { to: file, hash: blake3::Hasher::new(), bytes: 0 });
    write(&mut builder)?;
    let Hashing { to, hash, bytes } = builder.into_inner().map_err(bad)?;
    to.into_inner().map_err(|e| e.to_string())?.sync_all().map_err(bad)?;
    Ok(Blob { root: hash.finalize(), bytes })
}

/// Hashes what is written.
pub(crate) struct Hashing<W> {
    to: W,
    hash: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.to.write(data)?;
        self.hash.update(data.get(..written).unwrap_or_default());
        self.bytes = self.bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(dir: &Path, order: &[&str]) {
        for name in order {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("content of {name}")).unwrap();
        }
    }

    #[test]
    fn one_content_is_one_tarball_and_another_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        let names = ["oci-layout", "index.json", "blobs/sha256/aa", "blobs/sha256/bb"];
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        layout(&one, &names);
        let mut reversed = names;
        reversed.reverse();
        layout(&two, &reversed);
        let (first, path) = pack_into(&one, &images).unwrap();
        let (second, _) = pack_into(&two, &images).unwrap();
        assert_eq!(first, second);
        let bytes = fs::read(&path).unwrap();
        assert_eq!((blake3::hash(&bytes), bytes.len() as u64), (first.root, first.bytes));
        let mut archive = tar::Archive::new(bytes.as_slice());
        let found: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(found, ["blobs/sha256/aa", "blobs/sha256/bb", "index.json", "oci-layout"]);
        fs::write(two.join("index.json"), "other").unwrap();
        assert_ne!(pack_into(&two, &images).unwrap().0, first);
        // Nothing half-made is left.
        assert_eq!(fs::read_dir(&images).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_that_is_no_layout_is_refused_with_what_would_be_one() {
        let dir = tempfile::tempdir().unwrap();
        layout(dir.path(), &["index.html"]);
        let error = pack_into(dir.path(), &dir.path().join("images")).unwrap_err();
        assert!(error.contains("no OCI layout"), "{error}");
        layout(dir.path(), &["oci-layout", "index.json"]);
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("blobs")).unwrap();
        let error = pack_into(dir.path(), &dir.path().join("images")).unwrap_err();
        assert!(error.contains("neither a file"), "{error}");
    }
}
