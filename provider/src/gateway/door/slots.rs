//! Places that are given out: so many in all, so many to each.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Places for things of many owners.
#[derive(Debug)]
pub struct Slots<K: Eq + Hash + Clone> {
    total: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    by: HashMap<K, usize>,
}

/// One place, until it is dropped.
#[derive(Debug)]
pub struct Slot<K: Eq + Hash + Clone> {
    of: Arc<Slots<K>>,
    by: K,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    All,
    /// This owner has as many as it may.
    Own,
}

impl<K: Eq + Hash + Clone> Slots<K> {
    pub fn new(total: usize, each: usize) -> Arc<Self> {
        let taken = Mutex::new(Taken { all: 0, by: HashMap::new() });
        Arc::new(Self { total: total.max(1), each: each.max(1), taken })
    }

    /// Takes a place. An owner's own bound comes first: it learns of what it
    /// can mend.
    pub fn take(self: &Arc<Self>, by: &K) -> Result<Slot<K>, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.by.get(by).is_some_and(|count| *count >= self.each) {
            return Err(Full::Own);
        }
        if taken.all >= self.total {
            return Err(Full::All);
        }
        taken.all += 1;
        *taken.by.entry(by.clone()).or_insert(0) += 1;
        Ok(Slot { of: Arc::clone(self), by: by.clone() })
    }

    /// How many are taken.
    #[cfg(test)]
    pub fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl<K: Eq + Hash + Clone> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.by.get_mut(&self.by) {
            *count -= 1;
            if *count == 0 {
                taken.by.remove(&self.by);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one host of
/// IPv6 usually has to itself.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_for_each_and_come_back() {
        let slots = Slots::new(3, 2);
        let first = slots.take(&"a").unwrap();
        let second = slots.take(&"a").unwrap();
        assert_eq!(slots.take(&"a").unwrap_err(), Full::Own);
        let third = slots.take(&"b").unwrap();
        assert_eq!(slots.take(&"c").unwrap_err(), Full::All);
        drop(first);
        let fourth = slots.take(&"a").unwrap();
        drop((second, third, fourth));
        assert_eq!(slots.taken(), 0);
        assert!(slots.taken.lock().unwrap().by.is_empty(), "nobody is remembered");
    }

    #[test]
    fn a_host_of_ipv6_is_one_neighbour_and_a_mapped_address_is_ipv4() {
        let near = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(near("2001:db8:1:2:3::4"), near("2001:db8:1:2:ffff::"));
        assert_ne!(near("2001:db8:1:2::4"), near("2001:db8:1:3::4"));
        assert_eq!(near("::ffff:192.0.2.7"), near("192.0.2.7"));
        assert_ne!(near("192.0.2.7"), near("192.0.2.8"));
    }
}
