//! Room in the data plane's table: where there is not enough, those leases go
//! without routes and ports that take the most.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use stoa_tunnel::routes::{Forward, Route, Transport, MAX_FORWARDS, MAX_ROUTES, MAX_ROUTE_BYTES};

use super::forwards::Forwarded;
use super::table::Table;
use crate::shares::heaviest;

const FULL: &str = "the provider's table is full, and this lease takes the most of it";

/// What one lease takes.
#[derive(Debug, Default, Clone, Copy)]
struct Taken {
    routes: usize,
    forwards: usize,
    bytes: usize,
}

/// What is counted of a lease, and how much of it there is room for in all.
type Bound = (fn(&Taken) -> usize, usize);

/// Takes out what the largest leases have until the rest fits. Says what, in
/// words.
pub fn make(table: &mut Table, forwarded: &mut Forwarded) -> Vec<String> {
    let bytes = table.routes.iter().map(Route::bytes).sum::<usize>()
        + forwarded.forwards.iter().map(Forward::bytes).sum::<usize>();
    let fits = table.routes.len() <= MAX_ROUTES && forwarded.forwards.len() <= MAX_FORWARDS;
    if fits && bytes <= MAX_ROUTE_BYTES {
        return vec![];
    }
    let owners = Owners::of(table, forwarded);
    let taken = owners.taken(table, forwarded);
    let mut gone: BTreeSet<String> = BTreeSet::new();
    let bounds: [Bound; 3] = [
        (|taken| taken.routes, MAX_ROUTES),
        (|taken| taken.forwards, MAX_FORWARDS),
        (|taken| taken.bytes, MAX_ROUTE_BYTES),
    ];
    for (of, most) in bounds {
        let left = taken.iter().filter(|(lease, _)| !gone.contains(**lease));
        let lost = heaviest(left.map(|(lease, taken)| (*lease, of(taken))), most);
        gone.extend(lost);
    }
    table.routes.retain(|route| owners.of_route(route).is_none_or(|lease| !gone.contains(lease)));
    forwarded
        .forwards
        .retain(|forward| owners.of_forward(forward).is_none_or(|lease| !gone.contains(lease)));
    table.hosts.retain(|(lease, _), _| !gone.contains(lease));
    for ((_, _), told) in forwarded.told.iter_mut().filter(|((lease, _), _)| gone.contains(lease)) {
        for told in told {
            told.listen = None;
            told.port.host_port = 0;
            told.port.problem = FULL.into();
        }
    }
    gone.into_iter().map(|lease| format!("lease {lease}: {FULL}")).collect()
}

/// Whose each part is.
struct Owners {
    hosts: BTreeMap<String, String>,
    listens: BTreeMap<(Transport, SocketAddr), String>,
}

impl Owners {
    fn of(table: &Table, forwarded: &Forwarded) -> Self {
        let mut owners = Self { hosts: BTreeMap::new(), listens: BTreeMap::new() };
        for ((lease, _), hosts) in &table.hosts {
            owners.hosts.extend(hosts.iter().map(|host| (host.clone(), lease.clone())));
        }
        for ((lease, _), told) in &forwarded.told {
            let listens = told.iter().filter_map(|told| told.listen);
            owners.listens.extend(listens.map(|listen| (listen, lease.clone())));
        }
        owners
    }

    fn of_route(&self, route: &Route) -> Option<&String> {
        self.hosts.get(route.hosts.first()?)
    }

    fn of_forward(&self, forward: &Forward) -> Option<&String> {
        self.listens.get(&(forward.transport, forward.listen))
    }

    fn taken(&self, table: &Table, forwarded: &Forwarded) -> BTreeMap<&str, Taken> {
        let mut all: BTreeMap<&str, Taken> = BTreeMap::new();
        for route in &table.routes {
            let Some(lease) = self.of_route(route) else { continue };
            let taken = all.entry(lease).or_default();
            taken.routes += 1;
            taken.bytes += route.bytes();
        }
        for forward in &forwarded.forwards {
            let Some(lease) = self.of_forward(forward) else { continue };
            let taken = all.entry(lease).or_default();
            taken.forwards += 1;
            taken.bytes += forward.bytes();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use stoa_client::proto::gateway::v1::ForwardedPort;
    use stoa_tunnel::routes::{HttpOptions, RouteTable, Target};

    use super::super::forwards::Told;
    use super::*;

    fn targets(count: usize) -> Vec<Target> {
        let target = Target {
            instance: "x".repeat(100),
            link: "x-link".into(),
            netns: "/run/docker/netns/1".into(),
            address: "10.0.0.3:80".parse().unwrap(),
            hop: None,
        };
        vec![target; count]
    }

    /// A lease with so many names and ports, each leading to so many instances.
    fn add(table: &mut Table, forwarded: &mut Forwarded, lease: &str, count: u16, width: usize) {
        let of = (lease.to_string(), "web".to_string());
        for number in 0..count {
            let host = format!("{lease}{number}.example");
            table.hosts.entry(of.clone()).or_default().push(host.clone());
            let targets = targets(width);
            let (hosts, http) = (vec![host], HttpOptions::default());
            table.routes.push(Route { hosts, http, targets: targets.clone() });
            let place = u16::try_from(table.routes.len()).unwrap();
            let listen = (Transport::Tcp, SocketAddr::from(([0, 0, 0, 0], place)));
            forwarded.forwards.push(Forward { transport: listen.0, listen: listen.1, targets });
            let port = ForwardedPort { host_port: place.into(), ..ForwardedPort::default() };
            let told = Told { port, listen: Some(listen) };
            forwarded.told.entry(of.clone()).or_default().push(told);
        }
    }

    #[test]
    fn a_lease_with_too_many_routes_and_ports_goes_without_and_the_others_are_served() {
        let (mut table, mut forwarded) = (Table::default(), Forwarded::default());
        add(&mut table, &mut forwarded, "small", 2, 3);
        assert!(make(&mut table, &mut forwarded).is_empty());
        assert_eq!((table.routes.len(), forwarded.forwards.len()), (2, 2));
        add(&mut table, &mut forwarded, "greedy", 1_280, 50);
        let problems = make(&mut table, &mut forwarded);
        assert!(problems.len() == 1 && problems[0].contains("greedy"), "{problems:?}");
        assert_eq!((table.routes.len(), forwarded.forwards.len()), (2, 2));
        assert_eq!(table.hosts.len(), 1);
        let told = |lease: &str| &forwarded.told[&(lease.to_string(), "web".to_string())][0];
        assert!(told("greedy").port.problem.contains("full") && told("greedy").listen.is_none());
        assert!(told("small").port.problem.is_empty() && told("small").listen.is_some());
        let (routes, forwards) = (table.routes, forwarded.forwards);
        RouteTable { routes, forwards, ..RouteTable::default() }.validate().unwrap();
    }
}
