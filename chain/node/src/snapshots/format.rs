//! Bytes of format 1.

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest, Sha256};

use super::SnapshotError;
use crate::store::{Entry, MAX_KEY_LEN};

/// Number of this format, which peers compare.
pub const FORMAT: u32 = 1;

/// Content of a chunk before it is closed, in bytes.
pub const CHUNK_BYTES: usize = 4 << 20;

/// Longest value in bytes.
pub const MAX_VALUE_LEN: usize = 4 << 20;

/// Largest content of a chunk: one record more than fills it.
pub const MAX_CONTENT: usize = CHUNK_BYTES + MAX_KEY_LEN + MAX_VALUE_LEN + 6;

/// Largest chunk as it is sent; CometBFT takes at most 16 MB from a peer.
pub const MAX_CHUNK: usize = 12 << 20;

/// Chunks of a snapshot; CometBFT takes at most 4 MB of metadata from a peer.
pub const MAX_CHUNKS: usize = 100_000;

/// zstd's level: quick, and small enough.
const LEVEL: i32 = 3;

/// Hash of a chunk's content.
pub type ChunkHash = [u8; 32];

/// What a snapshot consists of.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Manifest {
    /// Height of the state.
    pub height: u64,
    /// Records in all chunks.
    pub records: u64,
    /// Bytes of all chunks' content.
    pub bytes: u64,
    /// SHA-256 of each chunk's content, in order.
    pub chunks: Vec<ChunkHash>,
}

impl Manifest {
    /// Its bytes, which peers are given as the snapshot's metadata.
    pub fn encode(&self) -> Vec<u8> {
        // Writing to memory cannot fail.
        borsh::to_vec(self).unwrap_or_default()
    }

    /// Reads what a peer or a file says.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let most = 28 + MAX_CHUNKS * size_of::<ChunkHash>();
        if bytes.len() > most {
            return Err(SnapshotError::Format(format!("its manifest is over {most} bytes")));
        }
        let manifest: Self = borsh::from_slice(bytes)
            .map_err(|error| SnapshotError::Format(format!("its manifest: {error}")))?;
        if manifest.chunks.is_empty() || manifest.height == 0 {
            return Err(SnapshotError::Format("its manifest is of nothing".to_owned()));
        }
        Ok(manifest)
    }

    /// What tells this snapshot from others of the same height.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }

    /// Number of chunks.
    pub fn count(&self) -> u32 {
        u32::try_from(self.chunks.len()).unwrap_or(u32::MAX)
    }
}

/// Hash of a chunk's content.
pub fn content_hash(content: &[u8]) -> ChunkHash {
    Sha256::digest(content).into()
}

/// A chunk's content as it is kept and sent.
pub fn compress(content: &[u8]) -> Result<Vec<u8>, SnapshotError> {
    zstd::bulk::compress(content, LEVEL)
        .map_err(|error| SnapshotError::Format(format!("a chunk does not compress: {error}")))
}

/// A chunk's content, checked against its hash. Never more than [`MAX_CONTENT`] is unpacked.
pub fn open_chunk(bytes: &[u8], hash: &ChunkHash) -> Result<Vec<u8>, SnapshotError> {
    if bytes.len() > MAX_CHUNK {
        let text = format!("a chunk of {} bytes; at most {MAX_CHUNK} are taken", bytes.len());
        return Err(SnapshotError::Format(text));
    }
    let content = zstd::bulk::decompress(bytes, MAX_CONTENT)
        .map_err(|error| SnapshotError::Format(format!("a chunk does not unpack: {error}")))?;
    if content_hash(&content) != *hash {
        return Err(SnapshotError::Format("a chunk is not what the manifest says".to_owned()));
    }
    Ok(content)
}

/// Appends a record: length of the key in two bytes, the value's in four, key, value.
pub fn push_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) -> Result<(), SnapshotError> {
    let too_long = || SnapshotError::Format("a record is too long for this format".to_owned());
    let key_len = u16::try_from(key.len()).map_err(|_| too_long())?;
    let value_len = u32::try_from(value.len()).map_err(|_| too_long())?;
    if value.len() > MAX_VALUE_LEN {
        return Err(too_long());
    }
    out.extend_from_slice(&key_len.to_be_bytes());
    out.extend_from_slice(&value_len.to_be_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
    Ok(())
}

/// The records of a chunk's content, whose keys ascend from above `last`.
pub fn records(content: &[u8], mut last: Vec<u8>) -> Result<Vec<Entry>, SnapshotError> {
    let wrong = |what: &str| SnapshotError::Format(format!("a chunk {what}"));
    let mut rest = content;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (lengths, tail) = rest.split_first_chunk::<6>().ok_or_else(|| wrong("is cut short"))?;
        let [k0, k1, v0, v1, v2, v3] = *lengths;
        let key_len = usize::from(u16::from_be_bytes([k0, k1]));
        let value_len = u32::from_be_bytes([v0, v1, v2, v3]);
        let value_len = usize::try_from(value_len).unwrap_or(usize::MAX);
        let (key, tail) = tail.split_at_checked(key_len).ok_or_else(|| wrong("is cut short"))?;
        let (value, tail) =
            tail.split_at_checked(value_len).ok_or_else(|| wrong("is cut short"))?;
        if key <= last.as_slice() {
            return Err(wrong("has keys out of order"));
        }
        last = key.to_vec();
        out.push((key.to_vec(), value.to_vec()));
        rest = tail;
    }
    Ok(out)
}
