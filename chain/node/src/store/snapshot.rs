//! A consistent view of the store at a committed height.

use std::sync::Arc;

use jmt::{KeyHash, Sha256Jmt};
use rocksdb::{Direction, IteratorMode, ReadOptions};
use sha2::Sha256;
use stoa_chain::store::{is_index, Entries, Store};

use super::{
    engine::Engine,
    error::{fatal, StoreError},
    layout::{self, Head, ValueEntry},
    tree::TreeView,
    AppHash,
};

/// One key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The store as it was when a height was committed.
///
/// Cheap to clone; later commits do not change it. While it lives, the database keeps what it
/// shows: hold it for a request, not for longer.
#[derive(Clone)]
pub struct Snapshot {
    view: Arc<View>,
}

struct View {
    // Declared before `engine`, so that it is released before the database can close.
    snapshot: rocksdb::Snapshot<'static>,
    engine: Arc<Engine>,
    head: Head,
}

impl Snapshot {
    /// Takes a snapshot of what is committed now.
    pub(super) fn take(engine: &Arc<Engine>) -> Result<Self, StoreError> {
        let borrowed: rocksdb::Snapshot<'_> = engine.db().snapshot();
        // SAFETY: the snapshot borrows the database inside `engine`. `View` holds that `Arc`
        // beside the snapshot, declares it after it and never gives either away, so the
        // database outlives the snapshot; an `Arc`'s content does not move.
        #[allow(unsafe_code)]
        let snapshot = unsafe {
            std::mem::transmute::<rocksdb::Snapshot<'_>, rocksdb::Snapshot<'static>>(borrowed)
        };
        let head = match snapshot.get_cf(engine.family(layout::META), layout::META_HEAD)? {
            Some(bytes) => Head::decode(&bytes)?,
            None => Head { height: 0, time: 0, oldest: 0, app_hash: EMPTY_ROOT },
        };
        Ok(Self { view: Arc::new(View { snapshot, engine: Arc::clone(engine), head }) })
    }

    /// The committed height that this shows; 0 before the first.
    pub fn height(&self) -> u64 {
        self.view.head.height
    }

    /// Time of that height's block in Unix seconds; 0 before the first.
    pub fn time(&self) -> u64 {
        self.view.head.time
    }

    /// The Merkle root at that height.
    pub fn app_hash(&self) -> AppHash {
        self.view.head.app_hash
    }

    /// Oldest height that [`Self::prove`] answers; 0 before the first commit.
    pub fn oldest(&self) -> u64 {
        self.view.head.oldest
    }

    /// Latest value of a key.
    pub fn try_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(layout::FLAT, key)
    }

    /// Ascending entries with `from <= key < to`, by a cursor that may meet a read error.
    pub fn try_range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = Result<Entry, StoreError>> + 'a {
        // RocksDB takes an upper bound below the start as undefined.
        let empty = from >= to;
        self.scan(layout::FLAT, from, (!empty).then(|| to.to_vec())).take_while(move |_| !empty)
    }

    /// The value of a state key at a kept height, with the ICS 23 proof that it had this value
    /// or none.
    pub fn prove(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, ics23::CommitmentProof), StoreError> {
        self.check_kept(height)?;
        check_provable(key)?;
        let tree = TreeView::new(self);
        if tree.is_empty(height)? {
            return Err(StoreError::EmptyState { height });
        }
        Sha256Jmt::new(&tree)
            .get_with_ics23_proof(key.to_vec(), height)
            .map_err(|error| StoreError::Tree(error.to_string()))
    }

    /// The value of a state key at a kept height.
    pub fn value_at(&self, height: u64, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check_kept(height)?;
        check_provable(key)?;
        let hash = KeyHash::with::<Sha256>(key);
        Ok(self.value_entry(hash, height)?.and_then(|entry| entry.value))
    }

    /// Time of a kept height's block in Unix seconds.
    pub fn time_at(&self, height: u64) -> Result<u64, StoreError> {
        self.check_kept(height)?;
        let bytes = self.read(layout::META, &layout::time_key(height))?;
        bytes
            .and_then(|bytes| bytes.try_into().ok().map(u64::from_be_bytes))
            .ok_or_else(|| StoreError::Corrupt(format!("the time of height {height} is missing")))
    }

    /// All state at a kept height (no indexes), in no particular order, for an export.
    pub fn state_at(
        &self,
        height: u64,
    ) -> Result<impl Iterator<Item = Result<Entry, StoreError>> + '_, StoreError> {
        self.check_kept(height)?;
        Ok(super::tree::StateAt::new(self.scan(layout::VALUES, &[], None), height))
    }

    /// Newest entry of a key hash that is not newer than `version`.
    pub(super) fn value_entry(
        &self,
        hash: KeyHash,
        version: u64,
    ) -> Result<Option<ValueEntry>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(hash.0.to_vec());
        let start = layout::value_key(hash, version);
        let mode = IteratorMode::From(&start, Direction::Reverse);
        let family = self.view.engine.family(layout::VALUES);
        let mut entries = self.view.snapshot.iterator_cf_opt(family, options, mode);
        match entries.next().transpose()? {
            Some((_, bytes)) => ValueEntry::decode(&bytes).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn read(&self, family: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.view.snapshot.get_cf(self.view.engine.family(family), key)?)
    }

    /// Ascending entries of a column family from `from` to below `to` or to the end.
    pub(super) fn scan<'a>(
        &'a self,
        family: &str,
        from: &[u8],
        to: Option<Vec<u8>>,
    ) -> impl Iterator<Item = Result<Entry, StoreError>> + 'a {
        let mut options = ReadOptions::default();
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let family = self.view.engine.family(family);
        let mode = IteratorMode::From(from, Direction::Forward);
        self.view.snapshot.iterator_cf_opt(family, options, mode).map(|entry| {
            entry.map(|(key, value)| (key.into_vec(), value.into_vec())).map_err(StoreError::from)
        })
    }

    fn check_kept(&self, height: u64) -> Result<(), StoreError> {
        let Head { height: latest, oldest, .. } = self.view.head;
        if height > latest || latest == 0 {
            return Err(StoreError::Future { height, latest });
        }
        if height < oldest {
            return Err(StoreError::Pruned { height, oldest, latest });
        }
        Ok(())
    }
}

/// The state machine cannot go on without an answer.
impl Store for Snapshot {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.try_get(key).unwrap_or_else(|error| fatal("state read failed", &error))
    }

    fn range<'a>(&'a self, from: &[u8], to: &[u8]) -> Entries<'a> {
        let entries = self.try_range(from, to);
        Box::new(
            entries.map(|entry| entry.unwrap_or_else(|error| fatal("state read failed", &error))),
        )
    }
}

/// The root of a tree without leaves.
pub(super) const EMPTY_ROOT: AppHash = Sha256Jmt::<'static, TreeView<'static>>::EMPTY_ROOT.0;

fn check_provable(key: &[u8]) -> Result<(), StoreError> {
    match key.first() {
        None => Err(StoreError::KeyLength { len: 0, max: super::MAX_KEY_LEN }),
        Some(_) if is_index(key) => Err(StoreError::NotProvable { key: hex::encode(key) }),
        Some(_) => Ok(()),
    }
}
