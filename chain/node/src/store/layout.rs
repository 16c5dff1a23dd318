//! The physical layout: column families and the only builders of their keys.
//!
//! | family  | key                                   | value                         |
//! |---------|---------------------------------------|-------------------------------|
//! | flat    | key                                   | latest value                  |
//! | nodes   | version, nibble count, packed nibbles | tree node (borsh)             |
//! | values  | key hash, version                     | see [`ValueEntry`]            |
//! | stale   | stale since, tag, rest of the key     | empty                         |
//! | meta    | name                                  | see [`Head`], [`time_key`]    |
//!
//! Versions are heights, big-endian, so that nodes are written nearly in order and pruning
//! walks `stale` from its beginning.

use jmt::{
    storage::{NibblePath, NodeKey},
    KeyHash, Version,
};

use super::{error::StoreError, AppHash};

pub const FLAT: &str = "flat";
pub const NODES: &str = "nodes";
pub const VALUES: &str = "values";
pub const STALE: &str = "stale";
pub const META: &str = "meta";
pub const FAMILIES: [&str; 5] = [FLAT, NODES, VALUES, STALE, META];

/// Number of this layout; a database with another one is refused.
pub const FORMAT: u64 = 1;
pub const META_FORMAT: &[u8] = b"format";
pub const META_HEAD: &[u8] = b"head";
/// Stands while a restore is not finished: what the database holds is then no state.
pub const META_RESTORING: &[u8] = b"restoring";
/// Height that the state was restored at; none where it was executed from the first block.
pub const META_RESTORED: &[u8] = b"restored";

/// Tag of a stale tree node: the rest of the key is the node's key.
pub const STALE_NODE: u8 = b'n';
/// Tag of a height's time: the rest of the key is the key of the time in `meta`.
pub const STALE_TIME: u8 = b't';
/// Tag of a superseded value: the rest of the key is the key hash.
pub const STALE_VALUE: u8 = b'v';

/// Key of a tree node.
pub fn node_key(key: &NodeKey) -> Vec<u8> {
    let path = key.nibble_path();
    let mut out = Vec::with_capacity(9 + path.num_nibbles().div_ceil(2));
    out.extend_from_slice(&key.version().to_be_bytes());
    push_path(&mut out, path);
    out
}

/// Key of the root node of a version.
pub fn root_key(version: Version) -> Vec<u8> {
    let mut out = version.to_be_bytes().to_vec();
    out.push(0);
    out
}

/// Appends the number of nibbles (64 at most) and the nibbles, two a byte.
fn push_path(out: &mut Vec<u8>, path: &NibblePath) {
    out.push(u8::try_from(path.num_nibbles()).unwrap_or(u8::MAX));
    let mut half: Option<u8> = None;
    for nibble in path.nibbles() {
        let nibble = u8::from(nibble);
        match half.take() {
            None => half = Some(nibble << 4),
            Some(high) => out.push(high | nibble),
        }
    }
    out.extend(half);
}

/// Key of the value that a key hash was given at a version.
pub fn value_key(hash: KeyHash, version: Version) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    out.extend_from_slice(&hash.0);
    out.extend_from_slice(&version.to_be_bytes());
    out
}

/// Key in `meta` of the time of a height, Unix seconds in eight bytes.
pub fn time_key(height: Version) -> Vec<u8> {
    let mut out = b"time/".to_vec();
    out.extend_from_slice(&height.to_be_bytes());
    out
}

/// Key of a record which versions from `since` on no longer need.
pub fn stale_key(since: Version, tag: u8, rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + rest.len());
    out.extend_from_slice(&since.to_be_bytes());
    out.push(tag);
    out.extend_from_slice(rest);
    out
}

/// A value of the tree with its key, since the tree itself knows only the key's hash.
///
/// Encoding: 1 for a value or 0 for a deletion, the key's length in two bytes, key, value.
#[derive(Debug, PartialEq, Eq)]
pub struct ValueEntry {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

impl ValueEntry {
    pub fn encode(key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
        let body = value.unwrap_or_default();
        let mut out = Vec::with_capacity(3 + key.len() + body.len());
        out.push(u8::from(value.is_some()));
        out.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(body);
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::Corrupt("a value entry of the tree is cut short".to_owned());
        let (head, rest) = bytes.split_first_chunk::<3>().ok_or_else(damaged)?;
        let [tag, high, low] = *head;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let (key, body) = rest.split_at_checked(len).ok_or_else(damaged)?;
        let value = (tag == 1).then(|| body.to_vec());
        Ok(Self { key: key.to_vec(), value })
    }
}

/// Where the database stands; written with every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Last committed height; 0 before the first.
    pub height: u64,
    /// Time of that block in Unix seconds; 0 before the first.
    pub time: u64,
    /// Oldest height whose history is kept; 0 before the first commit.
    pub oldest: u64,
    /// Merkle root at that height.
    pub app_hash: AppHash,
}

impl Head {
    /// Bytes of its encoding.
    const LEN: usize = 56;

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::LEN);
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
        out.extend_from_slice(&self.oldest.to_be_bytes());
        out.extend_from_slice(&self.app_hash);
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = || {
            StoreError::Corrupt(format!("the head has {} bytes, not {}", bytes.len(), Self::LEN))
        };
        let (height, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (time, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (oldest, hash) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        Ok(Self {
            height: u64::from_be_bytes(*height),
            time: u64::from_be_bytes(*time),
            oldest: u64::from_be_bytes(*oldest),
            app_hash: hash.try_into().map_err(|_| damaged())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_keys() {
        assert_eq!(root_key(0x0102), [0, 0, 0, 0, 0, 0, 1, 2, 0]);
        assert_eq!(stale_key(1, STALE_VALUE, &[9]), [0, 0, 0, 0, 0, 0, 0, 1, b'v', 9]);
        let value = value_key(KeyHash([7; 32]), 3);
        assert_eq!(value.len(), 40);
        assert_eq!(&value[32..], &[0, 0, 0, 0, 0, 0, 0, 3]);
    }

    #[test]
    fn entries_round_trip_and_refuse_cut_bytes() {
        for value in [None, Some(b"value".to_vec())] {
            let bytes = ValueEntry::encode(b"key", value.as_deref());
            let entry = ValueEntry::decode(&bytes).unwrap();
            assert_eq!(entry, ValueEntry { key: b"key".to_vec(), value });
        }
        assert!(ValueEntry::decode(&[1, 0, 9, 1]).is_err());
        let head = Head { height: 7, time: 9, oldest: 2, app_hash: [3; 32] };
        assert_eq!(Head::decode(&head.encode()).unwrap(), head);
        assert!(Head::decode(&head.encode()[1..]).is_err());
    }
}
