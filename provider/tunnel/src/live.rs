//! The table in use: looked up by host. Swapped whole; requests under way
//! keep the one they began with.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::control::TargetFailure;
use crate::ingress::Kept;
use crate::routes::{Route, RouteTable, Target};
use crate::targets::TargetSet;

/// The current table.
pub struct Routes {
    current: RwLock<Arc<LiveTable>>,
}

/// One table.
#[derive(Default)]
pub struct LiveTable {
    pub source: RouteTable,
    by_host: HashMap<String, Arc<LiveRoute>>,
}

/// One route with what is remembered of its targets.
pub struct LiveRoute {
    pub route: Route,
    pub(crate) targets: TargetSet,
    pub(crate) kept: Kept,
}

impl Routes {
    pub fn new(table: RouteTable) -> Self {
        let live = LiveTable::build(table, &LiveTable::default());
        Self { current: RwLock::new(Arc::new(live)) }
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

    /// Targets whose last try failed.
    pub fn failures(&self, most: usize) -> Vec<TargetFailure> {
        let table = self.current();
        let routes = table.source.routes.iter().filter_map(|r| table.find(r.hosts.first()?));
        let mut failures = Vec::new();
        for route in routes {
            failures.extend(route.targets.failures().take(most.saturating_sub(failures.len())));
        }
        failures
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

    /// Gives up connections to instances that have waited long enough.
    pub(crate) fn clean(&self) {
        self.by_host.values().for_each(|route| route.kept.clean());
    }

    /// How many host names are served.
    pub fn hosts(&self) -> usize {
        self.by_host.len()
    }
}

impl LiveRoute {
    fn new(route: Route) -> Self {
        let targets = TargetSet::new(route.targets.clone());
        let kept = Kept::of(route.targets.len());
        Self { route, targets, kept }
    }

    pub fn target(&self, index: usize) -> &Target {
        &self.targets.all()[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::HttpOptions;

    fn table(generation: u64, host: &str) -> RouteTable {
        let target = Target {
            instance: "web[0]".into(),
            link: String::new(),
            netns: "/n".into(),
            address: ([10, 0, 0, 3], 80).into(),
            hop: None,
        };
        let route =
            Route { hosts: vec![host.into()], http: HttpOptions::default(), targets: vec![target] };
        RouteTable { generation, routes: vec![route], ..RouteTable::default() }
    }

    #[test]
    fn a_route_that_a_new_table_leaves_alone_keeps_its_memory() {
        let routes = Routes::new(table(1, "A.example"));
        let route = routes.current().find("a.EXAMPLE").unwrap();
        route.targets.note_failure(0, "refused");
        routes.replace(table(2, "A.example"));
        let again = routes.current().find("a.example").unwrap();
        assert!(Arc::ptr_eq(&route, &again));
        assert_eq!(routes.failures(9)[0].error, "refused");
        assert!(routes.failures(0).is_empty());
        routes.replace(table(3, "b.example"));
        assert!(routes.current().find("a.example").is_none());
    }
}
