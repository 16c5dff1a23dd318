//! The consensus engine's part: whose votes a block carries, and what it would
//! not have from the state machine.

use std::collections::BTreeMap;

use stoa_chain::app::ValidatorUpdate;

/// Power by consensus key.
pub type Set = BTreeMap<[u8; 32], u64>;

/// Sets by height: an update of block H holds from H + 2 on.
pub struct Engine {
    sets: BTreeMap<u64, Set>,
}

impl Engine {
    pub fn new(first: Set) -> Self {
        assert!(!first.is_empty());
        Self { sets: BTreeMap::from([(1, first.clone()), (2, first)]) }
    }

    /// Who validates the block.
    pub fn set(&self, height: u64) -> &Set {
        &self.sets[&height]
    }

    /// Takes the updates of a block, as CometBFT does.
    pub fn update(&mut self, height: u64, updates: &[ValidatorUpdate]) {
        let mut set = self.sets[&(height + 1)].clone();
        let mut seen = std::collections::BTreeSet::new();
        for ValidatorUpdate { consensus_key, power } in updates {
            assert!(seen.insert(*consensus_key), "height {height}: an update twice");
            if *power == 0 {
                assert!(set.remove(consensus_key).is_some(), "height {height}: nobody to remove");
            } else {
                let before = set.insert(*consensus_key, *power);
                assert_ne!(before, Some(*power), "height {height}: an update of nothing");
            }
        }
        assert!(!set.is_empty(), "height {height}: the engine refuses an empty set");
        self.sets.insert(height + 2, set);
    }
}
