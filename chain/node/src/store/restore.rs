//! A whole state laid into a database that has no block, as state sync does.
//!
//! Nothing of it counts before its last write, which gives the database its head: a process
//! that is killed before finds a mark, and begins with an empty database.

use std::sync::{Arc, PoisonError};

use jmt::{KeyHash, OwnedValue, Sha256Jmt};
use rocksdb::WriteBatch;
use sha2::Sha256;
use stoa_chain::store::{is_index, Changes};

use super::{
    database::{check_entry, Database},
    engine::Engine,
    error::StoreError,
    layout::{self, Head, ValueEntry, STALE_TIME},
    prune::Pruner,
    snapshot::{Entry, Snapshot, EMPTY_ROOT},
    tree::{to_tree_error, TreeView},
    AppHash,
};

/// Bytes of records whose leaves are put into the tree at once.
const BATCH_BYTES: usize = 128 << 20;

/// A state that is being laid into a database.
pub struct Restore {
    database: Arc<Database>,
    height: u64,
    /// Version of the tree as far as it is built; 0: nothing is.
    version: u64,
    root: AppHash,
    pending: Vec<Entry>,
    pending_bytes: usize,
}

impl Database {
    /// Whether the state here may be thrown away for a restored one: there is none, or it was
    /// restored itself and no block came after it.
    pub fn may_restore(&self) -> Result<bool, StoreError> {
        let height = self.height();
        let meta = self.engine.family(layout::META);
        let restored = self.engine.db().get_cf(meta, layout::META_RESTORED)?;
        Ok(height == 0 || restored.is_some_and(|at| at == height.to_be_bytes()))
    }

    /// Begins to lay in the state of a height, from 1 on. What is here is removed.
    ///
    /// # Errors
    /// If the database has blocks of its own.
    pub fn restore(self: &Arc<Self>, height: u64) -> Result<Restore, StoreError> {
        if height == 0 || !self.may_restore()? {
            return Err(StoreError::OutOfOrder { last: self.height(), got: height });
        }
        self.clear()?;
        Ok(Restore {
            database: Arc::clone(self),
            height,
            version: 0,
            root: EMPTY_ROOT,
            pending: Vec::new(),
            pending_bytes: 0,
        })
    }

    /// Removes all that a restore that was not finished has left.
    fn clear(&self) -> Result<(), StoreError> {
        self.engine.clear()?;
        self.show_latest()
    }

    fn show_latest(&self) -> Result<(), StoreError> {
        let latest = Snapshot::take(&self.engine)?;
        *self.pruner.lock().unwrap_or_else(PoisonError::into_inner) = Pruner::default();
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = latest;
        Ok(())
    }
}

impl Engine {
    /// Removes everything but the format's number, and leaves the mark of a restore.
    fn clear(&self) -> Result<(), StoreError> {
        // First the mark, and the head away: nobody takes what is half removed for a state.
        let meta = self.family(layout::META);
        let mut batch = WriteBatch::default();
        batch.put_cf(meta, layout::META_RESTORING, []);
        batch.delete_cf(meta, layout::META_HEAD);
        batch.delete_cf(meta, layout::META_RESTORED);
        self.write_synced(batch)?;
        // Longer than any path of nodes, any hash, and any key's run of 0xff.
        let end = [0xff; 256];
        for family in [layout::FLAT, layout::NODES, layout::VALUES, layout::STALE] {
            self.db().delete_range_cf(self.family(family), &[][..], &end[..])?;
        }
        self.db().delete_range_cf(meta, layout::time_key(0), layout::time_key(u64::MAX))?;
        Ok(())
    }

    /// Removes what a restore that was not finished has left.
    pub fn clear_unfinished(&self) -> Result<(), StoreError> {
        let meta = self.family(layout::META);
        match self.db().get_cf(meta, layout::META_RESTORING)? {
            None => Ok(()),
            Some(_) => self.clear(),
        }
    }
}

impl Restore {
    /// Height of the state.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Adds records of the state, each key once.
    ///
    /// # Errors
    /// If a record cannot be state, or the database refuses it.
    pub fn add(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        for (key, value) in &entries {
            if !check_entry(key, Some(value))? {
                return Err(StoreError::NotProvable { key: hex::encode(key) });
            }
            self.pending_bytes += key.len() + value.len();
        }
        self.pending.extend(entries);
        let records = self.database.options.restore_batch;
        let full = self.pending.len() >= records || self.pending_bytes >= BATCH_BYTES;
        // The last version is kept for the last batch.
        if full && self.version + 1 < self.height {
            self.put_pending(self.version + 1)?;
        }
        Ok(())
    }

    /// Computes the Merkle root of all records and returns it with a view of them.
    pub fn complete(&mut self) -> Result<(AppHash, Snapshot), StoreError> {
        self.move_root_before_last()?;
        self.put_pending(self.height)?;
        Ok((self.root, Snapshot::take(&self.database.engine)?))
    }

    /// Adds the indexes and makes the state that of the database, durably.
    ///
    /// `time` is the block's, in Unix seconds. Only after [`Self::complete`].
    pub fn finish(self, time: u64, indexes: &Changes) -> Result<(), StoreError> {
        let engine = &self.database.engine;
        let (flat, meta) = (engine.family(layout::FLAT), engine.family(layout::META));
        let mut batch = WriteBatch::default();
        for (key, value) in indexes.iter().filter(|(key, _)| is_index(key)) {
            if let Some(value) = value {
                batch.put_cf(flat, key, value);
            }
        }
        let Self { height, root: app_hash, .. } = self;
        let time_key = layout::time_key(height);
        batch.put_cf(meta, &time_key, time.to_be_bytes());
        let stale = layout::stale_key(height + 1, STALE_TIME, &time_key);
        batch.put_cf(engine.family(layout::STALE), stale, []);
        let head = Head { height, time, oldest: height, app_hash };
        batch.put_cf(meta, layout::META_HEAD, head.encode());
        batch.put_cf(meta, layout::META_RESTORED, height.to_be_bytes());
        batch.delete_cf(meta, layout::META_RESTORING);
        engine.write_synced(batch)?;
        engine.flush()?;
        self.database.show_latest()
    }

    /// Throws away what was laid in.
    pub fn discard(self) -> Result<(), StoreError> {
        self.database.clear()
    }

    /// A version follows its predecessor: the root built so far is copied to where the last
    /// version looks for it.
    fn move_root_before_last(&mut self) -> Result<(), StoreError> {
        let before_last = self.height - 1;
        if self.version == 0 || self.version == before_last {
            return Ok(());
        }
        let engine = &self.database.engine;
        let nodes = engine.family(layout::NODES);
        let old = layout::root_key(self.version);
        let root = engine.db().get_cf(nodes, &old)?;
        let root = root.ok_or_else(|| StoreError::Corrupt("the root is missing".to_owned()))?;
        let mut batch = WriteBatch::default();
        batch.put_cf(nodes, layout::root_key(before_last), root);
        batch.delete_cf(nodes, old);
        engine.db().write(batch)?;
        self.version = before_last;
        Ok(())
    }

    fn put_pending(&mut self, version: u64) -> Result<(), StoreError> {
        let engine = &self.database.engine;
        let mut batch = WriteBatch::default();
        let mut leaves: Vec<(KeyHash, Option<OwnedValue>)> = Vec::with_capacity(self.pending.len());
        for (key, value) in std::mem::take(&mut self.pending) {
            let hash = KeyHash::with::<Sha256>(&key);
            batch.put_cf(engine.family(layout::FLAT), &key, &value);
            // All values are of the restored height, whenever their leaf was made.
            let at = layout::value_key(hash, self.height);
            let entry = ValueEntry::encode(&key, Some(&value));
            batch.put_cf(engine.family(layout::VALUES), at, entry);
            leaves.push((hash, Some(value)));
        }
        self.pending_bytes = 0;
        self.root = self.put_leaves(leaves, version, &mut batch)?;
        engine.db().write(batch)?;
        self.version = version;
        Ok(())
    }

    fn put_leaves(
        &self,
        leaves: Vec<(KeyHash, Option<OwnedValue>)>,
        version: u64,
        batch: &mut WriteBatch,
    ) -> Result<AppHash, StoreError> {
        let engine = &self.database.engine;
        let nodes = engine.family(layout::NODES);
        let snapshot = Snapshot::take(engine)?;
        let view = match self.version {
            0 => TreeView::before_first(&snapshot, version),
            _ => TreeView::new(&snapshot),
        };
        let tree = Sha256Jmt::new(&view);
        let (root, update) = tree.put_value_set(leaves, version).map_err(to_tree_error)?;
        for (key, node) in update.node_batch.nodes() {
            let bytes = borsh::to_vec(node)
                .map_err(|error| StoreError::Tree(format!("a node does not encode: {error}")))?;
            batch.put_cf(nodes, layout::node_key(key), bytes);
        }
        // No height sees what was only built on the way.
        for stale in &update.stale_node_index_batch {
            batch.delete_cf(nodes, layout::node_key(&stale.node_key));
        }
        if self.version != 0 {
            batch.delete_cf(nodes, layout::root_key(self.version));
        }
        Ok(root.0)
    }
}
