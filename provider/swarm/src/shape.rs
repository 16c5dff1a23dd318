//! How a blob of some size is cut.

use bao_tree::{BaoTree, BlockSize, ChunkNum, ChunkRanges};

/// Bytes of a piece, the unit that peers trade.
pub const PIECE: u64 = 64 << 10;
/// Largest blob, in bytes. Bounds bitfields and proofs.
pub const MAX_SIZE: u64 = 64 << 30;
/// Most pieces of a blob.
pub const MAX_PIECES: u32 = (MAX_SIZE / PIECE) as u32;
/// Hashes are kept for groups of 16 chunks of 1 KiB.
const GROUP: BlockSize = BlockSize::from_chunk_log(4);
/// Bytes of a group.
pub(crate) const GROUP_BYTES: u64 = 16 << 10;
const CHUNKS_PER_PIECE: u64 = PIECE / 1024;
/// Of one parent on the way to the root.
const PAIR: u64 = 64;
/// Parents above the pieces of the largest blob, and those within a piece.
const MAX_PARENTS: u64 = (MAX_SIZE / PIECE).ilog2() as u64 + 1 + PIECE / GROUP_BYTES;

/// Most bytes of a piece with its proof.
pub const MAX_ENCODED: usize = (PIECE + MAX_PARENTS * PAIR) as usize;

/// A size that is within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    size: u64,
}

impl Shape {
    /// None where there is nothing, or more than [`MAX_SIZE`].
    pub fn new(size: u64) -> Option<Self> {
        (1..=MAX_SIZE).contains(&size).then_some(Self { size })
    }

    /// Bytes.
    pub fn size(self) -> u64 {
        self.size
    }

    /// How many pieces there are: 1 to [`MAX_PIECES`].
    pub fn pieces(self) -> u32 {
        u32::try_from(self.size.div_ceil(PIECE)).unwrap_or(MAX_PIECES)
    }

    /// The last piece: what proves the size.
    pub fn last(self) -> u32 {
        self.pieces().saturating_sub(1)
    }

    /// Where a piece begins, in bytes.
    pub fn offset(self, piece: u32) -> u64 {
        u64::from(piece) * PIECE
    }

    /// Bytes of a piece, without its proof. None: there is no such piece.
    pub fn piece_bytes(self, piece: u32) -> Option<u64> {
        let left = self.size.checked_sub(self.offset(piece)).filter(|left| *left > 0)?;
        Some(left.min(PIECE))
    }

    pub(crate) fn tree(self) -> BaoTree {
        BaoTree::new(self.size, GROUP)
    }

    /// Bytes of all hashes above the groups.
    pub fn outboard_bytes(self) -> u64 {
        self.tree().outboard_size()
    }

    pub(crate) fn ranges(self, piece: u32) -> ChunkRanges {
        let begin = u64::from(piece) * CHUNKS_PER_PIECE;
        ChunkRanges::from(ChunkNum(begin)..ChunkNum(begin + CHUNKS_PER_PIECE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_blob_exactly() {
        assert!(Shape::new(0).is_none());
        assert!(Shape::new(MAX_SIZE + 1).is_none());
        assert_eq!(Shape::new(MAX_SIZE).unwrap().pieces(), MAX_PIECES);
        for size in [1, PIECE - 1, PIECE, PIECE + 1, 10 * PIECE + 77] {
            let shape = Shape::new(size).unwrap();
            let sum: u64 = (0..shape.pieces()).map(|p| shape.piece_bytes(p).unwrap()).sum();
            assert_eq!(sum, size);
            assert_eq!(shape.piece_bytes(shape.pieces()), None);
            assert_eq!(shape.piece_bytes(u32::MAX), None);
        }
    }
}
