//! The route table, made of what is to be served and what runs. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use stoa_manifest::{Expose, HttpOptions as ManifestOptions};
use stoa_tunnel::routes::{
    is_host_name, HttpOptions, NextCase, Route, Target, MAX_HOSTS_PER_ROUTE, MAX_TARGETS_PER_ROUTE,
};

use super::hosts::generated_host;
use super::names::{token, Claim};
use crate::runtime::{InstanceKey, Observation, ObservedInstance};

/// A service of a live lease whose manifest was accepted.
#[derive(Debug, Clone)]
pub struct Service {
    /// The lease's id as text.
    pub lease: String,
    pub service: stoa_manifest::Service,
}

/// Routes, and what tenants are told of them.
#[derive(Debug, Default)]
pub struct Table {
    pub routes: Vec<Route>,
    /// Host names by lease and service.
    pub hosts: BTreeMap<(String, String), Vec<String>>,
}

/// Builds the whole table. Of the names that tenants have chosen, those are
/// served of which `serves` says so, by lease and host.
pub fn build(
    services: &[Service],
    seen: &Observation,
    domain: &str,
    serves: &dyn Fn(&str, &str) -> bool,
) -> Table {
    let mut table = Table::default();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for Service { lease, service } in services {
        let mut generated = Some(generated_host(&service.name, lease, domain));
        for expose in service.expose.iter().filter(|expose| expose.is_ingress()) {
            let chosen = chosen(expose).filter(|host| {
                may_choose(host, domain) && serves(lease, host) && !taken.contains(host)
            });
            let mut hosts: Vec<String> = generated.take().into_iter().chain(chosen).collect();
            hosts.dedup();
            hosts.truncate(MAX_HOSTS_PER_ROUTE);
            if hosts.is_empty() {
                continue;
            }
            taken.extend(hosts.iter().cloned());
            let told = table.hosts.entry((lease.clone(), service.name.clone())).or_default();
            told.extend(hosts.iter().cloned());
            table.routes.push(Route {
                hosts,
                http: options(&expose.http_options),
                targets: targets(lease, service, expose, seen),
            });
        }
    }
    table
}

/// The names that tenants have chosen: those whose proof is to be looked at,
/// and by lease and service all that are to be told of.
pub fn chosen_names(services: &[Service], domain: &str) -> (BTreeSet<Claim>, ChosenNames) {
    let (mut claims, mut all) = (BTreeSet::new(), ChosenNames::new());
    for Service { lease, service } in services {
        for host in service.expose.iter().filter(|e| e.is_ingress()).flat_map(chosen) {
            if may_choose(&host, domain) {
                claims.insert(Claim {
                    lease: lease.clone(),
                    generated: generated_host(&service.name, lease, domain),
                    token: token(&host, lease),
                    host: host.clone(),
                });
            }
            all.entry((lease.clone(), service.name.clone())).or_default().push(host);
        }
    }
    (claims, all)
}

/// Names by lease and service.
pub type ChosenNames = BTreeMap<(String, String), Vec<String>>;

fn chosen(expose: &Expose) -> impl Iterator<Item = String> + '_ {
    expose.hosts.iter().flatten().map(|host| host.to_ascii_lowercase())
}

/// A name under the provider's own domain is never a tenant's to choose.
pub fn may_choose(host: &str, domain: &str) -> bool {
    let own = host == domain || host.ends_with(&format!(".{domain}"));
    is_host_name(host) && !own
}

pub(super) fn targets(
    lease: &str,
    service: &stoa_manifest::Service,
    expose: &Expose,
    seen: &Observation,
) -> Vec<Target> {
    let wanted = |key: &InstanceKey| {
        key.lease == lease && key.service == service.name && key.index < service.count
    };
    seen.instances
        .iter()
        .filter(|(key, instance)| wanted(key) && instance.is_serving())
        .filter_map(|(key, instance)| target(key, instance, expose.port))
        .take(MAX_TARGETS_PER_ROUTE)
        .collect()
}

fn target(key: &InstanceKey, seen: &ObservedInstance, port: u16) -> Option<Target> {
    let link = seen.link.as_ref()?;
    let address = seen.network.as_ref()?.workload_address?;
    Some(Target {
        instance: key.to_string(),
        link: link.name.clone(),
        netns: link.netns.clone()?,
        address: SocketAddr::new(IpAddr::V4(address), port),
        hop: seen.place.hop.clone(),
    })
}

fn options(manifest: &ManifestOptions) -> HttpOptions {
    let cases = manifest.next_cases.iter().filter_map(|case| {
        serde_json::from_value::<NextCase>(serde_json::Value::String(case.clone())).ok()
    });
    HttpOptions {
        max_body_size: u64::from(manifest.max_body_size),
        read_timeout: manifest.read_timeout,
        send_timeout: manifest.send_timeout,
        next_tries: manifest.next_tries,
        next_timeout: manifest.next_timeout,
        next_cases: cases.collect(),
        proxy_buffer_size: manifest.proxy_buffer_size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{manifest, observed, service_goal};

    const SDL: &str = r#"
version: "2.0"
services:
  web:
    image: nginx
    expose:
      - {port: 8080, as: 80, accept: [shop.example, x.p0.test], to: [{global: true}],
         http_options: {next_cases: ["503"], max_body_size: 7}}
      - {port: 9090, to: [{service: web}]}
profiles:
  compute: {web: {resources: {cpu: {units: 1}, memory: {size: 64Mi}, storage: {size: 64Mi}}}}
  placement: {here: {pricing: {web: {denom: ustoa, amount: 1}}}}
deployment: {web: {here: {profile: web, count: 2}}}
"#;

    fn services(leases: &[&str]) -> Vec<Service> {
        let service = manifest(SDL).groups[0].services[0].clone();
        let of = |lease: &&str| Service { lease: lease.to_string(), service: service.clone() };
        leases.iter().map(of).collect()
    }

    #[test]
    fn an_exposed_service_gets_its_names_and_ready_targets() {
        let mut seen = Observation::default();
        for spec in service_goal("web", 3, "a").instances {
            seen.instances.insert(spec.key.clone(), observed(&spec, 1));
        }
        let lease = seen.instances.keys().next().unwrap().lease.clone();
        let starting = InstanceKey { lease: lease.clone(), service: "web".into(), index: 1 };
        seen.instances.get_mut(&starting).unwrap().link.as_mut().unwrap().netns = None;
        let table = build(&services(&[&lease]), &seen, "p0.test", &|_, _| true);
        let [route] = &table.routes[..] else { panic!("{table:?}") };
        assert_eq!(route.hosts, [generated_host("web", &lease, "p0.test"), "shop.example".into()]);
        assert_eq!(route.http.max_body_size, 7);
        assert_eq!(route.http.next_cases, [NextCase::Status503]);
        // One has no namespace yet, one is surplus.
        assert_eq!(route.targets.len(), 1);
        assert_eq!(route.targets[0].address.port(), 8080);
        assert_eq!(table.hosts[&(lease, "web".to_string())], route.hosts);
    }

    #[test]
    fn a_chosen_name_leads_where_it_is_proven_and_never_under_the_providers_domain() {
        let seen = Observation::default();
        let both = services(&["a/1/1/1/p", "b/1/1/1/p"]);
        let (claims, all) = chosen_names(&both, "p0.test");
        assert_eq!(claims.len(), 2, "{claims:?}");
        assert!(claims.iter().all(|claim| claim.host == "shop.example"));
        let told = &all[&("a/1/1/1/p".to_string(), "web".to_string())];
        assert_eq!(told, &["shop.example", "x.p0.test"]);
        let of = |serves: &dyn Fn(&str, &str) -> bool| -> Vec<usize> {
            let table = build(&both, &seen, "p0.test", serves);
            table.routes.iter().map(|route| route.hosts.len()).collect()
        };
        assert_eq!(of(&|_, _| false), [1, 1]);
        assert_eq!(of(&|lease, _| lease == "b/1/1/1/p"), [1, 2]);
        // Should both ever be said to have it, the table still has it once.
        assert_eq!(of(&|_, _| true), [2, 1]);
    }

    #[test]
    fn generated_names_are_host_names() {
        let long = "a".repeat(63);
        let host = generated_host(&long, "t/1/1/1/p", "p0.test");
        assert!(is_host_name(&host), "{host}");
        assert_ne!(host, generated_host(&long, "t/1/2/1/p", "p0.test"));
    }
}
