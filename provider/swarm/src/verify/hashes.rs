//! Hashes that come before the content, checked as they come.

use blake3::hazmat::{left_subtree_len, merge_subtrees_non_root, merge_subtrees_root, Mode};
use blake3::Hash;

use super::VerifyError;
use crate::shape::{Shape, GROUP_BYTES};

/// Bytes of one parent: the hashes of what is left and right of it.
pub const PARENT: usize = 64;

/// Checks the hashes above a blob's groups in the order in which
/// [`super::outboard`] writes them: a parent, all that is left of it, all
/// that is right of it. Holds as many hashes as the tree is high.
#[derive(Debug, Clone)]
pub struct HashCheck {
    /// Parents that are to come, the next one last: the hash that each must
    /// have, and the bytes of content below it.
    open: Vec<([u8; 32], u64)>,
    /// Bytes of hashes that were right.
    at: u64,
}

impl HashCheck {
    pub fn new(root: Hash, shape: Shape) -> Self {
        let mut check = Self { open: vec![], at: 0 };
        check.expect(*root.as_bytes(), shape.size());
        check
    }

    /// Bytes of hashes that were right: where the next ones belong.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// All were there.
    pub fn is_whole(&self) -> bool {
        self.open.is_empty()
    }

    /// Checks the next parents. After an error those before the wrong one
    /// are taken.
    ///
    /// # Errors
    /// Where a parent is not the blob's, is cut off, or comes behind the last.
    pub fn push(&mut self, parents: &[u8]) -> Result<(), VerifyError> {
        let (parents, rest) = parents.as_chunks::<PARENT>();
        if !rest.is_empty() {
            return Err(VerifyError::Short);
        }
        parents.iter().try_for_each(|parent| self.one(parent))
    }

    fn one(&mut self, parent: &[u8; PARENT]) -> Result<(), VerifyError> {
        let (expected, bytes) = *self.open.last().ok_or(VerifyError::Long)?;
        let (left, right) = parent.split_at(32);
        let left: &[u8; 32] = left.try_into().map_err(|_| VerifyError::Short)?;
        let right: &[u8; 32] = right.try_into().map_err(|_| VerifyError::Short)?;
        let merged = match self.at == 0 {
            true => *merge_subtrees_root(left, right, Mode::Hash).as_bytes(),
            false => merge_subtrees_non_root(left, right, Mode::Hash),
        };
        if merged != expected {
            return Err(VerifyError::Wrong);
        }
        self.open.pop();
        let left_bytes = left_subtree_len(bytes);
        self.expect(*right, bytes - left_bytes);
        self.expect(*left, left_bytes);
        self.at += PARENT as u64;
        Ok(())
    }

    /// A group has no parents below it.
    fn expect(&mut self, hash: [u8; 32], bytes: u64) {
        if bytes > GROUP_BYTES {
            self.open.push((hash, bytes));
        }
    }
}
