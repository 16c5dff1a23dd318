//! Taking the last block back, offline.

use std::{collections::BTreeMap, sync::PoisonError};

use jmt::Sha256Jmt;
use rocksdb::WriteBatch;

use super::{
    database::Database,
    error::StoreError,
    layout::{self, Head, STALE_TIME},
    prune::Pruner,
    snapshot::Snapshot,
    tree::{to_tree_error, TreeView},
};

impl Database {
    /// Goes back to the height before the last one, of which `state` is every entry, indexes
    /// too.
    ///
    /// # Errors
    /// If that height is not kept; nothing is changed then.
    pub fn roll_back(&self, state: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), StoreError> {
        let snapshot = self.latest();
        let last = snapshot.height();
        let height = last.saturating_sub(1);
        let time = snapshot.time_at(height)?;
        let view = TreeView::new(&snapshot);
        let app_hash = Sha256Jmt::new(&view).get_root_hash(height).map_err(to_tree_error)?.0;
        let mut batch = WriteBatch::default();
        self.put_back_flat(&snapshot, state, &mut batch)?;
        self.remove_history(&snapshot, last, &mut batch)?;
        let head = Head { height, time, oldest: snapshot.oldest(), app_hash };
        let meta = self.engine.family(layout::META);
        batch.put_cf(meta, layout::META_HEAD, head.encode());
        batch.delete_cf(meta, layout::time_key(last));
        self.engine.write_synced(batch)?;
        *self.pruner.lock().unwrap_or_else(PoisonError::into_inner) = Pruner::default();
        let latest = Snapshot::take(&self.engine)?;
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = latest;
        Ok(())
    }

    fn put_back_flat(
        &self,
        snapshot: &Snapshot,
        state: &BTreeMap<Vec<u8>, Vec<u8>>,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        let flat = self.engine.family(layout::FLAT);
        let mut wanted = state.iter().peekable();
        for entry in snapshot.scan(layout::FLAT, &[], None) {
            let (key, value) = entry?;
            while let Some((lost, value)) = wanted.next_if(|(wanted, _)| **wanted < key) {
                batch.put_cf(flat, lost, value);
            }
            match wanted.next_if(|(wanted, _)| **wanted == key) {
                None => batch.delete_cf(flat, &key),
                Some((_, before)) if *before != value => batch.put_cf(flat, &key, before),
                Some(_) => {}
            }
        }
        for (lost, value) in wanted {
            batch.put_cf(flat, lost, value);
        }
        Ok(())
    }

    /// Removes the tree, the values and the stale records of the last height.
    fn remove_history(
        &self,
        snapshot: &Snapshot,
        last: u64,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        let since = last.to_be_bytes();
        for entry in snapshot.scan(layout::NODES, &since, None) {
            batch.delete_cf(self.engine.family(layout::NODES), entry?.0);
        }
        // The time of the height before was noted by that height's own block.
        let time_before = layout::stale_key(last, STALE_TIME, &layout::time_key(last - 1));
        for entry in snapshot.scan(layout::STALE, &since, None) {
            let (key, _) = entry?;
            if key != time_before {
                batch.delete_cf(self.engine.family(layout::STALE), key);
            }
        }
        for entry in snapshot.scan(layout::VALUES, &[], None) {
            let (key, _) = entry?;
            if key.ends_with(&since) {
                batch.delete_cf(self.engine.family(layout::VALUES), key);
            }
        }
        Ok(())
    }
}
