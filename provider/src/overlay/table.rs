//! The overlay's part of the data plane's table, made of rules, leases and
//! what runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::tls::Identity;
use stoa_manifest::Egress;
use stoa_tunnel::overlay::{
    Backend, Connection, Direction, Link, Name, OverlayTable, PeerRoot, Port, Served, TunnelId,
};
use stoa_tunnel::routes::{Target, MAX_TARGETS_PER_ROUTE};

use super::addresses::Ports;
use super::away::{dialled, Away};
use super::known::{KnownLease, State};
use super::limits::{make_room, Share};
use super::rules::{descriptor, Rule};
use super::told::{Told, ToldEnd};
use super::Joined;
use crate::config::Config;
use crate::fleet::Tables;
use crate::runtime::{InstanceKey, Observation, ObservedInstance};

const DNS: u16 = 53;
/// What a tenant is told of a tunnel that the tables have not.
const LEFT_OUT: &str = "the provider's tables have no room for it: it is left out";

/// What it is made of.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) provider: &'a str,
    /// DER: what vouches for this provider.
    pub(super) own_roots: &'a [Vec<u8>],
    /// The root before, where its certificates are shown still.
    pub(super) still_shown: Option<&'a str>,
    pub(super) leases: &'a [Joined<'a>],
    pub(super) seen: &'a Observation,
    pub(super) state: &'a mut State,
    pub(super) root: &'a Identity,
}

/// What comes of it.
#[derive(Default)]
pub(super) struct Built {
    pub(super) table: OverlayTable,
    /// Of the provider's other machines.
    pub(super) machines: Tables,
    pub(super) problems: Vec<String>,
    pub(super) told: Vec<Told>,
}

/// One lease's rule with the lease at its other end.
struct Wire<'a> {
    rule: &'a Rule,
    from: &'a KnownLease,
    to: &'a KnownLease,
    deployment: &'a str,
}

pub(super) fn build(parts: Parts<'_>) -> Built {
    let deployments = parts.state.deployments.clone();
    let mut builder = Builder {
        built: Built::default(),
        used: BTreeSet::new(),
        shares: BTreeMap::new(),
        told: BTreeSet::new(),
        own: BTreeSet::new(),
        away: Away::of(parts.seen),
        live: parts.leases.iter().map(|joined| joined.lease.name.as_str()).collect(),
        parts,
    };
    for joined in builder.parts.leases {
        let id = deployment_of(&joined.lease.id).text();
        let Some(known) = deployments.get(&id) else { continue };
        let beyond = known.beyond.iter().map(|words| format!("deployment {id}: {words}"));
        builder.built.problems.extend(beyond);
        let rules: BTreeSet<&Rule> = known.all_rules().collect();
        let group = &joined.lease.spec.name;
        let own = KnownLease {
            lease: joined.lease.name.clone(),
            group: group.clone(),
            provider: builder.parts.provider.into(),
        };
        for rule in &rules {
            let at = |group: &str| {
                let all = known.leases.iter().filter(move |lease| lease.group == *group);
                all.cloned().collect::<Vec<_>>()
            };
            if rule.from.group == *group {
                // Also where nobody is there yet: it is listened for, and refused.
                builder.connection(rule, &own.lease);
                for to in at(&rule.to.group) {
                    builder.outgoing(&Wire { rule, from: &own, to: &to, deployment: &id });
                }
            }
            if rule.to.group == *group {
                for from in at(&rule.from.group) {
                    builder.incoming(&Wire { rule, from: &from, to: &own, deployment: &id });
                }
            }
        }
        builder.links(joined, &rules);
    }
    builder.finish()
}

struct Builder<'a> {
    built: Built,
    /// Credentials that are needed.
    used: BTreeSet<String>,
    /// By lease.
    shares: BTreeMap<String, Share>,
    /// Tunnels that are told already; true: they go out.
    told: BTreeSet<(bool, String)>,
    /// Outgoing tunnels that end at this provider.
    own: BTreeSet<String>,
    away: Away,
    /// This provider's live leases.
    live: BTreeSet<&'a str>,
    parts: Parts<'a>,
}

impl Builder<'_> {
    fn share(&mut self, lease: &str) -> &mut Share {
        self.shares.entry(lease.to_owned()).or_default()
    }

    fn connection(&mut self, rule: &Rule, lease: &str) -> &mut Connection {
        let id = connection_id(rule, lease);
        let empty = Connection { id: id.clone(), backends: vec![] };
        self.share(lease).connections.entry(id).or_insert(empty)
    }

    fn outgoing(&mut self, wire: &Wire<'_>) {
        let Some((tunnel, credential)) = self.tunnel(wire, Direction::Outgoing) else { return };
        let endpoints = self.endpoints_of(&wire.to.provider);
        if wire.to.provider == self.parts.provider {
            self.own.insert(tunnel.descriptor.clone());
        }
        let backend = Backend { tunnel, endpoints, credential };
        let connection = self.connection(wire.rule, &wire.from.lease);
        if !connection.backends.contains(&backend) {
            connection.backends.push(backend);
        }
    }

    fn incoming(&mut self, wire: &Wire<'_>) {
        let Some((tunnel, credential)) = self.tunnel(wire, Direction::Incoming) else { return };
        let targets = targets(wire, self.parts.seen);
        let transport = wire.rule.transport;
        let incoming = &mut self.share(&wire.to.lease).incoming;
        match incoming.get_mut(&tunnel.descriptor) {
            Some(served) => add_targets(served, targets),
            None => {
                let descriptor = tunnel.descriptor.clone();
                incoming.insert(descriptor, Served { tunnel, transport, credential, targets });
            }
        }
    }

    /// The tunnel's name and this side's credential; none where the other
    /// side's root is not known yet, or its lease is over here.
    fn tunnel(&mut self, wire: &Wire<'_>, direction: Direction) -> Option<(TunnelId, String)> {
        let (peer, side) = match direction {
            Direction::Outgoing => (wire.to, "out"),
            Direction::Incoming => (wire.from, "in"),
        };
        if peer.provider == self.parts.provider && !self.live.contains(peer.lease.as_str()) {
            return None;
        }
        let descriptor = descriptor(wire.rule, &wire.from.lease, &wire.to.lease);
        let roots = self.roots_of(&peer.provider);
        let mut told = told(wire, direction, &descriptor, &roots);
        told.endpoints = self.endpoints_of(&peer.provider);
        let made = match roots.is_empty() {
            true => {
                told.problem = format!("the record of provider {} is not read yet", peer.provider);
                None
            }
            false => {
                let seconds = self.parts.config.overlay.certificate_seconds;
                let all = &mut self.parts.state.credentials;
                let (root, also) = (self.parts.root, self.parts.still_shown);
                match all.ensure(side, &descriptor, root, also, seconds) {
                    Ok(id) => {
                        if let Some((certificate, not_after)) = all.shown(&id) {
                            (told.certificate, told.not_after) = (certificate, Some(not_after));
                        }
                        self.used.insert(id.clone());
                        Some((TunnelId { descriptor, peer_roots: roots }, id))
                    }
                    Err(error) => {
                        told.problem = format!("no certificate: {error:#}");
                        None
                    }
                }
            }
        };
        if self.told.insert((direction == Direction::Outgoing, told.descriptor.clone())) {
            self.built.told.push(told);
        }
        made
    }

    fn roots_of(&self, provider: &str) -> Vec<PeerRoot> {
        if provider == self.parts.provider {
            return self.parts.own_roots.iter().cloned().map(PeerRoot).collect();
        }
        let known = self.parts.state.providers.get(provider);
        let roots = known.map(|known| known.roots.as_slice()).unwrap_or_default();
        roots.iter().filter_map(|root| hex::decode(root).ok()).map(PeerRoot).collect()
    }

    fn endpoints_of(&self, provider: &str) -> Vec<String> {
        if provider == self.parts.provider {
            return self
                .parts
                .config
                .overlay
                .listen
                .first()
                .map(own_endpoint)
                .into_iter()
                .collect();
        }
        let known = self.parts.state.providers.get(provider);
        known.map(|known| known.endpoints.clone()).unwrap_or_default()
    }

    /// The links of a lease's instances, with the names that each may dial.
    fn links(&mut self, joined: &Joined<'_>, rules: &BTreeSet<&Rule>) {
        let of_lease =
            InstanceKey { lease: joined.lease.name.clone(), service: String::new(), index: 0 };
        let instances = self.parts.seen.instances.range(of_lease..);
        let own = instances.take_while(|(key, _)| key.lease == joined.lease.name);
        for (key, instance) in own {
            // What is not known now is changed nowhere.
            let link = match instance.place.unknown {
                true => None,
                false => self.link(joined, key, instance, rules),
            };
            if let Some(link) = link {
                let host = instance.place.host.clone();
                self.share(&joined.lease.name).links.push((host, link));
            }
        }
    }

    fn link(
        &mut self,
        joined: &Joined<'_>,
        key: &InstanceKey,
        instance: &ObservedInstance,
        rules: &BTreeSet<&Rule>,
    ) -> Option<Link> {
        let group = &joined.lease.spec.name;
        let (link, network) = instance.link.as_ref().zip(instance.network.as_ref())?;
        let (netns, address) = link.netns.clone().zip(network.link_address)?;
        let dialled: Vec<&Rule> = rules
            .iter()
            .filter(|rule| rule.from.group == *group && rule.from.service == key.service)
            .copied()
            .collect();
        let mut wanted: BTreeMap<String, Ports> = BTreeMap::new();
        for rule in &dialled {
            let ports = wanted.entry(rule.to.service.clone()).or_default();
            ports.insert((rule.transport, rule.port));
        }
        let free = &network.virtual_addresses;
        let slots = self.parts.state.slots.entry(slots_key(key)).or_default();
        for name in slots.assign(&wanted, free.len()) {
            let words = format!("{key}: no address is left for the name {name}");
            self.built.problems.push(words);
        }
        let address_of = |name: &str| Some(IpAddr::V4(*free.get(slots.get(name)?)?));
        let names = wanted
            .keys()
            .filter_map(|name| Some(Name { name: name.clone(), address: address_of(name)? }));
        let ports: BTreeMap<_, _> = dialled
            .iter()
            .filter_map(|rule| {
                let address = address_of(&rule.to.service)?;
                let connection = connection_id(rule, &joined.lease.name);
                let transport = rule.transport;
                let port = Port { address, port: rule.port, transport, connection };
                Some(((transport, address, rule.port), port))
            })
            .collect();
        Some(Link {
            instance: key.to_string(),
            link: link.name.clone(),
            netns,
            prefix: network.prefix,
            dns: (address, DNS).into(),
            egress: has_egress(joined, key),
            search: vec![],
            names: names.collect(),
            ports: ports.into_values().collect(),
        })
    }

    fn finish(mut self) -> Built {
        let without = make_room(&mut self.shares);
        let words = "the tables of this provider are full, and this lease takes the most of them";
        let problems = without.iter().map(|lease| format!("lease {lease}: {words}"));
        self.built.problems.extend(problems);
        for share in std::mem::take(&mut self.shares).into_values() {
            for (host, link) in share.links {
                match host {
                    Some(host) => self.away.add(&host, link),
                    None => self.built.table.links.push(link),
                }
            }
            self.built.table.outgoing.extend(share.connections.into_values());
            self.built.table.incoming.extend(share.incoming.into_values());
        }
        let state = self.parts.state;
        state.credentials.keep(&self.used);
        let live = |key: &String| key.rsplit_once('/').is_some_and(|(l, _)| self.live.contains(l));
        state.slots.retain(|key, _| live(key));
        let overlay = &self.parts.config.overlay;
        let table = &mut self.built.table;
        table.listen = overlay.listen.clone();
        table.resolvers = overlay.resolvers.clone();
        table.credentials = state.credentials.all();
        // What is dialled from elsewhere alone needs neither key nor session here.
        let (here, away) = (dialled(table.links.iter()), self.away.dialled());
        let (machines, problems) = self.away.tables(table, &self.own, overlay);
        table.outgoing.retain(|one| here.contains(&one.id) || !away.contains(&one.id));
        keep_used(table);
        self.built.machines = machines;
        self.built.problems.extend(problems);
        self.built.sift();
        self.built.problems.sort();
        self.built.problems.dedup();
        self.built
    }
}

impl Built {
    /// Leaves out what a data plane would refuse the whole table for, and tells
    /// of the tunnels that are not in the tables.
    fn sift(&mut self) {
        self.problems.extend(self.table.sift());
        for (host, table) in &mut self.machines {
            let words = table.sift().into_iter();
            self.problems.extend(words.map(|words| format!("the machine {host}: {words}")));
        }
        let tables = || std::iter::once(&self.table).chain(self.machines.values());
        let backends = tables().flat_map(|table| &table.outgoing).flat_map(|one| &one.backends);
        let out: BTreeSet<&str> = backends.map(|one| one.tunnel.descriptor.as_str()).collect();
        let into = tables().flat_map(|table| &table.incoming);
        let into: BTreeSet<&str> = into.map(|one| one.tunnel.descriptor.as_str()).collect();
        for told in self.told.iter_mut().filter(|told| told.problem.is_empty()) {
            let there = match told.direction {
                Direction::Outgoing => &out,
                Direction::Incoming => &into,
            };
            if !there.contains(told.descriptor.as_str()) {
                told.problem = LEFT_OUT.into();
            }
        }
    }
}

/// Two versions of a manifest may lead one tunnel to two ports of an instance.
/// Beside each other: whoever tries the instances in turn finds the right one.
fn add_targets(served: &mut Served, more: Vec<Target>) {
    served.targets.extend(more);
    served.targets.sort_by(|one, other| {
        (&one.instance, one.address.port()).cmp(&(&other.instance, other.address.port()))
    });
    served.targets.dedup();
    served.targets.truncate(MAX_TARGETS_PER_ROUTE);
}

/// Drops the credentials of tunnels that the table has not.
fn keep_used(table: &mut OverlayTable) {
    let outgoing = table.outgoing.iter().flat_map(|c| &c.backends).map(|b| &b.credential);
    let used: BTreeSet<String> =
        outgoing.chain(table.incoming.iter().map(|s| &s.credential)).cloned().collect();
    table.credentials.retain(|credential| used.contains(&credential.id));
}

/// Instances of one service dial through the same connection.
fn connection_id(rule: &Rule, lease: &str) -> String {
    let (from, to) = (&rule.from.service, &rule.to.service);
    format!("{lease} {from} > {to} {}/{}", rule.port, rule.transport)
}

fn slots_key(key: &InstanceKey) -> String {
    format!("{}/{}", key.lease, key.service)
}

fn has_egress(joined: &Joined<'_>, key: &InstanceKey) -> bool {
    let groups = joined.manifests.iter().filter_map(|m| m.manifest.group(&joined.lease.spec.name));
    let mut services = groups.flat_map(|group| &group.services).filter(|s| s.name == key.service);
    services.next().is_some_and(|service| service.egress == Egress::Public)
}

fn targets(wire: &Wire<'_>, seen: &Observation) -> Vec<Target> {
    let of_it =
        |key: &InstanceKey| key.lease == wire.to.lease && key.service == wire.rule.to.service;
    let serving = seen.instances.iter().filter(|(key, one)| of_it(key) && one.is_serving());
    serving
        .filter_map(|(key, instance)| {
            let (netns, address) = instance.way_to(wire.rule.target_port)?;
            Some(Target {
                instance: key.to_string(),
                link: instance.link.as_ref()?.name.clone(),
                netns,
                address,
                hop: instance.place.hop.clone(),
            })
        })
        .take(MAX_TARGETS_PER_ROUTE)
        .collect()
}

fn told(wire: &Wire<'_>, direction: Direction, descriptor: &str, roots: &[PeerRoot]) -> Told {
    let end = |lease: &KnownLease, service: &str| ToldEnd {
        lease: lease.lease.clone(),
        provider: lease.provider.clone(),
        placement: lease.group.clone(),
        service: service.into(),
    };
    Told {
        deployment: wire.deployment.into(),
        direction,
        descriptor: descriptor.into(),
        from: end(wire.from, &wire.rule.from.service),
        to: end(wire.to, &wire.rule.to.service),
        port: wire.rule.port,
        transport: wire.rule.transport,
        endpoints: vec![],
        peer_roots: roots.iter().map(|root| stoa_tunnel::hop::fingerprint(&root.0)).collect(),
        not_after: None,
        certificate: vec![],
        problem: String::new(),
        status: None,
    }
}

/// Where this host reaches a place of its own.
fn own_endpoint(listen: &SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port()).to_string()
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
