//! Staging and committing blocks.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use jmt::{storage::TreeUpdateBatch, KeyHash, OwnedValue, Sha256Jmt};
use rocksdb::WriteBatch;
use sha2::Sha256;
use stoa_chain::store::{is_index, Changes};

use super::{
    engine::Engine,
    error::StoreError,
    layout::{self, Head, ValueEntry, STALE_NODE, STALE_TIME, STALE_VALUE},
    options::Options,
    prune::Pruner,
    snapshot::Snapshot,
    tree::{to_tree_error, TreeView},
    AppHash, MAX_KEY_LEN,
};

/// Records that an operator's prune removes at once.
const PRUNE_AT_ONCE: usize = 50_000;

/// The store of one node: one writer, any number of readers.
pub struct Database {
    pub(super) engine: Arc<Engine>,
    pub(super) options: Options,
    pub(super) latest: RwLock<Snapshot>,
    pub(super) pruner: Mutex<Pruner>,
}

/// A block whose tree is computed and of which nothing is written yet.
pub struct Staged {
    head: Head,
    /// Height on which it was computed.
    parent: u64,
    batch: WriteBatch,
    /// How many records this block makes stale: pruning has to keep up with that.
    stale: usize,
}

impl Staged {
    /// Height that a commit gives.
    pub fn height(&self) -> u64 {
        self.head.height
    }

    /// Merkle root after the block.
    pub fn app_hash(&self) -> AppHash {
        self.head.app_hash
    }
}

impl Database {
    /// Opens the database at `path` for writing, or makes it.
    ///
    /// # Errors
    /// If another process has it open, if it is damaged, or was written in another format.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let engine = Engine::open(path, &options)?;
        engine.clear_unfinished()?;
        Self::from_engine(engine, options)
    }

    /// Opens an existing database for reading; a running node may have it open.
    pub fn open_read_only(path: &Path, options: Options) -> Result<Self, StoreError> {
        Self::from_engine(Engine::open_read_only(path, &options)?, options)
    }

    fn from_engine(engine: Engine, options: Options) -> Result<Self, StoreError> {
        let engine = Arc::new(engine);
        let latest = Snapshot::take(&engine)?;
        check_root(&latest)?;
        Ok(Self { engine, options, latest: RwLock::new(latest), pruner: Mutex::default() })
    }

    /// A view of the last committed height.
    pub fn latest(&self) -> Snapshot {
        // A poisoned lock only says that another thread ended: the snapshot is whole.
        self.latest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Last committed height; 0 before the first.
    pub fn height(&self) -> u64 {
        self.latest().height()
    }

    /// Merkle root at the last committed height.
    pub fn app_hash(&self) -> AppHash {
        self.latest().app_hash()
    }

    /// See [`Snapshot::prove`].
    pub fn prove(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, ics23::CommitmentProof), StoreError> {
        self.latest().prove(height, key)
    }

    /// Computes the tree after a block's changes; nothing is written.
    ///
    /// `time` is the block's in Unix seconds; it is kept beside the height for queries.
    /// The first block may have any height from 1 on; each further one follows its predecessor.
    pub fn stage(&self, height: u64, time: u64, changes: &Changes) -> Result<Staged, StoreError> {
        let base = self.latest();
        let last = base.height();
        if height == 0 || (last != 0 && last.checked_add(1) != Some(height)) {
            return Err(StoreError::OutOfOrder { last, got: height });
        }
        let mut block = Block {
            engine: &self.engine,
            base: &base,
            height,
            batch: WriteBatch::default(),
            stale: 0,
        };
        let leaves = block.put_values(changes)?;
        let app_hash = block.put_tree(leaves)?;
        let head = Head { height, time, oldest: self.oldest_after(&base, height), app_hash };
        block.put_head(&head);
        Ok(Staged { head, parent: last, batch: block.batch, stale: block.stale })
    }

    /// Makes a staged block durable and shows it to new snapshots.
    pub fn commit(&self, staged: Staged) -> Result<(), StoreError> {
        // The lock also keeps two commits apart.
        let mut pruner = self.pruner.lock().unwrap_or_else(PoisonError::into_inner);
        let base = self.latest();
        if base.height() != staged.parent {
            let got = staged.head.height;
            return Err(StoreError::OutOfOrder { last: base.height(), got });
        }
        let mut batch = staged.batch;
        let limit = self.options.prune_batch.saturating_add(staged.stale);
        let pruned = pruner.plan(&self.engine, &base, staged.head.oldest, limit, &mut batch)?;
        self.engine.write_synced(batch)?;
        pruner.done(pruned);
        let latest = Snapshot::take(&self.engine)?;
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = latest;
        Ok(())
    }

    /// Forgets at once the history before the last `kept` heights, at least 1, and gives the
    /// disk back what that took. Returns how many records were removed. For a node that stands.
    ///
    /// # Errors
    /// If the database cannot be written; what was removed by then stays removed.
    pub fn prune(&self, kept: u64) -> Result<usize, StoreError> {
        let mut pruner = self.pruner.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = self.latest();
        let oldest = (latest.height() + 1).saturating_sub(kept.max(1)).max(latest.oldest());
        let mut removed = 0;
        loop {
            let mut batch = WriteBatch::default();
            let head = Head {
                height: latest.height(),
                time: latest.time(),
                oldest,
                app_hash: latest.app_hash(),
            };
            if latest.height() > 0 {
                batch.put_cf(self.engine.family(layout::META), layout::META_HEAD, head.encode());
            }
            let pruned = pruner.plan(&self.engine, &latest, oldest, PRUNE_AT_ONCE, &mut batch)?;
            let count = pruned.count();
            self.engine.write_synced(batch)?;
            pruner.done(pruned);
            removed += count;
            if count < PRUNE_AT_ONCE {
                break;
            }
        }
        self.engine.compact();
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) =
            Snapshot::take(&self.engine)?;
        Ok(removed)
    }

    /// Bytes that the database takes on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.engine.disk_bytes()
    }

    /// Oldest height kept once `height` is committed; it never goes back, since what an earlier
    /// setting pruned is gone.
    fn oldest_after(&self, base: &Snapshot, height: u64) -> u64 {
        if base.height() == 0 {
            return height;
        }
        match self.options.retain_heights {
            0 => base.oldest(),
            kept => base.oldest().max((height + 1).saturating_sub(kept)),
        }
    }
}

/// What is committed must have the root that it says; a look at one node tells.
fn check_root(snapshot: &Snapshot) -> Result<(), StoreError> {
    if snapshot.height() == 0 {
        return Ok(());
    }
    let view = TreeView::new(snapshot);
    let root = Sha256Jmt::new(&view).get_root_hash(snapshot.height()).map_err(to_tree_error)?;
    if root.0 != snapshot.app_hash() {
        return Err(StoreError::Corrupt(format!(
            "height {} says app hash {}, its tree has {}",
            snapshot.height(),
            hex::encode(snapshot.app_hash()),
            hex::encode(root.0)
        )));
    }
    Ok(())
}

/// Builds the batch of one block.
struct Block<'a> {
    engine: &'a Engine,
    base: &'a Snapshot,
    height: u64,
    batch: WriteBatch,
    stale: usize,
}

impl Block<'_> {
    /// Puts what really changes into the flat values and the value history, and returns the
    /// tree's leaves.
    fn put_values(
        &mut self,
        changes: &Changes,
    ) -> Result<Vec<(KeyHash, Option<OwnedValue>)>, StoreError> {
        let mut leaves = Vec::new();
        for (key, value) in changes {
            let is_state = check_entry(key, value.as_deref())?;
            let before = self.base.try_get(key)?;
            if before == *value {
                continue;
            }
            let flat = self.engine.family(layout::FLAT);
            match value {
                Some(value) => self.batch.put_cf(flat, key, value),
                None => self.batch.delete_cf(flat, key),
            }
            if is_state {
                let hash = KeyHash::with::<Sha256>(key);
                self.put_history(hash, key, value.as_deref());
                if before.is_some() {
                    // Otherwise there is nothing older, or a deletion with a record of its own.
                    self.put_stale(self.height, STALE_VALUE, &hash.0);
                }
                leaves.push((hash, value.clone()));
            }
        }
        Ok(leaves)
    }

    fn put_history(&mut self, hash: KeyHash, key: &[u8], value: Option<&[u8]>) {
        let values = self.engine.family(layout::VALUES);
        let at = layout::value_key(hash, self.height);
        self.batch.put_cf(values, at, ValueEntry::encode(key, value));
    }

    fn put_head(&mut self, head: &Head) {
        let meta = self.engine.family(layout::META);
        let time = layout::time_key(self.height);
        self.batch.put_cf(meta, &time, head.time.to_be_bytes());
        self.batch.put_cf(meta, layout::META_HEAD, head.encode());
        // It is needed for as long as this height is kept.
        self.put_stale(self.height + 1, STALE_TIME, &time);
    }

    fn put_stale(&mut self, since: u64, tag: u8, rest: &[u8]) {
        let stale = self.engine.family(layout::STALE);
        self.batch.put_cf(stale, layout::stale_key(since, tag, rest), []);
        self.stale += 1;
    }

    fn put_tree(
        &mut self,
        leaves: Vec<(KeyHash, Option<OwnedValue>)>,
    ) -> Result<AppHash, StoreError> {
        let first = self.base.height() == 0;
        let view = if first {
            TreeView::before_first(self.base, self.height)
        } else {
            TreeView::new(self.base)
        };
        let tree = Sha256Jmt::new(&view);
        let (root, update) = tree.put_value_set(leaves, self.height).map_err(to_tree_error)?;
        self.put_nodes(&update)?;
        if !first {
            // The tree does not count a root as stale that it only copies to the next version.
            self.put_stale(self.height, STALE_NODE, &layout::root_key(self.base.height()));
        }
        Ok(root.0)
    }

    fn put_nodes(&mut self, update: &TreeUpdateBatch) -> Result<(), StoreError> {
        for (key, node) in update.node_batch.nodes() {
            let bytes = borsh::to_vec(node)
                .map_err(|error| StoreError::Tree(format!("a node does not encode: {error}")))?;
            self.batch.put_cf(self.engine.family(layout::NODES), layout::node_key(key), bytes);
        }
        for stale in &update.stale_node_index_batch {
            let node = layout::node_key(&stale.node_key);
            self.put_stale(stale.stale_since_version, STALE_NODE, &node);
        }
        Ok(())
    }
}

/// Whether an entry is state; an error if it can be neither state nor index.
pub(super) fn check_entry(key: &[u8], value: Option<&[u8]>) -> Result<bool, StoreError> {
    if key.is_empty() || key.len() > MAX_KEY_LEN {
        return Err(StoreError::KeyLength { len: key.len(), max: MAX_KEY_LEN });
    }
    let is_state = !is_index(key);
    if is_state && value.is_some_and(<[u8]>::is_empty) {
        return Err(StoreError::EmptyValue { key: hex::encode(key) });
    }
    Ok(is_state)
}
