//! The files of one blob.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use blake3::Hash;

use super::bytes::{At, Bytes};
use super::holding::Holding;
use crate::bits::{byte_length, Bits};
use crate::shape::Shape;
use crate::verify;

/// Begins `.have`; then the size (8 bytes, big-endian), one byte that is 1
/// where all hashes are there, and the bitfield.
const MAGIC: &[u8; 4] = b"have";
const SIZE_AT: u64 = 4;
const TREE_AT: u64 = 12;
pub(super) const BITS_AT: u64 = 13;

/// Their names.
#[derive(Debug, Clone)]
pub(super) struct Files {
    directory: PathBuf,
    name: String,
}

/// What `.have` said.
struct Kept {
    shape: Shape,
    tree_whole: bool,
    bits: Bits,
}

impl Files {
    pub(super) fn of(directory: &Path, root: Hash) -> Self {
        Self { directory: directory.into(), name: root.to_hex().to_string() }
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.directory.join(format!("{}.{kind}", self.name))
    }

    /// A whole blob. Its hashes are made again where they are missing; None,
    /// too, where it is then found to be damaged.
    pub(super) fn open_whole(&self, root: Hash) -> io::Result<Option<Holding>> {
        let Some(data) = existing(&self.path("blob"))? else { return Ok(None) };
        let Some(shape) = Shape::new(data.metadata()?.len()) else { return Ok(None) };
        let hashes = existing(&self.path("tree"))?;
        let fits = |tree: &File| tree.metadata().is_ok_and(|m| m.len() == shape.outboard_bytes());
        let tree = match hashes.filter(fits) {
            Some(tree) => tree,
            None => match self.make_tree(root, shape, &data)? {
                Some(tree) => tree,
                None => return Ok(None),
            },
        };
        let bits = Bits::all(shape.pieces());
        Ok(Some(Holding::whole(root, shape, Bytes::File(data), Bytes::File(tree), bits)))
    }

    /// The hashes of whole content, made again where its root is right.
    fn make_tree(&self, root: Hash, shape: Shape, data: &File) -> io::Result<Option<File>> {
        let temporary = self.path("tree.new");
        let tree = Bytes::File(create(&temporary, shape.outboard_bytes())?);
        let mut reader = io::BufReader::with_capacity(1 << 20, data);
        io::Seek::rewind(&mut reader)?;
        if verify::outboard(shape, reader, At(&tree))? != root {
            fs::remove_file(&temporary)?;
            return Ok(None);
        }
        tree.sync()?;
        fs::rename(temporary, self.path("tree"))?;
        self.sync_directory()?;
        existing(&self.path("tree"))
    }

    /// The size of a blob that is not whole.
    pub(super) fn shape_of_part(&self) -> io::Result<Option<Shape>> {
        Ok(self.read_have()?.map(|kept| kept.shape))
    }

    /// A blob in part: what is kept of it, or nothing yet.
    pub(super) fn open_part(&self, root: Hash, shape: Shape) -> io::Result<Holding> {
        let kept = self.read_have()?.filter(|kept| kept.shape == shape);
        let (data, tree) = (existing(&self.path("part"))?, existing(&self.path("tree"))?);
        let fits = |file: &File, length| file.metadata().is_ok_and(|m| m.len() == length);
        match (kept, data, tree) {
            (Some(kept), Some(data), Some(tree))
                if fits(&data, shape.size()) && fits(&tree, shape.outboard_bytes()) =>
            {
                let have = self.open_have()?;
                let (data, tree) = (Bytes::File(data), Bytes::File(tree));
                Ok(Holding::part(root, shape, data, tree, kept.bits, kept.tree_whole)
                    .on_disk(self.clone(), have))
            }
            _ => self.begin_part(root, shape),
        }
    }

    fn begin_part(&self, root: Hash, shape: Shape) -> io::Result<Holding> {
        // The marks first: pieces without marks are nothing, marks without
        // pieces would be a lie.
        remove(&self.path("have"))?;
        self.sync_directory()?;
        let data = create(&self.path("part"), shape.size())?;
        let tree = create(&self.path("tree"), shape.outboard_bytes())?;
        let bits = Bits::none(shape.pieces());
        let temporary = self.path("have.new");
        let have = create(&temporary, BITS_AT + byte_length(shape.pieces()) as u64)?;
        have.write_all_at(MAGIC, 0)?;
        have.write_all_at(&shape.size().to_be_bytes(), SIZE_AT)?;
        data.sync_all()?;
        tree.sync_all()?;
        have.sync_all()?;
        fs::rename(&temporary, self.path("have"))?;
        self.sync_directory()?;
        let (data, tree) = (Bytes::File(data), Bytes::File(tree));
        Ok(Holding::part(root, shape, data, tree, bits, false).on_disk(self.clone(), have))
    }

    fn open_have(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path("have"))
    }

    fn read_have(&self) -> io::Result<Option<Kept>> {
        let bytes = match fs::read(self.path("have")) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(parse_have(&bytes))
    }

    /// The last step of a blob that has become whole.
    pub(super) fn finish(&self) -> io::Result<()> {
        fs::rename(self.path("part"), self.path("blob"))?;
        self.sync_directory()?;
        remove(&self.path("have"))
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        // What the others mean stands in `.have`: it goes first.
        ["have", "have.new", "part", "blob", "tree", "tree.new"]
            .iter()
            .try_for_each(|kind| remove(&self.path(kind)))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// Marks that all hashes are there; they are synced.
pub(super) fn mark_tree(have: &File) -> io::Result<()> {
    have.write_all_at(&[1], TREE_AT)?;
    have.sync_data()
}

fn parse_have(bytes: &[u8]) -> Option<Kept> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let (tree, bits) = rest.split_first()?;
    let shape = Shape::new(u64::from_be_bytes(*size)).filter(|_| magic == MAGIC)?;
    let bits = Bits::from_bytes(shape.pieces(), bits)?;
    Some(Kept { shape, tree_whole: *tree == 1, bits })
}

fn create(path: &Path, length: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path)?;
    file.set_len(length)?;
    Ok(file)
}

fn existing(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
