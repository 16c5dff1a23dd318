//! The table in use: looked up by host, with what is remembered of each
//! target. Swapped whole; requests under way keep the one they began with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::control::TargetFailure;
use crate::routes::{Route, RouteTable, Target};

/// How long a target that failed is tried last.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// The current table.
pub struct Routes {
    current: RwLock<Arc<LiveTable>>,
    started: Instant,
}

/// One table.
#[derive(Default)]
pub struct LiveTable {
    pub source: RouteTable,
    by_host: HashMap<String, Arc<LiveRoute>>,
}

/// One route and its round-robin.
pub struct LiveRoute {
    pub route: Route,
    next: AtomicUsize,
    health: Vec<TargetHealth>,
}

/// What is remembered of a target.
#[derive(Default)]
struct TargetHealth {
    /// Milliseconds of the clock of [`Routes`]; 0 where it has not failed.
    failed_at: AtomicU64,
    last_error: std::sync::Mutex<String>,
}

impl Routes {
    pub fn new(table: RouteTable) -> Self {
        let live = LiveTable::build(table, &LiveTable::default());
        Self { current: RwLock::new(Arc::new(live)), started: Instant::now() }
    }

    pub fn current(&self) -> Arc<LiveTable> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a table in place; routes that it leaves as they were keep what
    /// is remembered of their targets.
    pub fn replace(&self, table: RouteTable) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(LiveTable::build(table, &current));
    }

    /// Notes that a target did not answer.
    pub fn note_failure(&self, route: &LiveRoute, target: usize, error: &str) {
        if let Some(health) = route.health.get(target) {
            health.failed_at.store(self.now().max(1), Ordering::Relaxed);
            *health.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error.into();
        }
    }

    /// Notes that it did.
    pub fn note_success(&self, route: &LiveRoute, target: usize) {
        if let Some(health) = route.health.get(target) {
            health.failed_at.store(0, Ordering::Relaxed);
        }
    }

    /// The order in which to try a route's targets: in turn, those that
    /// failed a moment ago last.
    pub fn order(&self, route: &LiveRoute) -> Vec<usize> {
        let count = route.route.targets.len();
        let first = route.next.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<usize> = (0..count).map(|step| (first + step) % count).collect();
        order.sort_by_key(|target| self.is_resting(&route.health[*target]));
        order
    }

    /// Targets whose last try failed.
    pub fn failures(&self, most: usize) -> Vec<TargetFailure> {
        let table = self.current();
        let routes = table.source.routes.iter().filter_map(|r| table.find(r.hosts.first()?));
        let mut failures = Vec::new();
        for route in routes {
            for (target, health) in route.route.targets.iter().zip(&route.health) {
                let failed = health.failed_at.load(Ordering::Relaxed) != 0;
                if failed && failures.len() < most {
                    let error = health.last_error.lock().unwrap_or_else(PoisonError::into_inner);
                    failures.push(TargetFailure {
                        instance: target.instance.clone(),
                        link: target.link.clone(),
                        error: error.clone(),
                    });
                }
            }
        }
        failures
    }

    fn is_resting(&self, health: &TargetHealth) -> bool {
        match health.failed_at.load(Ordering::Relaxed) {
            0 => false,
            at => self.now().saturating_sub(at) < REST_AFTER_FAILURE.as_millis() as u64,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl LiveTable {
    fn build(source: RouteTable, before: &Self) -> Self {
        let mut by_host = HashMap::new();
        for route in &source.routes {
            let known = route.hosts.first().and_then(|host| before.find(host));
            let live = match known {
                Some(known) if known.route == *route => known,
                _ => Arc::new(LiveRoute::new(route.clone())),
            };
            for host in &route.hosts {
                by_host.insert(host.to_ascii_lowercase(), Arc::clone(&live));
            }
        }
        Self { source, by_host }
    }

    /// The route of a host name, in whatever case.
    pub fn find(&self, host: &str) -> Option<Arc<LiveRoute>> {
        self.by_host.get(&host.to_ascii_lowercase()).cloned()
    }

    /// How many host names are served.
    pub fn hosts(&self) -> usize {
        self.by_host.len()
    }
}

impl LiveRoute {
    fn new(route: Route) -> Self {
        let health = route.targets.iter().map(|_| TargetHealth::default()).collect();
        Self { route, next: AtomicUsize::new(0), health }
    }

    pub fn target(&self, index: usize) -> &Target {
        &self.route.targets[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::HttpOptions;

    fn table(generation: u64, host: &str) -> RouteTable {
        let target = |last: u8| Target {
            instance: format!("web[{last}]"),
            link: String::new(),
            netns: "/n".into(),
            address: ([10, 0, 0, last], 80).into(),
        };
        let route = Route {
            hosts: vec![host.into()],
            http: HttpOptions::default(),
            targets: vec![target(3), target(19), target(35)],
        };
        RouteTable { generation, routes: vec![route] }
    }

    #[test]
    fn targets_take_turns_and_one_that_failed_comes_last() {
        let routes = Routes::new(table(1, "A.example"));
        let route = routes.current().find("a.EXAMPLE").unwrap();
        assert_eq!(routes.order(&route), [0, 1, 2]);
        assert_eq!(routes.order(&route), [1, 2, 0]);
        routes.note_failure(&route, 2, "refused");
        assert_eq!(routes.order(&route), [0, 1, 2]);
        assert_eq!(routes.failures(9)[0].error, "refused");

        // The same route in a newer table: the failure is still known.
        routes.replace(table(2, "A.example"));
        let again = routes.current().find("a.example").unwrap();
        assert!(Arc::ptr_eq(&route, &again));
        routes.note_success(&again, 2);
        assert!(routes.failures(9).is_empty());
        routes.replace(table(3, "b.example"));
        assert!(routes.current().find("a.example").is_none());
    }
}
