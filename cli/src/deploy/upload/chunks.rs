//! The messages of one upload.

use std::{fs::File, io, io::SeekFrom, path::Path, sync::Arc};

use futures::stream::{self, Stream};
use stoa_proto::gateway::v1::{BlobChunk, BlobStatusRequest};
use stoa_swarm::{Shape, PIECE};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::Shared;

/// Pieces in one message: under the gateway's limit of 1 MiB, and few enough
/// that peers have the first soon.
const AT_ONCE: u32 = 4;
/// Bytes of hashes in one message: whole parents.
const HASHES: u64 = 256 << 10;

/// What is read next.
struct Source {
    content: tokio::fs::File,
    /// And how many bytes of them were read.
    hashes: Option<(tokio::fs::File, u64)>,
    /// Names the blob, once.
    name: Option<BlobStatusRequest>,
    shape: Shape,
    shared: Arc<Shared>,
    piece: u32,
}

/// The blob's name, its hashes where they are given, and the pieces that are
/// missing. A file that cannot be read on ends the stream; why is noted.
pub(super) fn of(
    path: &Path,
    hashes: Option<&File>,
    name: BlobStatusRequest,
    shape: Shape,
    shared: Arc<Shared>,
) -> io::Result<impl Stream<Item = BlobChunk> + Send + 'static> {
    let hashes = hashes.map(File::try_clone).transpose()?;
    let source = Source {
        content: tokio::fs::File::from_std(File::open(path)?),
        hashes: hashes.map(|file| (tokio::fs::File::from_std(file), 0)),
        name: Some(name),
        shape,
        shared,
        piece: 0,
    };
    Ok(stream::unfold(source, |mut source| async move {
        let next = source.next().await;
        let chunk = next.unwrap_or_else(|error| source.shared.note_failure(error))?;
        source.shared.note_handed(chunk.data.len() + chunk.hashes.len());
        Some((chunk, source))
    }))
}

impl Source {
    async fn next(&mut self) -> io::Result<Option<BlobChunk>> {
        if let Some(name) = self.name.take() {
            return Ok(Some(BlobChunk { blob: Some(name), ..BlobChunk::default() }));
        }
        match self.next_hashes().await? {
            Some(chunk) => Ok(Some(chunk)),
            None => self.next_pieces().await,
        }
    }

    async fn next_hashes(&mut self) -> io::Result<Option<BlobChunk>> {
        let Some((file, offset)) = &mut self.hashes else { return Ok(None) };
        let length = self.shape.outboard_bytes().saturating_sub(*offset).min(HASHES);
        if length == 0 {
            self.hashes = None;
            return Ok(None);
        }
        let hashes = read(file, *offset, length).await?;
        let chunk = BlobChunk { offset: *offset, hashes, ..BlobChunk::default() };
        *offset += length;
        Ok(Some(chunk))
    }

    async fn next_pieces(&mut self) -> io::Result<Option<BlobChunk>> {
        let Some((first, count)) = self.shared.next(self.piece, AT_ONCE) else { return Ok(None) };
        self.piece = first + count;
        let offset = self.shape.offset(first);
        let length = (u64::from(count) * PIECE).min(self.shape.size() - offset);
        let data = read(&mut self.content, offset, length).await?;
        Ok(Some(BlobChunk { offset, data, ..BlobChunk::default() }))
    }
}

async fn read(file: &mut tokio::fs::File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(offset)).await?;
    file.read_exact(&mut bytes).await?;
    Ok(bytes)
}
