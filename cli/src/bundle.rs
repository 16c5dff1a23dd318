//! What volumes are to hold at first: a tar archive, or a folder that is packed
//! into one.
//!
//! The same content always makes the same bytes, and so the same version: names
//! in order, no times, no owners, and of modes whether a file may be run. The
//! file is kept in the home, by its hash, for an upload that goes on later.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use stoa_client::Config;
use stoa_manifest::Blob;
use tar::EntryType;

use crate::{
    layout::{append_file, keep, Packing},
    manifest::hash_file,
};

/// Files, folders and links in one; providers take as many.
const MAX_ENTRIES: usize = 100_000;
/// First bytes of compressed files.
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
];

/// The archive's hash, and where it lies.
pub fn ship(path: &Path) -> Result<(Blob, PathBuf), String> {
    if path.is_dir() {
        let home = Config::home(None).map_err(|e| e.to_string())?;
        return pack_into(path, &home.join("data"));
    }
    let blob = hash_file(path)?;
    check(path)?;
    Ok((blob, path.to_owned()))
}

/// Says early what a provider would refuse late. Providers check more.
fn check(path: &Path) -> Result<(), String> {
    let mut file = fs::File::open(path).map_err(|e| e.to_string())?;
    let mut head = vec![];
    (&mut file).take(6).read_to_end(&mut head).map_err(|e| e.to_string())?;
    if let Some((_, how)) = COMPRESSED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(format!("it is compressed with {how}; a plain tar archive is taken"));
    }
    io::Seek::rewind(&mut file).map_err(|e| e.to_string())?;
    let bad = |e: io::Error| format!("it is no tar archive: {e}");
    let mut archive = tar::Archive::new(file);
    let mut count = 0_usize;
    for entry in archive.entries_with_seek().map_err(bad)? {
        let entry = entry.map_err(bad)?;
        let name = entry.path().map_err(bad)?;
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !name.components().all(inside) {
            return Err(format!("{} in it leads out of it", name.display()));
        }
        match entry.header().entry_type() {
            EntryType::Regular
            | EntryType::Continuous
            | EntryType::Directory
            | EntryType::Symlink
            | EntryType::Link
            | EntryType::XGlobalHeader => {}
            other => {
                let name = name.display();
                return Err(format!(
                    "{name} in it is of type {other:?}; files, folders and links are taken"
                ));
            }
        }
        count += 1;
        if count > MAX_ENTRIES {
            return Err(too_many());
        }
    }
    match count {
        0 => Err("nothing is in it".into()),
        _ => Ok(()),
    }
}

fn too_many() -> String {
    format!("over {MAX_ENTRIES} files and folders are in it")
}

fn pack_into(folder: &Path, kept: &Path) -> Result<(Blob, PathBuf), String> {
    let mut names = vec![];
    list(folder, Path::new(""), &mut names)?;
    names.sort();
    if names.is_empty() {
        return Err("nothing is in it".into());
    }
    keep(kept, |builder| names.iter().try_for_each(|name| append(builder, folder, name)))
}

/// All below a folder, from it.
fn list(folder: &Path, inside: &Path, names: &mut Vec<PathBuf>) -> Result<(), String> {
    let here = folder.join(inside);
    let bad = |e: io::Error| format!("{}: {e}", here.display());
    for entry in fs::read_dir(&here).map_err(bad)? {
        let entry = entry.map_err(bad)?;
        let name = inside.join(entry.file_name());
        names.push(name.clone());
        if names.len() > MAX_ENTRIES {
            return Err(too_many());
        }
        if entry.file_type().map_err(bad)?.is_dir() {
            list(folder, &name, names)?;
        }
    }
    Ok(())
}

fn append(builder: &mut Packing, folder: &Path, name: &Path) -> Result<(), String> {
    let bad = |e: io::Error| format!("{}: {e}", name.display());
    let full = folder.join(name);
    let found = fs::symlink_metadata(&full).map_err(bad)?;
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    header.set_mtime(0);
    if found.is_file() {
        let runs = found.permissions().mode() & 0o100 != 0;
        append_file(builder, folder, name, if runs { 0o755 } else { 0o644 })
    } else if found.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, io::empty()).map_err(bad)
    } else if found.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        let target = fs::read_link(&full).map_err(bad)?;
        builder.append_link(&mut header, name, target).map_err(bad)
    } else {
        Err(format!("{} is neither a file nor a folder nor a link", name.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(at: &Path, order: &[&str]) {
        for name in order {
            let path = at.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("content of {name}")).unwrap();
        }
        fs::set_permissions(at.join("bin/run"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::create_dir_all(at.join("empty")).unwrap();
        std::os::unix::fs::symlink("index.html", at.join("start")).unwrap();
    }

    #[test]
    fn a_folder_of_one_content_is_one_archive_with_modes_links_and_empty_folders() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two, kept) =
            (dir.path().join("one"), dir.path().join("two"), dir.path().join("kept"));
        site(&one, &["index.html", "bin/run"]);
        site(&two, &["bin/run", "index.html"]);
        fs::set_permissions(two.join("index.html"), fs::Permissions::from_mode(0o600)).unwrap();
        let (first, path) = pack_into(&one, &kept).unwrap();
        assert_eq!(pack_into(&two, &kept).unwrap().0, first, "who may read it is not in it");
        check(&path).unwrap();
        let mut archive = tar::Archive::new(fs::File::open(&path).unwrap());
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                (entry.path().unwrap().display().to_string(), header.mode().unwrap())
            })
            .collect();
        let expected = [
            ("bin", 0o755),
            ("bin/run", 0o755),
            ("empty", 0o755),
            ("index.html", 0o644),
            ("start", 0o777),
        ];
        assert_eq!(found, expected.map(|(name, mode)| (name.to_owned(), mode)));
        fs::set_permissions(two.join("bin/run"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_ne!(pack_into(&two, &kept).unwrap().0, first);
    }

    #[test]
    fn what_a_provider_would_refuse_is_refused_here_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.tar");
        let refused = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            ship(&path).unwrap_err()
        };
        assert!(refused(b"").contains("empty"));
        assert!(refused(b"\x1f\x8b\x08 and so on").contains("gzip"));
        assert!(refused(&[7; 1024]).contains("no tar"));
        assert!(refused(&[0; 1024]).contains("nothing is in it"));
        let with = |kind: EntryType, name: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_mode(0o644);
            header.set_cksum();
            let mut builder = tar::Builder::new(vec![]);
            builder.append(&header, io::empty()).unwrap();
            builder.into_inner().unwrap()
        };
        assert!(refused(&with(EntryType::Regular, b"../x")).contains("leads out"));
        assert!(refused(&with(EntryType::Char, b"x")).contains("type Char"));
        fs::write(&path, with(EntryType::Regular, b"x")).unwrap();
        assert_eq!(ship(&path).unwrap().1, path);
        assert!(ship(dir.path().join("no").as_path()).unwrap_err().contains("No such file"));
        fs::create_dir(dir.path().join("bare")).unwrap();
        let error = pack_into(&dir.path().join("bare"), &dir.path().join("kept")).unwrap_err();
        assert!(error.contains("nothing is in it"), "{error}");
    }
}
