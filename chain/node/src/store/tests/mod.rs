//! The store against a plain model, its proofs, its pruning and its crashes.

mod crash;
mod history;
mod model;
mod proofs;
mod restore;

use std::collections::BTreeMap;

use rand::{rngs::StdRng, Rng};

use stoa_chain::store::{Changes, INDEX_SPACE};

use super::{Database, Options};

pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Small settings that prune soon.
pub fn options(retain_heights: u64) -> Options {
    Options {
        block_cache_bytes: 1 << 20,
        write_buffer_bytes: 256 << 10,
        retain_heights,
        prune_batch: 4,
        restore_batch: 8,
    }
}

pub fn apply(model: &mut Model, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(model.insert(key.clone(), value.clone())),
            None => drop(model.remove(key)),
        }
    }
}

/// Some writes and deletions over few keys, so that they meet again, in state and index.
pub fn random_changes(rng: &mut StdRng, max: usize) -> Changes {
    (0..rng.gen_range(0..=max))
        .map(|_| {
            let first = if rng.gen_bool(0.2) { INDEX_SPACE + rng.gen_range(0..3) } else { 1 };
            let key = vec![first, rng.gen_range(0..60)];
            let value = rng.gen_bool(0.6).then(|| rng.gen::<[u8; 3]>().to_vec());
            (key, value)
        })
        .collect()
}

pub fn commit(db: &Database, changes: &Changes) {
    let staged = db.stage(db.height() + 1, 0, changes).unwrap();
    let hash = staged.app_hash();
    db.commit(staged).unwrap();
    assert_eq!(db.app_hash(), hash);
}

/// The root that a new tree gives the same state in one block.
pub fn root_of(model: &Model) -> super::AppHash {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    let changes = model.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    db.stage(1, 0, &changes).unwrap().app_hash()
}
