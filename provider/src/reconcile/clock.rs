//! How long ago something was, whatever happens to this machine's clock: the
//! clock is believed once, when a moment is first seen, and from then on time
//! is counted. A step makes nothing late and nothing young.

use std::collections::BTreeMap;
use std::time::Instant;

use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use super::observed::unix_seconds;
use crate::runtime::{InstanceKey, ObservedInstance};
use crate::store::Rollout;

/// Clock and counting are apart by this many seconds before it is a step.
const SLACK: u64 = 5;

/// Moments by what began with them.
#[derive(Debug, Default)]
pub(super) struct Clock {
    moments: BTreeMap<String, Moment>,
}

#[derive(Debug)]
struct Moment {
    /// Unix seconds, as the one that noted it had them.
    wall: u64,
    /// How long ago it was when it was first seen here.
    age: u64,
    seen: Instant,
}

impl Clock {
    /// The moment on the clock as it goes now.
    fn steady(&mut self, what: String, wall: u64, now: u64, counted: Instant) -> u64 {
        let first = || Moment { wall, age: now.saturating_sub(wall), seen: counted };
        let moment = self.moments.entry(what).or_insert_with(first);
        if moment.wall != wall {
            *moment = first();
        }
        let passed = counted.saturating_duration_since(moment.seen).as_secs();
        let then = now.saturating_sub(moment.age.saturating_add(passed));
        match then.abs_diff(wall) > SLACK {
            true => then,
            false => wall,
        }
    }

    /// Puts the containers' starts on the clock as it goes now.
    pub(super) fn settle_starts(
        &mut self,
        seen: &mut BTreeMap<InstanceKey, ObservedInstance>,
        now: u64,
        counted: Instant,
    ) {
        self.moments.retain(|what, _| {
            what.starts_with(ROLLOUT) || {
                seen.values().filter_map(|one| one.workload.as_ref()).any(|w| w.id == *what)
            }
        });
        for workload in seen.values_mut().filter_map(|one| one.workload.as_mut()) {
            let Some(wall) = workload.started_at.as_deref().and_then(unix_seconds) else {
                continue;
            };
            let then = self.steady(workload.id.clone(), wall, now, counted);
            if then != wall {
                workload.started_at = rfc3339(then);
            }
        }
    }

    /// The same for the beginning of a lease's update.
    pub(super) fn settle_rollout(
        &mut self,
        lease: &str,
        rollout: Option<Rollout>,
        now: u64,
        counted: Instant,
    ) -> Option<Rollout> {
        let what = format!("{ROLLOUT}{lease}");
        let Some(rollout) = rollout else {
            self.moments.remove(&what);
            return None;
        };
        let since = self.steady(what, rollout.since, now, counted);
        Some(Rollout { since, ..rollout })
    }
}

/// No container's id begins so.
const ROLLOUT: &str = "rollout of ";

fn rfc3339(unix: u64) -> Option<String> {
    let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(unix).ok()?).ok()?;
    moment.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tests_support::{observed, service_goal};

    const NOW: u64 = 1_000_000;
    const HOUR: u64 = 3_600;

    #[test]
    fn a_step_of_the_clock_makes_no_update_late_and_no_instance_young() {
        let mut clock = Clock::default();
        let begun = Instant::now();
        let after = |seconds: u64| begun + Duration::from_secs(seconds);
        let rollout = |since| Rollout { version: "v".into(), service: "web".into(), since };
        let mut since = |wall, now, counted| {
            clock.settle_rollout("lease", Some(rollout(wall)), now, counted).unwrap().since
        };
        assert_eq!(since(NOW - 10, NOW, begun), NOW - 10, "believed at first sight");
        assert_eq!(since(NOW - 10, NOW + 3, after(2)), NOW - 10, "no step");
        assert_eq!(since(NOW - 10, NOW + HOUR, after(20)), NOW + HOUR - 30, "forward");
        assert_eq!(since(NOW - 10, NOW - HOUR, after(30)), NOW - HOUR - 40, "backward");
        assert_eq!(since(NOW - HOUR, NOW - HOUR, after(40)), NOW - HOUR, "another update");

        let spec = service_goal("web", 1, "a").instances.remove(0);
        let mut clock = Clock::default();
        let mut age = |started, now, counted| {
            let mut seen = BTreeMap::from([(spec.key.clone(), observed(&spec, started))]);
            clock.settle_starts(&mut seen, now, counted);
            let started = seen[&spec.key].workload.as_ref().unwrap().started_at.clone();
            now - unix_seconds(&started.unwrap()).unwrap()
        };
        // It says that it was started in an hour.
        assert_eq!(age(NOW + HOUR, NOW, begun), 0);
        assert_eq!(age(NOW + HOUR, NOW + 7, after(7)), 7);
        assert_eq!(age(NOW + HOUR, NOW + HOUR + 9, after(9)), 9, "and now the clock agrees");
    }
}
