//! Forgets the history of heights that are no longer kept, a bounded piece with each block.

use jmt::KeyHash;
use rocksdb::WriteBatch;

use super::{
    engine::Engine,
    error::StoreError,
    layout::{self, STALE_NODE, STALE_TIME, STALE_VALUE},
    snapshot::Snapshot,
};

/// Walks the stale index from its beginning.
#[derive(Default)]
pub struct Pruner {
    /// Where the next walk begins: behind the last record that was pruned, so that a walk does
    /// not step over the tombstones of the earlier ones.
    cursor: Vec<u8>,
}

/// A piece of pruning that stands in a batch which is not written yet.
pub struct Pruned {
    cursor: Option<Vec<u8>>,
    count: usize,
}

impl Pruned {
    /// How many records of the stale index it works off.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Pruner {
    /// Adds to `batch` the removal of at most `limit` records which no height from `oldest` on
    /// needs.
    pub fn plan(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        oldest: u64,
        limit: usize,
        batch: &mut WriteBatch,
    ) -> Result<Pruned, StoreError> {
        // A record that is stale since a version is what the versions before it need.
        // What the block being written adds is stale since its own height: the walk ends before
        // it, for nothing may be added behind the cursor.
        let end = oldest.min(snapshot.height()).saturating_add(1).to_be_bytes().to_vec();
        let (mut cursor, mut count) = (None, 0);
        if self.cursor >= end {
            return Ok(Pruned { cursor, count });
        }
        for entry in snapshot.scan(layout::STALE, &self.cursor, Some(end)).take(limit) {
            let (key, _) = entry?;
            remove(engine, snapshot, &key, batch)?;
            batch.delete_cf(engine.family(layout::STALE), &key);
            cursor = Some(key);
            count += 1;
        }
        Ok(Pruned { cursor, count })
    }

    /// Takes note that a planned piece was written.
    pub fn done(&mut self, pruned: Pruned) {
        if let Some(mut cursor) = pruned.cursor {
            cursor.push(0);
            self.cursor = cursor;
        }
    }
}

fn remove(
    engine: &Engine,
    snapshot: &Snapshot,
    stale: &[u8],
    batch: &mut WriteBatch,
) -> Result<(), StoreError> {
    let damaged = || StoreError::Corrupt("a record of the stale index is malformed".to_owned());
    let (since, rest) = stale.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (tag, key) = rest.split_first().ok_or_else(damaged)?;
    match *tag {
        STALE_NODE => batch.delete_cf(engine.family(layout::NODES), key),
        STALE_TIME => batch.delete_cf(engine.family(layout::META), key),
        STALE_VALUE => {
            let hash = KeyHash(key.try_into().map_err(|_| damaged())?);
            remove_older_values(engine, snapshot, hash, u64::from_be_bytes(*since), batch)?;
        }
        _ => return Err(damaged()),
    }
    Ok(())
}

/// Removes a key's entries before version `since`, and the one at `since` if it is a deletion:
/// no kept height sees a value there, and none sees one without it.
fn remove_older_values(
    engine: &Engine,
    snapshot: &Snapshot,
    hash: KeyHash,
    since: u64,
    batch: &mut WriteBatch,
) -> Result<(), StoreError> {
    let values = engine.family(layout::VALUES);
    let end = layout::value_key(hash, since.saturating_add(1));
    let at_since = layout::value_key(hash, since);
    for entry in snapshot.scan(layout::VALUES, &layout::value_key(hash, 0), Some(end)) {
        let (key, bytes) = entry?;
        let keep = key == at_since && layout::ValueEntry::decode(&bytes)?.value.is_some();
        if !keep {
            batch.delete_cf(values, key);
        }
    }
    Ok(())
}
