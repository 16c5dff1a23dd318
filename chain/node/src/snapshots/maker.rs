//! Writing a snapshot of a committed state into files.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use stoa_chain::store::INDEX_SPACE;

use super::{
    format::{compress, content_hash, push_record, ChunkHash, Manifest, CHUNK_BYTES, MAX_CHUNKS},
    shelf::{chunk_file, MANIFEST},
    SnapshotError,
};
use crate::store::Snapshot;

/// Writes the snapshot of a view into a new directory; the manifest is its last file. Commits
/// go on meanwhile: the view is of one height.
pub fn make(view: &Snapshot, dir: &Path) -> Result<Manifest, SnapshotError> {
    make_chunks(view, dir, CHUNK_BYTES)
}

/// [`make`] with chunks of so many bytes.
pub fn make_chunks(
    view: &Snapshot,
    dir: &Path,
    chunk_bytes: usize,
) -> Result<Manifest, SnapshotError> {
    fs::create_dir_all(dir).map_err(|error| SnapshotError::file(dir, error))?;
    let mut writer =
        Writer { dir, chunk_bytes, content: Vec::new(), chunks: Vec::new(), records: 0, bytes: 0 };
    for entry in view.try_range(&[], &[INDEX_SPACE]) {
        let (key, value) = entry?;
        writer.push(&key, &value)?;
    }
    writer.finish(view.height())
}

struct Writer<'a> {
    dir: &'a Path,
    chunk_bytes: usize,
    content: Vec<u8>,
    chunks: Vec<ChunkHash>,
    records: u64,
    bytes: u64,
}

impl Writer<'_> {
    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), SnapshotError> {
        push_record(&mut self.content, key, value)?;
        self.records += 1;
        if self.content.len() >= self.chunk_bytes {
            self.close_chunk()?;
        }
        Ok(())
    }

    fn close_chunk(&mut self) -> Result<(), SnapshotError> {
        if self.chunks.len() >= MAX_CHUNKS {
            return Err(SnapshotError::Format("the state is too large for this format".to_owned()));
        }
        write_synced(&self.dir.join(chunk_file(self.chunks.len())), &compress(&self.content)?)?;
        self.chunks.push(content_hash(&self.content));
        self.bytes += self.content.len() as u64;
        self.content.clear();
        Ok(())
    }

    fn finish(mut self, height: u64) -> Result<Manifest, SnapshotError> {
        if !self.content.is_empty() || self.chunks.is_empty() {
            self.close_chunk()?;
        }
        let Self { dir, chunks, records, bytes, .. } = self;
        let manifest = Manifest { height, records, bytes, chunks };
        write_synced(&dir.join(MANIFEST), &manifest.encode())?;
        Ok(manifest)
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| SnapshotError::file(path, error))
}
