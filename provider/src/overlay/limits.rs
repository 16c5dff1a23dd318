//! How much of the data planes' tables one lease may take: no tenant's manifest
//! costs the others their connections.

use std::collections::{BTreeMap, BTreeSet};

use stoa_manifest::Manifest;
use stoa_tunnel::overlay::{Connection, Link, Served, MAX_OVERLAY_BYTES, MAX_TUNNELS};

use super::rules::{declared, Declared, Rule};
use crate::shares::heaviest;

/// Ports of other services that one service may dial. A link's bound is twice
/// that: two versions of a manifest count for a while.
pub const MAX_DIALLED: usize = 128;
/// Connections into the services of one placement, and out of them, each. One
/// to a service at several placements counts for each.
pub const MAX_ENDS: usize = 512;
/// What a tunnel's certificate and key take, about.
const CREDENTIAL: usize = 2 << 10;

/// Refuses a manifest that declares more connections of the groups leased here
/// than this provider carries, in words.
///
/// # Errors
/// What is too much.
pub fn check<'a>(manifest: &Manifest, groups: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let (_, beyond) = admitted(manifest, &groups.collect());
    match beyond.is_empty() {
        true => Ok(()),
        false => Err(beyond.into_iter().collect::<Vec<_>>().join("; ")),
    }
}

/// What a manifest declares that has an end in one of the groups, as far as the
/// bounds go; and what goes beyond them, in words.
pub(super) fn admitted(
    manifest: &Manifest,
    groups: &BTreeSet<&str>,
) -> (BTreeSet<Rule>, BTreeSet<String>) {
    let mut taken = Taken::default();
    declared(manifest, |one| taken.take(one, groups));
    (taken.rules.iter().map(Declared::rule).collect(), taken.beyond)
}

/// A service with a port of it, and whether that is of UDP.
type DialledPort<'a> = (&'a str, u16, bool);

/// What has been admitted.
#[derive(Default)]
struct Taken<'a> {
    rules: BTreeSet<Declared<'a>>,
    /// By group and service: the services and ports that it dials.
    dialled: BTreeMap<(&'a str, &'a str), BTreeSet<DialledPort<'a>>>,
    /// By group.
    out: BTreeMap<&'a str, usize>,
    into: BTreeMap<&'a str, usize>,
    beyond: BTreeSet<String>,
}

impl<'a> Taken<'a> {
    fn take(&mut self, one: Declared<'a>, groups: &BTreeSet<&str>) {
        let (from_here, to_here) = (groups.contains(one.from.0), groups.contains(one.to.0));
        if !(from_here || to_here) || self.rules.contains(&one) {
            return;
        }
        let (out, into) = (self.out.get(one.from.0), self.into.get(one.to.0));
        let is_full = |count: Option<&usize>| count.is_some_and(|count| *count >= MAX_ENDS);
        for (full, group, way) in [
            (from_here && is_full(out), one.from.0, "out of"),
            (to_here && is_full(into), one.to.0, "into"),
        ] {
            if full {
                let words = format!(
                    "more than {MAX_ENDS} connections lead {way} the services of placement {group}"
                );
                self.beyond.insert(words);
                return;
            }
        }
        if from_here {
            let dialled = self.dialled.entry(one.from).or_default();
            let port = (one.to.1, one.port, one.is_udp);
            if dialled.len() >= MAX_DIALLED && !dialled.contains(&port) {
                let words = format!(
                    "service {} of placement {} is let into more than {MAX_DIALLED} ports of \
                     services",
                    one.from.1, one.from.0
                );
                self.beyond.insert(words);
                return;
            }
            dialled.insert(port);
            *self.out.entry(one.from.0).or_default() += 1;
        }
        if to_here {
            *self.into.entry(one.to.0).or_default() += 1;
        }
        self.rules.insert(one);
    }
}

/// A lease's part of the tables.
#[derive(Default)]
pub(super) struct Share {
    /// With the machine that each is on; none: this one.
    pub(super) links: Vec<(Option<String>, Link)>,
    /// By their ids.
    pub(super) connections: BTreeMap<String, Connection>,
    /// By their descriptors.
    pub(super) incoming: BTreeMap<String, Served>,
}

impl Share {
    fn outgoing(&self) -> usize {
        self.connections.values().map(|connection| connection.backends.len()).sum()
    }

    fn incoming(&self) -> usize {
        self.incoming.len()
    }

    fn bytes(&self) -> usize {
        let links = self.links.iter().map(|(_, link)| link.bytes());
        let connections = self.connections.values().map(Connection::bytes);
        let served = self.incoming.values().map(Served::bytes);
        let keys = (self.outgoing() + self.incoming()) * CREDENTIAL;
        links.chain(connections).chain(served).sum::<usize>() + keys
    }

    /// Its workloads can look public names up, and no more.
    fn clear(&mut self) {
        self.connections.clear();
        self.incoming.clear();
        for (_, link) in &mut self.links {
            link.names.clear();
            link.ports.clear();
        }
    }
}

/// What is counted of a lease, and how much of it there is room for in all.
type Bound = (fn(&Share) -> usize, usize);

/// Takes the connections of those leases that take the most, until all others'
/// have room in the tables. Says whose.
pub(super) fn make_room(shares: &mut BTreeMap<String, Share>) -> BTreeSet<String> {
    let mut gone = BTreeSet::new();
    let bounds: [Bound; 3] = [
        (Share::outgoing, MAX_TUNNELS),
        (Share::incoming, MAX_TUNNELS),
        (Share::bytes, MAX_OVERLAY_BYTES),
    ];
    for (of, most) in bounds {
        let lost = heaviest(shares.iter().map(|(lease, share)| (lease.as_str(), of(share))), most);
        for lease in &lost {
            shares.entry(lease.clone()).or_default().clear();
        }
        gone.extend(lost);
    }
    gone
}

#[cfg(test)]
mod tests {
    use stoa_tunnel::overlay::{Backend, TunnelId};

    use super::*;
    use crate::tests_support::{manifest, wide_sdl};

    #[test]
    fn a_manifest_is_admitted_as_far_as_the_bounds_go_and_told_what_is_beyond() {
        let here = BTreeSet::from(["here"]);
        let fits = manifest(&wide_sdl(MAX_DIALLED));
        check(&fits, here.iter().copied()).unwrap();
        assert_eq!(admitted(&fits, &here).0.len(), MAX_DIALLED);
        let wide = manifest(&wide_sdl(300));
        let error = check(&wide, here.iter().copied()).unwrap_err();
        assert!(error.contains("service web of placement here"), "{error}");
        assert_eq!(admitted(&wide, &here).0.len(), MAX_DIALLED);
        // Where it has no end, it takes nothing.
        check(&wide, ["there"].into_iter()).unwrap();
        assert!(admitted(&wide, &BTreeSet::from(["there"])).0.is_empty());
    }

    #[test]
    fn many_services_that_dial_one_another_are_bounded_both_ways() {
        let mut wide = manifest(&wide_sdl(100));
        let services = &mut wide.groups[0].services;
        let dialled = services.iter().position(|service| service.name == "api").unwrap();
        for number in 0..9 {
            let mut more = services[dialled].clone();
            more.name = format!("more{number}");
            services.push(more);
        }
        let (rules, beyond) = admitted(&wide, &BTreeSet::from(["here"]));
        // One dials too many ports; none is above its own bound of ends.
        assert_eq!(rules.len(), MAX_DIALLED);
        assert!(beyond.iter().all(|words| words.contains("ports of services")), "{beyond:?}");
        let services = &mut wide.groups[0].services;
        for (number, service) in services.iter_mut().enumerate() {
            let from = format!("from{}", number % 20);
            service.expose.iter_mut().filter(|e| !e.global).for_each(|e| e.service = from.clone());
        }
        let web = services.iter().position(|service| service.name == "web").unwrap();
        for number in 0..20 {
            let mut more = services[web].clone();
            more.name = format!("from{number}");
            services.push(more);
        }
        let (rules, beyond) = admitted(&wide, &BTreeSet::from(["here"]));
        assert_eq!(rules.len(), MAX_ENDS);
        let words: Vec<&String> = beyond.iter().collect();
        assert!(words.iter().any(|words| words.contains("512 connections")), "{words:?}");
    }

    #[test]
    fn where_the_tables_are_full_those_who_take_the_most_go_without() {
        let share = |tunnels: usize| {
            let backend = |number: usize| Backend {
                tunnel: TunnelId { descriptor: number.to_string(), peer_roots: vec![] },
                endpoints: vec![],
                credential: String::new(),
            };
            let backends = (0..tunnels).map(backend).collect();
            let connection = Connection { id: "c".into(), backends };
            Share { connections: [("c".into(), connection)].into(), ..Share::default() }
        };
        let mut shares: BTreeMap<String, Share> =
            [("small", 10), ("large", 5_000), ("largest", 6_000)]
                .map(|(lease, tunnels)| (lease.into(), share(tunnels)))
                .into();
        assert_eq!(make_room(&mut shares), BTreeSet::from(["largest".to_string()]));
        let left = |lease: &str| shares[lease].outgoing();
        assert_eq!((left("small"), left("large"), left("largest")), (10, 5_000, 0));
        assert!(make_room(&mut shares).is_empty());
    }
}
