//! The state as a block sees it: a committed store under layers of changes.

use std::collections::BTreeMap;
use std::iter::Peekable;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::store::{Changes, Entries, Store};

/// A committed store with the block's changes, and the transaction's over
/// them, that can be dropped one layer at a time.
pub struct State<'s> {
    base: &'s dyn Store,
    block: Changes,
    /// Open checkpoints, innermost last.
    layers: Vec<Changes>,
}

impl<'s> State<'s> {
    /// A view without changes.
    pub fn new(base: &'s dyn Store) -> Self {
        Self { base, block: BTreeMap::new(), layers: Vec::new() }
    }

    /// A view that starts with changes already made on the same base.
    pub fn with_changes(base: &'s dyn Store, changes: Changes) -> Self {
        Self { base, block: changes, layers: Vec::new() }
    }

    /// Starts a layer that [`Self::keep`] adopts or [`Self::discard`] drops.
    pub fn checkpoint(&mut self) {
        self.layers.push(BTreeMap::new());
    }

    /// Adopts the innermost layer into the one below.
    pub fn keep(&mut self) {
        if let Some(top) = self.layers.pop() {
            self.top().extend(top);
        }
    }

    /// Drops the innermost layer.
    pub fn discard(&mut self) {
        self.layers.pop();
    }

    /// The final value of each changed key. Open layers are dropped.
    pub fn into_changes(self) -> Changes {
        self.block
    }

    /// The raw value under `key`.
    pub fn get_raw(&self, key: &[u8]) -> Option<Vec<u8>> {
        for layer in self.layers.iter().rev() {
            if let Some(change) = layer.get(key) {
                return change.clone();
            }
        }
        match self.block.get(key) {
            Some(change) => change.clone(),
            None => self.base.get(key),
        }
    }

    /// Sets the raw value under `key`.
    pub fn put_raw(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.top().insert(key, Some(value));
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.top().insert(key, None);
    }

    /// The record under `key`.
    ///
    /// A record that does not decode was written by a bug or a damaged disk:
    /// it ends the process rather than reading as absent.
    pub fn get<T: BorshDeserialize>(&self, key: &[u8]) -> Option<T> {
        self.get_raw(key).map(|bytes| decode(key, &bytes))
    }

    /// Writes the record under `key`.
    pub fn put<T: BorshSerialize>(&mut self, key: Vec<u8>, record: &T) {
        self.put_raw(key, encode(record));
    }

    /// Ascending entries with `from <= key < to`.
    pub fn range(&self, from: &[u8], to: &[u8]) -> Entries<'_> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let mut entries = self.base.range(from, to);
        for layer in std::iter::once(&self.block).chain(&self.layers) {
            if layer.is_empty() {
                continue;
            }
            entries = Box::new(Overlaid {
                below: entries.peekable(),
                above: layer.range(from.to_vec()..to.to_vec()).peekable(),
            });
        }
        entries
    }

    /// Ascending entries whose keys start with `prefix`.
    pub fn prefix(&self, prefix: &[u8]) -> Entries<'_> {
        self.range(prefix, &after_prefix(prefix))
    }

    fn top(&mut self) -> &mut Changes {
        match self.layers.last_mut() {
            Some(layer) => layer,
            None => &mut self.block,
        }
    }
}

/// The first key after all those that start with `prefix`.
pub fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    // Only 0xff bytes: no key of ours is as long.
    vec![0xff; 256]
}

/// Record bytes. Writing to memory cannot fail.
pub fn encode<T: BorshSerialize>(record: &T) -> Vec<u8> {
    borsh::to_vec(record).unwrap_or_default()
}

/// A record from its bytes; see [`State::get`] for what happens otherwise.
#[allow(clippy::panic, reason = "a damaged store must stop the node, not read as empty")]
pub fn decode<T: BorshDeserialize>(key: &[u8], bytes: &[u8]) -> T {
    match borsh::from_slice(bytes) {
        Ok(record) => record,
        Err(error) => panic!("the record under {} does not decode: {error}", hex::encode(key)),
    }
}

type LayerRange<'a> = std::collections::btree_map::Range<'a, Vec<u8>, Option<Vec<u8>>>;

/// Entries of a store with one layer of changes over them.
struct Overlaid<'a> {
    below: Peekable<Entries<'a>>,
    above: Peekable<LayerRange<'a>>,
}

impl Iterator for Overlaid<'_> {
    type Item = (Vec<u8>, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let from_below = match (self.below.peek(), self.above.peek()) {
                (Some((below, _)), Some((above, _))) if below < *above => true,
                (Some((below, _)), Some((above, _))) => {
                    if below == *above {
                        self.below.next();
                    }
                    false
                }
                (Some(_), None) => true,
                (None, _) => false,
            };
            if from_below {
                return self.below.next();
            }
            let (key, change) = self.above.next()?;
            if let Some(value) = change {
                return Some((key.clone(), value.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Put(u8, u8),
        Remove(u8),
        Checkpoint,
        Keep,
        Discard,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..24u8, any::<u8>()).prop_map(|(k, v)| Step::Put(k, v)),
            2 => (0..24u8).prop_map(Step::Remove),
            1 => Just(Step::Checkpoint),
            1 => Just(Step::Keep),
            1 => Just(Step::Discard),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn layered_state_reads_like_a_stack_of_whole_maps(steps in steps(), from in 0..24u8, to in 0..25u8) {
            let mut base = MemoryStore::default();
            let seed: Changes = (0..12u8).map(|k| (vec![k * 2], Some(vec![k]))).collect();
            base.apply(&seed);
            let mut state = State::new(&base);
            let mut stack = vec![base.entries().clone()];
            for step in steps {
                match step {
                    Step::Put(k, v) => {
                        state.put_raw(vec![k], vec![v]);
                        stack.last_mut().unwrap().insert(vec![k], vec![v]);
                    }
                    Step::Remove(k) => {
                        state.remove(vec![k]);
                        stack.last_mut().unwrap().remove(&vec![k]);
                    }
                    Step::Checkpoint => {
                        state.checkpoint();
                        stack.push(stack.last().unwrap().clone());
                    }
                    Step::Keep if stack.len() > 1 => {
                        state.keep();
                        let top = stack.pop().unwrap();
                        *stack.last_mut().unwrap() = top;
                    }
                    Step::Discard if stack.len() > 1 => {
                        state.discard();
                        stack.pop();
                    }
                    Step::Keep | Step::Discard => {}
                }
            }
            let model = stack.last().unwrap();
            for k in 0..24u8 {
                prop_assert_eq!(state.get_raw(&[k]), model.get(&vec![k]).cloned());
            }
            let got: Vec<_> = state.range(&[from], &[to]).collect();
            let wanted: Vec<_> = model
                .iter()
                .filter(|(k, _)| **k >= vec![from] && **k < vec![to])
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            prop_assert_eq!(got, wanted);
        }
    }

    #[test]
    fn the_key_after_a_prefix_carries_over_full_bytes() {
        assert_eq!(after_prefix(&[1, 2]), vec![1, 3]);
        assert_eq!(after_prefix(&[1, 0xff]), vec![2]);
    }
}
