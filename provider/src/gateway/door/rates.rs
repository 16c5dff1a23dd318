//! How often each may ask: a bucket of tokens for each, of bounded number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Buckets remembered. Beyond it full ones are forgotten, and then, where
/// none is full, newcomers share one.
const MAX_BUCKETS: usize = 16_384;

/// Buckets by whom.
#[derive(Debug)]
pub struct Rates<K> {
    /// A second.
    rate: f64,
    /// At once.
    burst: f64,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    buckets: HashMap<K, Bucket>,
    shared: Bucket,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Eq + Hash + Clone> Rates<K> {
    /// So many a second, and four times as many at once.
    pub fn new(per_second: u32) -> Self {
        let rate = f64::from(per_second.max(1));
        let burst = rate * 4.0;
        let shared = Bucket { left: burst, at: Instant::now() };
        Self { rate, burst, state: Mutex::new(State { buckets: HashMap::new(), shared }) }
    }

    /// Takes one; false where there is none left.
    pub fn take(&self, by: &K) -> bool {
        self.take_at(by, Instant::now())
    }

    fn take_at(&self, by: &K, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.buckets.len() >= MAX_BUCKETS && !state.buckets.contains_key(by) {
            let (rate, burst) = (self.rate, self.burst);
            state.buckets.retain(|_, bucket| bucket.filled(now, rate, burst) < burst);
        }
        let fresh = Bucket { left: self.burst, at: now };
        let bucket = match state.buckets.len() >= MAX_BUCKETS && !state.buckets.contains_key(by) {
            true => &mut state.shared,
            false => state.buckets.entry(by.clone()).or_insert(fresh),
        };
        let left = bucket.filled(now, self.rate, self.burst);
        let enough = left >= 1.0;
        *bucket = Bucket { left: if enough { left - 1.0 } else { left }, at: now };
        enough
    }
}

impl Bucket {
    fn filled(&self, now: Instant, rate: f64, burst: f64) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + since * rate).min(burst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rates = Rates::new(10);
        let now = Instant::now();
        let passed = (0..100).filter(|_| rates.take_at(&"a", now)).count();
        assert_eq!(passed, 40);
        assert!(rates.take_at(&"b", now), "another is not held up");
        let later = now + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| rates.take_at(&"a", later)).count(), 10);
    }

    #[test]
    fn a_flood_of_names_takes_bounded_memory_and_is_slowed_down_together() {
        let rates = Rates::new(1);
        let now = Instant::now();
        let passed = (0..MAX_BUCKETS + 1000).filter(|name| rates.take_at(name, now)).count();
        assert_eq!(passed, MAX_BUCKETS + 4);
        assert_eq!(rates.state.lock().unwrap().buckets.len(), MAX_BUCKETS);
        // When the buckets are full again, they are forgotten.
        assert!(rates.take_at(&usize::MAX, now + Duration::from_secs(60)));
        assert_eq!(rates.state.lock().unwrap().buckets.len(), 1);
    }
}
