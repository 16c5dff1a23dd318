//! Places for connections: so many in all, so many for one client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts open connections by client address.
#[derive(Default)]
pub(crate) struct ClientCounts {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place; given back when dropped.
pub(crate) struct Slot {
    counts: Arc<ClientCounts>,
    address: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Slot {
    /// `None` where this client has as many connections as one may.
    pub(crate) fn take(
        counts: &Arc<ClientCounts>,
        address: IpAddr,
        most: usize,
        place: OwnedSemaphorePermit,
    ) -> Option<Self> {
        let address = address.to_canonical();
        let mut by_address = counts.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self { counts: Arc::clone(counts), address, _place: place })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut by_address = self.counts.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// All places.
pub(crate) fn places(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_client_cannot_take_all_places() {
        let (counts, places) = (Arc::new(ClientCounts::default()), places(3));
        let (greedy, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let place = || Arc::clone(&places).try_acquire_owned().unwrap();
        let first = Slot::take(&counts, greedy, 2, place()).unwrap();
        let _second = Slot::take(&counts, greedy, 2, place()).unwrap();
        assert!(Slot::take(&counts, greedy, 2, place()).is_none());
        let _third = Slot::take(&counts, other, 2, place()).unwrap();
        assert_eq!(places.available_permits(), 0);
        drop(first);
        assert!(Slot::take(&counts, greedy, 2, place()).is_some());
        assert_eq!(places.available_permits(), 1, "the place came back with the slot");
    }
}
