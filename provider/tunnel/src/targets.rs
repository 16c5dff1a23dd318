//! The instances of one route or port: taken in turn, those that failed a
//! moment ago last.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::control::TargetFailure;
use crate::routes::Target;

/// How long a target that failed is tried last.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Targets with their round-robin and what is remembered of each.
pub(crate) struct TargetSet {
    targets: Vec<Target>,
    next: AtomicUsize,
    health: Vec<Health>,
}

#[derive(Default)]
struct Health {
    /// Milliseconds of [`now`]; 0 where it has not failed.
    failed_at: AtomicU64,
    last_error: Mutex<String>,
}

impl TargetSet {
    pub(crate) fn new(targets: Vec<Target>) -> Self {
        let health = targets.iter().map(|_| Health::default()).collect();
        Self { targets, next: AtomicUsize::new(0), health }
    }

    pub(crate) fn all(&self) -> &[Target] {
        &self.targets
    }

    /// The order in which to try them.
    pub(crate) fn order(&self) -> Vec<usize> {
        let count = self.targets.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<usize> =
            (0..count).map(|step| first.wrapping_add(step) % count).collect();
        order.sort_by_key(|target| self.health[*target].is_resting());
        order
    }

    /// Notes that a target did not answer.
    pub(crate) fn note_failure(&self, target: usize, error: &str) {
        if let Some(health) = self.health.get(target) {
            health.failed_at.store(now().max(1), Ordering::Relaxed);
            *health.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error.into();
        }
    }

    /// Notes that it did.
    pub(crate) fn note_success(&self, target: usize) {
        if let Some(health) = self.health.get(target) {
            health.failed_at.store(0, Ordering::Relaxed);
        }
    }

    /// Targets whose last try failed.
    pub(crate) fn failures(&self) -> impl Iterator<Item = TargetFailure> + '_ {
        let pairs = self.targets.iter().zip(&self.health);
        pairs.filter(|(_, health)| health.failed_at.load(Ordering::Relaxed) != 0).map(
            |(target, health)| TargetFailure {
                instance: target.instance.clone(),
                link: target.link.clone(),
                error: health.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            },
        )
    }
}

impl Health {
    fn is_resting(&self) -> bool {
        match self.failed_at.load(Ordering::Relaxed) {
            0 => false,
            at => now().saturating_sub(at) < REST_AFTER_FAILURE.as_millis() as u64,
        }
    }
}

/// Milliseconds since the first call.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_take_turns_and_one_that_failed_comes_last() {
        let target = |last: u8| Target {
            instance: format!("web[{last}]"),
            link: String::new(),
            netns: "/n".into(),
            address: ([10, 0, 0, last], 80).into(),
            hop: None,
        };
        let set = TargetSet::new(vec![target(3), target(19), target(35)]);
        assert_eq!(set.order(), [0, 1, 2]);
        assert_eq!(set.order(), [1, 2, 0]);
        set.note_failure(2, "refused");
        assert_eq!(set.order(), [0, 1, 2]);
        assert_eq!(set.failures().map(|f| f.error).collect::<Vec<_>>(), ["refused"]);
        set.note_success(2);
        assert_eq!(set.failures().count(), 0);
        assert!(TargetSet::new(vec![]).order().is_empty());
    }
}
