//! Pieces with their proofs: the bao encoding of one range, in chunk groups
//! of 16 KiB. <https://github.com/oconnor663/bao/blob/master/docs/spec.md>

mod hashes;

use std::io::{self, Read};

use bao_tree::io::outboard::PreOrderOutboard;
use bao_tree::io::sync::{decode_ranges, encode_ranges_validated, CreateOutboard, ReadAt, WriteAt};
use bao_tree::io::{DecodeError, EncodeError};
use blake3::Hash;

pub use hashes::{HashCheck, PARENT};

use crate::shape::{Shape, MAX_ENCODED};

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("there is no such piece")]
    NoPiece,
    #[error("the bytes are not the blob's")]
    Wrong,
    #[error("the bytes end too soon")]
    Short,
    #[error("there are bytes behind the piece")]
    Long,
    #[error("storage: {0}")]
    Io(#[from] io::Error),
}

/// A piece and its proof. What is on disk is verified on its way, so that
/// damage there is never sent.
pub fn encode<D: ReadAt, T: ReadAt>(
    root: Hash,
    shape: Shape,
    piece: u32,
    data: D,
    tree: T,
) -> Result<Vec<u8>, VerifyError> {
    let bytes = shape.piece_bytes(piece).ok_or(VerifyError::NoPiece)?;
    let mut encoded = Vec::with_capacity(MAX_ENCODED.min(bytes as usize + 2048));
    let outboard = PreOrderOutboard { root, tree: shape.tree(), data: tree };
    encode_ranges_validated(data, outboard, &shape.ranges(piece), &mut encoded).map_err(
        |error| match error {
            EncodeError::Io(error) => VerifyError::Io(error),
            _ => VerifyError::Wrong,
        },
    )?;
    Ok(encoded)
}

/// Verifies a piece and writes what is right of it, and the hashes of its
/// proof. An error leaves nothing written that is not the blob's.
pub fn decode<D: WriteAt, T: ReadAt + WriteAt>(
    root: Hash,
    shape: Shape,
    piece: u32,
    encoded: &[u8],
    data: D,
    tree: T,
) -> Result<(), VerifyError> {
    shape.piece_bytes(piece).ok_or(VerifyError::NoPiece)?;
    let mut rest = encoded;
    let outboard = PreOrderOutboard { root, tree: shape.tree(), data: tree };
    let decoded = decode_ranges(&mut rest, &shape.ranges(piece), data, outboard);
    decoded.map_err(|error| match error {
        DecodeError::ParentNotFound(_) | DecodeError::LeafNotFound(_) => VerifyError::Short,
        DecodeError::ParentHashMismatch(_) | DecodeError::LeafHashMismatch(_) => VerifyError::Wrong,
        DecodeError::Io(error) => VerifyError::Io(error),
    })?;
    match rest.is_empty() {
        true => Ok(()),
        false => Err(VerifyError::Long),
    }
}

/// Hashes whole content and writes the hashes above its groups. The root.
pub fn outboard<T: WriteAt>(shape: Shape, data: impl Read, tree: T) -> io::Result<Hash> {
    let mut outboard =
        PreOrderOutboard { root: Hash::from([0; 32]), tree: shape.tree(), data: tree };
    outboard.init_from(data)?;
    Ok(outboard.root)
}

/// Whether hashes that came before the content (as [`outboard`] writes them)
/// all hang from the root. Pieces can then be verified without proofs.
pub fn check_outboard(root: Hash, shape: Shape, tree: &[u8]) -> Result<(), VerifyError> {
    let mut check = HashCheck::new(root, shape);
    check.push(tree)?;
    match check.is_whole() {
        true => Ok(()),
        false => Err(VerifyError::Short),
    }
}

/// Whether bytes are a piece, where all hashes are here already.
pub fn check_plain<T: ReadAt>(
    root: Hash,
    shape: Shape,
    piece: u32,
    bytes: &[u8],
    tree: T,
) -> Result<(), VerifyError> {
    if shape.piece_bytes(piece) != Some(bytes.len() as u64) {
        return Err(VerifyError::NoPiece);
    }
    encode(root, shape, piece, Shifted { offset: shape.offset(piece), bytes }, tree).map(drop)
}

/// Bytes that stand at an offset of something longer.
struct Shifted<'a> {
    offset: u64,
    bytes: &'a [u8],
}

impl ReadAt for Shifted<'_> {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match at.checked_sub(self.offset) {
            Some(at) => self.bytes.read_at(at, buffer),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests;
