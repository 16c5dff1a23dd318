//! States of past heights, for queries that ask for one.
//!
//! History has the records of each kept height by the hashes of their keys, in no order. So a
//! past state is read whole into memory, with the indexes that its records make, and the last
//! ones that were asked for stay there. That is for states of some size; a larger one answers
//! single keys alone (`/store/key`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use stoa_chain::{
    app,
    ctx::Block,
    error::{Failure, SdkError},
    store::{Changes, MemoryStore},
};

use crate::{app::Machine, store::StoreError};

/// Most records of a state that is read whole.
pub const MAX_RECORDS: usize = 200_000;

/// States that stay in memory.
const KEPT: usize = 2;

/// A past state with its block.
type View = (Arc<MemoryStore>, Block);

/// The past states that were asked for last, the latest at the end.
#[derive(Default)]
pub struct Past {
    views: Mutex<Vec<View>>,
    /// Held by who reads one: one at a time, for it costs.
    reading: Mutex<()>,
}

impl Past {
    /// The state after a kept height's block.
    ///
    /// # Errors
    /// The height is not kept, its state is too large or of another version, or another one is
    /// being read.
    pub fn at(&self, machine: &Machine, height: u64) -> Result<View, Failure> {
        if let Some(view) = self.known(height) {
            return Ok(view);
        }
        let _reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(refuse("another past height is being read; ask again".to_owned()));
            }
        };
        // It may have been read meanwhile.
        if let Some(view) = self.known(height) {
            return Ok(view);
        }
        let view = read(machine, height, MAX_RECORDS)?;
        let mut views = self.views();
        if views.len() >= KEPT {
            views.remove(0);
        }
        views.push(view.clone());
        Ok(view)
    }

    fn known(&self, height: u64) -> Option<View> {
        let mut views = self.views();
        let place = views.iter().position(|(_, block)| block.height == height)?;
        let view = views.remove(place);
        views.push(view.clone());
        Some(view)
    }

    // What is behind the lock is whole at each moment.
    fn views(&self) -> MutexGuard<'_, Vec<View>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(machine: &Machine, height: u64, most: usize) -> Result<View, Failure> {
    let latest = machine.latest();
    let failed = |error: StoreError| refuse(error.to_string());
    let now = latest.time_at(height).map_err(failed)?;
    let block = Block { chain_id: machine.chain_id(), height, now };
    let mut records = Changes::new();
    for entry in latest.state_at(height).map_err(failed)? {
        let (key, value) = entry.map_err(failed)?;
        records.insert(key, Some(value));
        if records.len() > most {
            return Err(refuse(format!(
                "height {height}: its state has over {most} records, and is answered by single \
                 keys under /store/key alone; ask for the last height"
            )));
        }
    }
    let mut store = MemoryStore::default();
    store.apply(&records);
    let indexes = app::derive_indexes(&store, block.clone())
        .map_err(|error| refuse(format!("height {height}: {error}")))?;
    store.apply(&indexes);
    Ok((Arc::new(store), block))
}

fn refuse(text: String) -> Failure {
    SdkError::InvalidRequest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::{genesis, open, Consensus, Wallet, CHAIN};

    #[test]
    fn a_state_of_too_many_records_is_not_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Consensus::connect(open(dir.path()));
        chain.begin(genesis(&[&Wallet::new(CHAIN, 1)]));
        chain.block(&[]);
        let machine = chain.app.queries().machine();
        let refused = read(machine, 1, 3).unwrap_err();
        assert!(refused.message.contains("over 3 records"), "{refused}");
        assert!(read(machine, 1, MAX_RECORDS).is_ok());
    }
}
