//! What the state machine reads from, as narrow as it gets.

use std::collections::BTreeMap;

/// Entries of a store, ascending by key.
pub type Entries<'a> = Box<dyn Iterator<Item = (Vec<u8>, Vec<u8>)> + 'a>;

/// The final value of each key that a block changed; `None` removes it.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// First byte from which keys are derived indexes: rebuilt from state, read
/// fast, left out of the Merkle tree.
pub const INDEX_SPACE: u8 = 0x80;

/// Whether the key belongs to a derived index rather than to the state that
/// the app hash commits to.
pub fn is_index(key: &[u8]) -> bool {
    key.first().is_some_and(|byte| *byte >= INDEX_SPACE)
}

/// A consistent view of the last committed state.
///
/// Reads cannot fail: an implementation that cannot read must say why and end
/// the process, for a validator that guesses is worse than one that stops.
pub trait Store: Send + Sync {
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Ascending entries with `from <= key < to`.
    fn range<'a>(&'a self, from: &[u8], to: &[u8]) -> Entries<'a>;
}

/// A store in memory: genesis is computed on an empty one, tests use it
/// throughout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryStore {
    /// Adopts a block's changes.
    pub fn apply(&mut self, changes: &Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => self.entries.insert(key.clone(), value.clone()),
                None => self.entries.remove(key),
            };
        }
    }

    /// All entries, ascending.
    pub fn entries(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.entries
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(key).cloned()
    }

    fn range<'a>(&'a self, from: &[u8], to: &[u8]) -> Entries<'a> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let range = self.entries.range(from.to_vec()..to.to_vec());
        Box::new(range.map(|(key, value)| (key.clone(), value.clone())))
    }
}
