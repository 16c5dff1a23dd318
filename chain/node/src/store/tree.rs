//! The Merkle tree's view of the store.

use std::iter::Peekable;

use anyhow::{bail, Result};
use jmt::{
    storage::{HasPreimage, LeafNode, Node, NodeKey, TreeReader},
    KeyHash, OwnedValue, Version,
};

use super::{
    error::StoreError,
    layout::{self, ValueEntry},
    snapshot::{Entry, Snapshot},
};

/// Reads tree nodes and values through a snapshot.
pub struct TreeView<'a> {
    snapshot: &'a Snapshot,
    /// Version of a root that is taken as empty: the one before the first commit.
    genesis_root: Option<Version>,
}

impl<'a> TreeView<'a> {
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, genesis_root: None }
    }

    /// The view on which the first block of a chain is computed, whatever its height.
    pub fn before_first(snapshot: &'a Snapshot, height: Version) -> Self {
        Self { snapshot, genesis_root: height.checked_sub(1) }
    }

    /// Whether a committed version has no leaf.
    pub fn is_empty(&self, version: Version) -> Result<bool, StoreError> {
        let bytes = self.snapshot.read(layout::NODES, &layout::root_key(version))?;
        let bytes = bytes.ok_or_else(|| {
            StoreError::Corrupt(format!("the tree of height {version} has no root"))
        })?;
        Ok(matches!(decode_node(&bytes).map_err(to_tree_error)?, Node::Null))
    }
}

fn decode_node(bytes: &[u8]) -> Result<Node> {
    Ok(borsh::from_slice(bytes)?)
}

pub fn to_tree_error(error: anyhow::Error) -> StoreError {
    StoreError::Tree(format!("{error:#}"))
}

impl TreeReader for TreeView<'_> {
    fn get_node_option(&self, key: &NodeKey) -> Result<Option<Node>> {
        let bytes = self.snapshot.read(layout::NODES, &layout::node_key(key))?;
        if bytes.is_none() && self.genesis_root == Some(key.version()) {
            return Ok(key.nibble_path().is_empty().then_some(Node::Null));
        }
        bytes.map(|bytes| decode_node(&bytes)).transpose()
    }

    fn get_value_option(&self, max: Version, hash: KeyHash) -> Result<Option<OwnedValue>> {
        Ok(self.snapshot.value_entry(hash, max)?.and_then(|entry| entry.value))
    }

    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>> {
        bail!("only a restore of the tree asks for its rightmost leaf")
    }
}

impl HasPreimage for TreeView<'_> {
    fn preimage(&self, hash: KeyHash) -> Result<Option<Vec<u8>>> {
        // Every entry of a hash carries the same key, so any version's will do.
        Ok(self.snapshot.value_entry(hash, Version::MAX)?.map(|entry| entry.key))
    }
}

/// The state at a version: of each key hash the newest entry that is not newer.
pub struct StateAt<I: Iterator> {
    entries: Peekable<I>,
    version: Version,
}

impl<I: Iterator<Item = Result<Entry, StoreError>>> StateAt<I> {
    pub fn new(entries: I, version: Version) -> Self {
        Self { entries: entries.peekable(), version }
    }

    /// Newest entry in reach of the next key hash, if there is a next key hash.
    fn next_group(&mut self) -> Option<Result<Option<ValueEntry>, StoreError>> {
        let mut newest = None;
        let mut hash: Option<Vec<u8>> = None;
        while let Some(Ok((key, _))) = self.entries.peek() {
            let Some((group, version)) = key.split_last_chunk::<8>() else {
                return Some(Err(StoreError::Corrupt("a value key is cut short".to_owned())));
            };
            if hash.as_deref().is_some_and(|hash| hash != group) {
                break;
            }
            hash = Some(group.to_vec());
            let in_reach = u64::from_be_bytes(*version) <= self.version;
            match self.entries.next() {
                Some(Ok((_, value))) if in_reach => newest = Some(value),
                _ => {}
            }
        }
        if hash.is_none() {
            return self.entries.next().map(|entry| entry.map(|_| None));
        }
        Some(newest.map(|bytes| ValueEntry::decode(&bytes)).transpose())
    }
}

impl<I: Iterator<Item = Result<Entry, StoreError>>> Iterator for StateAt<I> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_group()? {
                Err(error) => return Some(Err(error)),
                Ok(Some(ValueEntry { key, value: Some(value) })) => return Some(Ok((key, value))),
                Ok(_) => {}
            }
        }
    }
}
