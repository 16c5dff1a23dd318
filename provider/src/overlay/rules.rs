//! Which services a manifest joins. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stoa_manifest::{Manifest, Proto};
use stoa_tunnel::routes::Transport;

/// A service at a placement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tier {
    pub group: String,
    pub service: String,
}

/// `expose … to: [{service: X}]` on Y: X may connect to Y.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// X, that dials the name of Y.
    pub from: Tier,
    /// Y.
    pub to: Tier,
    /// The port that X dials.
    pub port: u16,
    /// The port that Y listens on.
    pub target_port: u16,
    pub transport: Transport,
}

/// A rule as a manifest says it, in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Declared<'a> {
    /// Group and service.
    pub(super) from: (&'a str, &'a str),
    pub(super) to: (&'a str, &'a str),
    pub(super) port: u16,
    pub(super) target_port: u16,
    pub(super) is_udp: bool,
}

impl Declared<'_> {
    pub(super) fn rule(&self) -> Rule {
        let tier = |(group, service): (&str, &str)| tier(group, service);
        Rule {
            from: tier(self.from),
            to: tier(self.to),
            port: self.port,
            target_port: self.target_port,
            transport: if self.is_udp { Transport::Udp } else { Transport::Tcp },
        }
    }
}

/// Hands over all that a manifest declares, wherever the two services are
/// placed: a service that is at several placements has as many ends. One may
/// come twice.
pub(super) fn declared<'a>(manifest: &'a Manifest, mut take: impl FnMut(Declared<'a>)) {
    let mut placed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in &manifest.groups {
        for service in &group.services {
            placed.entry(&service.name).or_default().push(&group.name);
        }
    }
    for group in &manifest.groups {
        for to in &group.services {
            for expose in to.expose.iter().filter(|e| !e.global && !e.service.is_empty()) {
                for from in placed.get(expose.service.as_str()).into_iter().flatten() {
                    take(Declared {
                        from: (from, &expose.service),
                        to: (&group.name, &to.name),
                        port: expose.outside_port(),
                        target_port: expose.port,
                        is_udp: expose.proto == Proto::Udp,
                    });
                }
            }
        }
    }
}

fn tier(group: &str, service: &str) -> Tier {
    Tier { group: group.into(), service: service.into() }
}

/// The canonical text of a tunnel: the same at both ends, and another for any
/// other pair of leases, services, port or transport.
pub fn descriptor(rule: &Rule, from_lease: &str, to_lease: &str) -> String {
    let (from, to) = (&rule.from.service, &rule.to.service);
    format!("stoa-tunnel/1 {from_lease} {from} > {to_lease} {to} {}/{}", rule.port, rule.transport)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::manifest;

    fn rules(manifest: &Manifest) -> Vec<Rule> {
        let mut all = vec![];
        declared(manifest, |one| all.push(one.rule()));
        all
    }

    const SDL: &str = r#"
version: "2.0"
services:
  web:
    image: nginx
    expose:
      - {port: 80, to: [{global: true}]}
  api:
    image: api
    expose:
      - {port: 8080, as: 80, to: [{service: web}]}
      - {port: 53, proto: udp, to: [{service: web}, {service: api}]}
profiles:
  compute: {one: {resources: {cpu: {units: 1}, memory: {size: 64Mi}, storage: {size: 64Mi}}}}
  placement:
    here: {pricing: {one: {denom: ustoa, amount: 1}}}
    there: {pricing: {one: {denom: ustoa, amount: 1}}}
deployment:
  web: {here: {profile: one, count: 1}}
  api: {here: {profile: one, count: 1}, there: {profile: one, count: 2}}
"#;

    #[test]
    fn a_rule_joins_the_two_services_wherever_they_are_placed() {
        let all = rules(&manifest(SDL));
        let text = |rule: &Rule| {
            let Rule { from, to, port, target_port, transport } = rule;
            format!(
                "{}@{} {}@{} {port} {target_port} {transport}",
                from.service, from.group, to.service, to.group
            )
        };
        let mut texts: Vec<String> = all.iter().map(text).collect();
        texts.sort();
        assert_eq!(
            texts,
            [
                "api@here api@here 53 53 udp",
                "api@here api@there 53 53 udp",
                "api@there api@here 53 53 udp",
                "api@there api@there 53 53 udp",
                "web@here api@here 53 53 udp",
                "web@here api@here 80 8080 tcp",
                "web@here api@there 53 53 udp",
                "web@here api@there 80 8080 tcp",
            ]
        );
    }

    #[test]
    fn a_descriptor_names_both_ends_the_port_and_the_transport() {
        let rules = rules(&manifest(SDL));
        let http = rules.iter().find(|rule| rule.port == 80 && rule.to.group == "there").unwrap();
        // Golden: both ends of a tunnel must come to the same text.
        assert_eq!(
            descriptor(http, "t/1/1/1/p", "t/1/2/1/q"),
            "stoa-tunnel/1 t/1/1/1/p web > t/1/2/1/q api 80/tcp"
        );
    }
}
