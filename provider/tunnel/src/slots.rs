//! Places for connections: so many in all, so many for one client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What counts as one client: an IPv4 address, or the /64 that one host of IPv6
/// usually has to itself.
pub(crate) fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// Counts open connections by [`client`].
#[derive(Default)]
pub(crate) struct ClientCounts {
    by_client: Mutex<HashMap<IpAddr, usize>>,
}

impl ClientCounts {
    /// Whether a client has as many as that.
    pub(crate) fn has(&self, address: IpAddr, count: usize) -> bool {
        let by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        by_client.get(&client(address)).is_some_and(|has| *has >= count)
    }
}

/// A connection's place; given back when dropped.
pub(crate) struct Slot {
    counts: Arc<ClientCounts>,
    client: IpAddr,
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
        let client = client(address);
        let mut by_client = counts.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_client.entry(client).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self { counts: Arc::clone(counts), client, _place: place })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut by_client = self.counts.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_client.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_client.remove(&self.client);
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

    #[tokio::test]
    async fn a_host_with_a_whole_64_of_ipv6_is_one_client() {
        let (counts, places) = (Arc::new(ClientCounts::default()), places(9));
        let take = |address: &str| {
            let place = Arc::clone(&places).try_acquire_owned().unwrap();
            Slot::take(&counts, address.parse().unwrap(), 2, place)
        };
        let slots = [take("2001:db8:1:2::1"), take("2001:db8:1:2:ffff::")];
        assert!(slots.iter().all(Option::is_some));
        assert!(take("2001:db8:1:2:3:4:5:6").is_none(), "another address of the same host");
        let _next_door = take("2001:db8:1:3::1").unwrap();
        let _old = [take("192.0.2.7").unwrap(), take("::ffff:192.0.2.7").unwrap()];
        assert!(take("192.0.2.7").is_none());
        assert!(take("192.0.2.8").is_some());
        drop(slots);
        assert!(take("2001:db8:1:2::1").is_some());
    }
}
