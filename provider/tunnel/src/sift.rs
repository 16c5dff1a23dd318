//! Leaving out of a table what could not be served, so that the rest can.

use std::collections::HashSet;

use crate::routes::{
    HostAddress, RouteTable, MAX_ADDRESSES, MAX_FORWARDS, MAX_ROUTES, MAX_ROUTE_BYTES,
};

impl RouteTable {
    /// Leaves out each part for which [`RouteTable::validate`] would refuse the
    /// whole, and says which and why. What comes first stays. The settings of
    /// HTTPS are one part, the operator's: they are left as they are.
    pub fn sift(&mut self) -> Vec<String> {
        let (mut out, mut room) = (vec![], MAX_ROUTE_BYTES);
        let (mut hosts, mut listens, mut count) = (HashSet::new(), HashSet::new(), 0);
        let full = |what: &str, most: usize| Err(format!("{what}: the table has {most} already"));
        self.routes.retain(|route| {
            let bytes = route.bytes();
            let name = route.hosts.first().map_or("a route", String::as_str);
            let admitted = match bytes <= room && count < MAX_ROUTES {
                true => route.admit(&mut hosts),
                false => full(name, count),
            };
            take(admitted, bytes, &mut room, &mut count, &mut out)
        });
        count = 0;
        self.forwards.retain(|forward| {
            let bytes = forward.bytes();
            let admitted = match bytes <= room && count < MAX_FORWARDS {
                true => forward.admit(&mut listens),
                false => full(&format!("{} {}", forward.transport, forward.listen), count),
            };
            take(admitted, bytes, &mut room, &mut count, &mut out)
        });
        self.addresses.retain(|address| {
            let admitted = HostAddress::validate(address);
            admitted.map_err(|problem| out.push(problem)).is_ok()
        });
        self.addresses.truncate(MAX_ADDRESSES);
        if let Some(overlay) = &mut self.overlay {
            out.extend(overlay.sift());
        }
        out
    }
}

/// Whether it stays, and takes its room; if not, why is told.
fn take(
    admitted: Result<(), String>,
    bytes: usize,
    room: &mut usize,
    count: &mut usize,
    out: &mut Vec<String>,
) -> bool {
    match admitted {
        Ok(()) => {
            *room = room.saturating_sub(bytes);
            *count += 1;
            true
        }
        Err(problem) => {
            out.push(problem);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{Forward, HttpOptions, Route, Target, Transport};

    fn route(host: &str, targets: usize) -> Route {
        let target = Target {
            instance: "l/web[0]".into(),
            link: "x-link".into(),
            netns: "/run/docker/netns/1".into(),
            address: "10.0.0.3:80".parse().unwrap(),
            hop: None,
        };
        let targets = vec![target; targets];
        Route { hosts: vec![host.into()], http: HttpOptions::default(), targets }
    }

    #[test]
    fn what_would_spoil_the_table_is_left_out_and_told_and_the_rest_is_served() {
        let forward = |port| Forward {
            transport: Transport::Tcp,
            listen: ([0, 0, 0, 0], port).into(),
            targets: vec![],
        };
        let mut relative = route("relative.example", 1);
        relative.targets[0].netns = "netns".into();
        let twice = Route { hosts: vec!["c.example".into(), "C.example".into()], ..route("", 0) };
        let address = |address: &str| HostAddress {
            interface: "eth0".into(),
            address: address.parse().unwrap(),
        };
        let mut table = RouteTable {
            routes: vec![
                route("a.example", 1),
                route("A.example", 1),
                route("no host", 1),
                route("many.example", 257),
                relative,
                twice,
                route("b.example", 1),
            ],
            forwards: vec![forward(0), forward(80), forward(80), forward(81)],
            addresses: vec![address("127.0.0.1"), address("192.0.2.1")],
            ..RouteTable::default()
        };
        assert!(table.validate().is_err());
        let problems = table.sift();
        table.validate().unwrap();
        let hosts: Vec<&str> = table.routes.iter().map(|r| r.hosts[0].as_str()).collect();
        assert_eq!(hosts, ["a.example", "b.example"]);
        let ports: Vec<u16> = table.forwards.iter().map(|f| f.listen.port()).collect();
        assert_eq!((ports.as_slice(), table.addresses.len()), ([80, 81].as_slice(), 1));
        assert_eq!(problems.len(), 8, "{problems:?}");
        assert!(problems.iter().any(|p| p.contains("A.example")), "{problems:?}");
        let before = table.clone();
        assert!(table.sift().is_empty());
        assert_eq!(table, before);
    }

    #[test]
    fn more_routes_than_a_table_carries_cost_nobody_the_rest() {
        let each = route("x0000.example", 256).bytes();
        let count = MAX_ROUTE_BYTES / each + 10;
        let routes = (0..count).map(|n| route(&format!("x{n:04}.example"), 256)).collect();
        let mut table = RouteTable { routes, ..RouteTable::default() };
        table.routes.push(route("small.example", 0));
        assert!(table.validate().unwrap_err().contains("bytes of routes"));
        assert_eq!(table.sift().len(), 10);
        table.validate().unwrap();
        let text = serde_json::to_vec(&table).unwrap();
        assert!(text.len() <= MAX_ROUTE_BYTES, "{} bytes", text.len());
        assert_eq!(table.routes.last().unwrap().hosts, ["small.example"]);
    }
}
