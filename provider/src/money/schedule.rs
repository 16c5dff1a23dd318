//! When which leases are withdrawn from: all on a schedule, each once before
//! an end that is known, and again soon where it failed. Pure.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use stoa_client::proto::types::v1::BidId;
use tokio::time::Instant;

use super::collector::paid_leases;
use crate::chain::{LeaseView, View};

/// After so long what failed is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// The schedule. Its clock is the monotonic one: steps of the other do not
/// matter.
#[derive(Debug)]
pub(super) struct Schedule {
    every: Duration,
    /// Before a lease's end, in seconds.
    before_end: u64,
    /// When all are withdrawn from next.
    next: Instant,
    /// Nothing is tried before then.
    not_before: Instant,
    /// The end for which each lease was withdrawn from already.
    fetched: HashMap<String, u64>,
}

/// What is to be withdrawn from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Due {
    pub(super) leases: Vec<BidId>,
    /// All, on the schedule.
    all: bool,
    /// The ends that are near, by lease.
    ends: Vec<(String, u64)>,
}

impl Schedule {
    pub(super) fn new(every: Duration, before_end: u64, now: Instant) -> Self {
        Self { every, before_end, next: now + every, not_before: now, fetched: HashMap::new() }
    }

    /// What is due now. `exhausts_at`: when each lease's deployment runs out
    /// of money, in Unix seconds.
    pub(super) fn due(
        &mut self,
        view: &View,
        exhausts_at: &BTreeMap<String, u64>,
        now: Instant,
    ) -> Due {
        self.fetched.retain(|lease, _| view.leases.contains_key(lease));
        if now < self.not_before {
            return Due::default();
        }
        let all = now >= self.next;
        let mut due = Due { all, ..Due::default() };
        for lease in view.leases.values().filter(|lease| !lease.is_pending()) {
            let Some(end) = end_of(lease, exhausts_at.get(&lease.name).copied()) else { continue };
            let is_near = view.time.saturating_add(self.before_end) >= end;
            if is_near && self.fetched.get(&lease.name) != Some(&end) {
                due.ends.push((lease.name.clone(), end));
                due.leases.push(lease.id.clone());
            }
        }
        if all {
            due.leases = paid_leases(view);
            if due.leases.is_empty() {
                self.next = now + self.every;
            }
        }
        due
    }

    /// It was withdrawn from.
    pub(super) fn done(&mut self, due: Due, now: Instant) {
        if due.all {
            self.next = now + self.every;
        }
        self.fetched.extend(due.ends);
    }

    /// It was not: soon again. Returns how soon.
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        let pause = RETRY.min(self.every);
        self.not_before = now + pause;
        pause
    }
}

/// The next end that is known of a paid lease, in Unix seconds.
fn end_of(lease: &LeaseView, exhausts_at: Option<u64>) -> Option<u64> {
    let ends = [lease.lease.expires_at, lease.lease.reclaimed_at, exhausts_at.unwrap_or(0)];
    ends.into_iter().filter(|end| *end > 0).min()
}

#[cfg(test)]
mod tests {
    use stoa_client::proto::market::v1::LeaseState;

    use super::*;
    use crate::tests_support::{lease_view, order, view, NOW};

    const HOUR: Duration = Duration::from_secs(3600);

    /// Two paid leases; the first is to end in a minute.
    fn two() -> View {
        let mut view = view();
        for (dseq, end) in [(1, NOW + 60), (2, 0)] {
            let mut lease = lease_view(&order(dseq));
            lease.lease.set_state(LeaseState::Active);
            lease.lease.expires_at = end;
            view.leases.insert(lease.name.clone(), lease);
        }
        view
    }

    fn due(schedule: &mut Schedule, view: &View, now: Instant) -> Due {
        schedule.due(view, &BTreeMap::new(), now)
    }

    #[test]
    fn the_first_of_the_ends_that_are_known_counts() {
        let mut lease = lease_view(&order(1));
        assert_eq!(end_of(&lease, None), None);
        assert_eq!(end_of(&lease, Some(0)), None, "0 is never");
        lease.lease.expires_at = 50;
        assert_eq!(end_of(&lease, Some(70)), Some(50));
        assert_eq!(end_of(&lease, Some(30)), Some(30));
        lease.lease.reclaimed_at = 20;
        assert_eq!(end_of(&lease, Some(30)), Some(20));
    }

    #[test]
    fn a_withdrawal_before_an_end_that_failed_is_tried_again_before_that_end() {
        let (start, view) = (Instant::now(), two());
        let mut schedule = Schedule::new(HOUR, 120, start);
        let ending = due(&mut schedule, &view, start);
        assert_eq!(ending.leases, [view.leases.values().next().unwrap().id.clone()]);
        schedule.failed(start);
        assert_eq!(due(&mut schedule, &view, start), Due::default(), "not at every block");
        let later = start + RETRY;
        assert_eq!(due(&mut schedule, &view, later), ending);
        schedule.done(ending, later);
        assert_eq!(due(&mut schedule, &view, later).leases, [], "once is enough");
        let mut prolonged = view;
        prolonged.leases.values_mut().next().unwrap().lease.expires_at += 30;
        assert_eq!(due(&mut schedule, &prolonged, later).leases.len(), 1, "another end");
    }

    #[test]
    fn a_withdrawal_of_all_that_failed_is_tried_again_before_the_next_hour() {
        let (start, view) = (Instant::now(), two());
        let mut schedule = Schedule::new(HOUR, 0, start);
        assert_eq!(due(&mut schedule, &view, start).leases, []);
        let full = start + HOUR;
        assert_eq!(due(&mut schedule, &view, full).leases.len(), 2);
        schedule.failed(full);
        let again = due(&mut schedule, &view, full + RETRY);
        assert_eq!(again.leases.len(), 2);
        schedule.done(again, full + RETRY);
        assert_eq!(due(&mut schedule, &view, full + RETRY).leases, []);
        assert_eq!(due(&mut schedule, &view, full + RETRY + HOUR).leases.len(), 2);
    }
}
