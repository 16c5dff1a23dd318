//! Instances that keep ending. The engine starts one again by itself, so that
//! a crash heals while no daemon runs; what ends again and again is taken out
//! of its hands, and rests longer each time. Nothing of it is written down: a
//! new daemon begins anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::observed::unix_seconds;
use crate::runtime::{ContainerState, InstanceKey, ObservedContainer, ObservedInstance};

/// Ends in a row after which an instance rests.
const LOOP: u32 = 5;
/// A run of this many seconds ends the row.
const WELL: u64 = 60;
/// A run so young has not shown anything yet, and may be stopped again.
const YOUNG: u64 = 3;
const FIRST_REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// What is remembered of each instance.
#[derive(Debug, Default)]
pub(super) struct Crashes {
    known: BTreeMap<InstanceKey, Row>,
}

/// Ends in a row of one container.
#[derive(Debug)]
struct Row {
    container: String,
    ends: u32,
    /// Restarts that the engine counted when last seen; it begins anew when
    /// somebody else starts the container.
    counted: i64,
    /// All of them.
    total: i64,
    rests_until: Option<Instant>,
}

/// How an instance that keeps ending is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashLoop {
    /// Ends in a row.
    pub ends: u32,
    /// How long it is to rest, in seconds, each time.
    pub rest: u64,
    /// It rests now.
    pub resting: bool,
}

impl Crashes {
    /// Takes an observation in, and puts into it how often each was started
    /// again in all. `now` in Unix seconds.
    pub(super) fn note(&mut self, seen: &mut BTreeMap<InstanceKey, ObservedInstance>, now: u64) {
        self.known.retain(|key, _| seen.contains_key(key));
        for (key, instance) in seen {
            let Some(workload) = &mut instance.workload else { continue };
            let row = self.known.entry(key.clone()).or_insert_with(|| Row::begin(workload));
            if row.container != workload.id {
                *row = Row::begin(workload);
            }
            row.note(workload, now);
            workload.restarts = row.total;
        }
    }

    /// Those of a lease that keep ending.
    pub(super) fn of_lease(&self, lease: &str) -> BTreeMap<InstanceKey, CrashLoop> {
        let own = self.known.iter().filter(|(key, row)| key.lease == lease && row.ends >= LOOP);
        own.map(|(key, row)| (key.clone(), row.crash_loop())).collect()
    }

    /// It was stopped for its rest.
    pub(super) fn begin_rest(&mut self, key: &InstanceKey) {
        if let Some(row) = self.known.get_mut(key) {
            row.rests_until = Some(Instant::now() + rest_after(row.ends));
            row.total = row.total.saturating_add(1);
        }
    }
}

impl Row {
    /// A container that this daemon has not seen before. What it went through
    /// earlier may be long ago.
    fn begin(workload: &ObservedContainer) -> Self {
        let counted = workload.restarts;
        Self { container: workload.id.clone(), ends: 0, counted, total: counted, rests_until: None }
    }

    fn note(&mut self, workload: &ObservedContainer, now: u64) {
        let fresh = match workload.restarts < self.counted {
            true => workload.restarts,
            false => workload.restarts.saturating_sub(self.counted),
        };
        self.counted = workload.restarts;
        self.total = self.total.saturating_add(fresh);
        self.ends = self.ends.saturating_add(u32::try_from(fresh).unwrap_or(u32::MAX));
        if workload.state == ContainerState::Running {
            self.rests_until = None;
            if age(workload, now) >= WELL {
                self.ends = 0;
            }
        }
    }

    fn crash_loop(&self) -> CrashLoop {
        CrashLoop {
            ends: self.ends,
            rest: rest_after(self.ends).as_secs(),
            resting: self.rests_until.is_some_and(|until| until > Instant::now()),
        }
    }
}

impl CrashLoop {
    /// Whether the container is to be stopped now: the engine waits to start
    /// it, or has only just done so.
    pub(super) fn is_due(&self, workload: &ObservedContainer, now: u64) -> bool {
        match workload.state {
            ContainerState::Restarting => true,
            ContainerState::Running => age(workload, now) < YOUNG,
            _ => false,
        }
    }
}

/// 10 s, 20 s, 40 s …, at most 5 minutes.
fn rest_after(ends: u32) -> Duration {
    let doublings = ends.saturating_sub(LOOP).min(16);
    FIRST_REST.saturating_mul(1 << doublings).min(LONGEST_REST)
}

/// Seconds since it was started.
fn age(workload: &ObservedContainer, now: u64) -> u64 {
    let started = workload.started_at.as_deref().and_then(unix_seconds).unwrap_or(now);
    now.saturating_sub(started)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{observed, service_goal};

    const NOW: u64 = 1_000_000;

    type Seen = BTreeMap<InstanceKey, ObservedInstance>;

    fn seen(restarts: i64, since: u64) -> (InstanceKey, Seen) {
        let spec = service_goal("web", 1, "a").instances.remove(0);
        let mut one = observed(&spec, since);
        one.workload.as_mut().unwrap().restarts = restarts;
        (spec.key.clone(), Seen::from([(spec.key, one)]))
    }

    #[test]
    fn ends_in_a_row_make_a_loop_whose_rests_grow_and_a_good_run_ends_it() {
        let mut crashes = Crashes::default();
        let note = |crashes: &mut Crashes, restarts, since| {
            let (key, mut seen) = seen(restarts, since);
            crashes.note(&mut seen, NOW);
            (crashes.of_lease(&key.lease).get(&key).copied(), seen[&key].workload.clone().unwrap())
        };
        assert_eq!(note(&mut crashes, 100, NOW - 1).0, None, "long ago, for all it knows");
        assert_eq!(note(&mut crashes, 104, NOW - 1).0, None);
        let (found, workload) = note(&mut crashes, 105, NOW - 1);
        let found = found.unwrap();
        assert_eq!((found.ends, found.rest, found.resting), (5, 10, false));
        assert!(found.is_due(&workload, NOW));
        assert!(!found.is_due(&workload, NOW + YOUNG), "it may be well now");

        let (key, _) = seen(0, NOW);
        crashes.begin_rest(&key);
        assert!(crashes.of_lease(&key.lease)[&key].resting);
        // Started by the daemon: the engine counts from 0 again.
        let (found, workload) = note(&mut crashes, 2, NOW - 1);
        let found = found.unwrap();
        assert_eq!((found.ends, found.rest, found.resting), (7, 40, false));
        assert_eq!(workload.restarts, 108, "100, then 5, the daemon's own, then 2");
        assert_eq!(note(&mut crashes, 40, NOW - 1).0.unwrap().rest, 300);
        assert_eq!(note(&mut crashes, 40, NOW - WELL).0, None);
        assert_eq!(note(&mut crashes, 41, NOW - 1).0, None);
    }

    #[test]
    fn another_container_begins_another_row() {
        let mut crashes = Crashes::default();
        let (key, mut first) = seen(0, NOW - 1);
        crashes.note(&mut first, NOW);
        let (_, mut ended) = seen(9, NOW - 1);
        crashes.note(&mut ended, NOW);
        assert_eq!(crashes.of_lease(&key.lease).len(), 1);
        assert_eq!(crashes.of_lease("another").len(), 0);
        let (_, mut replaced) = seen(0, NOW - 1);
        replaced.get_mut(&key).unwrap().workload.as_mut().unwrap().id = "new".into();
        crashes.note(&mut replaced, NOW);
        assert_eq!(crashes.of_lease(&key.lease).len(), 0);
        crashes.note(&mut Seen::new(), NOW);
        assert!(crashes.known.is_empty());
    }
}
