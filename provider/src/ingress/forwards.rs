//! The forwarded ports, made of what is to be served, what runs, and which
//! ports and addresses are claimed. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use stoa_client::proto::gateway::v1::ForwardedPort;
use stoa_manifest::{EndpointKind, Expose, Proto};
use stoa_tunnel::routes::{Forward, HostAddress, Transport};

use super::claims::{Claims, IpKey, PortKey};
use super::table::{targets, Service};
use crate::config::Config;
use crate::runtime::Observation;

/// What is claimed for services.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub ports: Vec<PortKey>,
    pub ips: Vec<IpKey>,
}

/// Forwards, and what tenants are told of them.
#[derive(Debug, Default)]
pub struct Forwarded {
    pub forwards: Vec<Forward>,
    pub addresses: Vec<HostAddress>,
    /// By lease and service; with where the data plane is to listen.
    pub told: BTreeMap<(String, String), Vec<Told>>,
}

/// A port, told to its tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub port: ForwardedPort,
    /// `None` where no port or address could be had.
    pub listen: Option<(Transport, SocketAddr)>,
}

/// What services are to have.
pub fn wanted(services: &[Service]) -> Wanted {
    let mut wanted = Wanted::default();
    for (service, expose) in exposed(services) {
        for endpoint in expose.endpoints() {
            match endpoint.kind {
                EndpointKind::SharedHttp => {}
                EndpointKind::RandomPort => {
                    let key = port_key(service, expose);
                    if !wanted.ports.contains(&key) {
                        wanted.ports.push(key);
                    }
                }
                EndpointKind::LeasedIp => {
                    let key = ip_key(service, expose);
                    if !wanted.ips.contains(&key) {
                        wanted.ips.push(key);
                    }
                }
            }
        }
    }
    wanted
}

/// Builds all forwards. Where two services want one port of an address, the
/// first in order has it.
pub fn build(
    services: &[Service],
    seen: &Observation,
    claims: &Claims,
    config: &Config,
) -> Forwarded {
    let mut out = Forwarded::default();
    let mut taken: BTreeSet<(Transport, SocketAddr)> = BTreeSet::new();
    for (service, expose) in exposed(services) {
        for endpoint in expose.endpoints() {
            let mut told = match endpoint.kind {
                EndpointKind::SharedHttp => continue,
                EndpointKind::RandomPort => random_port(service, expose, claims, config),
                EndpointKind::LeasedIp => leased_ip(service, expose, claims),
            };
            match told.listen {
                Some(listen) if taken.insert(listen) => out.forwards.push(Forward {
                    transport: listen.0,
                    listen: listen.1,
                    targets: targets(&service.lease, &service.service, expose, seen),
                }),
                // The same endpoint twice is one.
                Some(_) if endpoint.kind == EndpointKind::RandomPort => continue,
                Some(_) => {
                    told.listen = None;
                    told.port.problem = "another service has this port of the address".into();
                }
                None => {}
            }
            let of = (service.lease.clone(), service.service.name.clone());
            out.told.entry(of).or_default().push(told);
        }
    }
    if !config.ips.interface.is_empty() {
        let interface = &config.ips.interface;
        let address = |address| HostAddress { interface: interface.clone(), address };
        out.addresses = claims.ips().into_iter().map(address).collect();
    }
    out
}

/// Everything that the world may reach.
fn exposed(services: &[Service]) -> impl Iterator<Item = (&Service, &Expose)> {
    services.iter().flat_map(|service| service.service.expose.iter().map(move |e| (service, e)))
}

fn port_key(service: &Service, expose: &Expose) -> PortKey {
    PortKey {
        lease: service.lease.clone(),
        service: service.service.name.clone(),
        port: expose.port,
        external: expose.outside_port(),
        transport: transport(expose),
    }
}

fn ip_key(service: &Service, expose: &Expose) -> IpKey {
    IpKey { lease: service.lease.clone(), sequence: expose.endpoint_sequence_number }
}

fn transport(expose: &Expose) -> Transport {
    match expose.proto {
        Proto::Tcp => Transport::Tcp,
        Proto::Udp => Transport::Udp,
    }
}

fn random_port(service: &Service, expose: &Expose, claims: &Claims, config: &Config) -> Told {
    let transport = transport(expose);
    let mut port = described(expose, transport);
    let Some(host_port) = claims.port(&port_key(service, expose)) else {
        port.problem = "this provider has no free port now; it tries again".into();
        return Told { port, listen: None };
    };
    port.host = config.ports_host().into();
    port.host_port = host_port.into();
    let listen = SocketAddr::new(config.ports.listen, host_port);
    Told { port, listen: Some((transport, listen)) }
}

fn leased_ip(service: &Service, expose: &Expose, claims: &Claims) -> Told {
    let transport = transport(expose);
    let mut port = ForwardedPort { leased_ip: true, ..described(expose, transport) };
    let Some(address) = claims.ip(&ip_key(service, expose)) else {
        port.problem = "this provider has no free address now; it tries again".into();
        return Told { port, listen: None };
    };
    port.host = address.to_string();
    port.host_port = expose.outside_port().into();
    let listen = SocketAddr::new(address, expose.outside_port());
    Told { port, listen: Some((transport, listen)) }
}

fn described(expose: &Expose, transport: Transport) -> ForwardedPort {
    ForwardedPort {
        port: expose.port.into(),
        external_port: expose.outside_port().into(),
        transport: transport.to_string(),
        ..ForwardedPort::default()
    }
}

/// `tcp://host:port`; none where there is no port yet.
pub fn uri(port: &ForwardedPort) -> Option<String> {
    let host = match port.host.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
        _ => port.host.clone(),
    };
    (port.host_port > 0).then(|| format!("{}://{host}:{}", port.transport, port.host_port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{config, manifest};

    const SDL: &str = r#"
version: "2.1"
services:
  dns:
    image: bind
    expose:
      - {port: 53, proto: udp, to: [{global: true}]}
      - {port: 53, as: 5353, to: [{global: true, ip: front}]}
      - {port: 9, to: [{service: web}]}
  web:
    image: nginx
    expose:
      - {port: 80, to: [{global: true, ip: front}]}
      - {port: 81, as: 5354, to: [{global: true, ip: front}]}
profiles:
  compute:
    small: {resources: {cpu: {units: 1}, memory: {size: 64Mi}, storage: {size: 64Mi}}}
  placement: {here: {pricing: {small: {denom: ustoa, amount: 1}}}}
deployment:
  dns: {here: {profile: small, count: 1}}
  web: {here: {profile: small, count: 1}}
endpoints: {front: {kind: ip}}
"#;

    #[test]
    fn ports_are_random_and_a_leased_address_is_shared_by_its_services() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config();
        config.data_dir = dir.path().into();
        config.ports.registry = dir.path().join("registry");
        config.ports.range = "30000-32767".into();
        config.ips.pool = vec!["192.0.2.7".parse().unwrap()];
        config.ips.interface = "eth9".into();
        let manifest = manifest(SDL);
        let service =
            |s: &stoa_manifest::Service| Service { lease: "t/1/1/1/p".into(), service: s.clone() };
        let mut services: Vec<Service> = manifest.groups[0].services.iter().map(service).collect();
        // The SDL's reader refuses it; a manifest of another make may say it.
        let web = &mut services[1].service.expose;
        web.iter_mut().find(|expose| expose.port == 81).unwrap().external_port = 5353;
        let wanted = wanted(&services);
        assert_eq!((wanted.ports.len(), wanted.ips.len()), (3, 1), "{wanted:?}");

        let mut claims = Claims::open(&config).unwrap();
        let none = build(&services, &Observation::default(), &claims, &config);
        assert!(none.forwards.is_empty());
        assert!(none.told.values().flatten().all(|told| !told.port.problem.is_empty()));
        claims.claim(&wanted.ports, &wanted.ips).unwrap();
        let built = build(&services, &Observation::default(), &claims, &config);
        let listens: Vec<String> =
            built.forwards.iter().map(|f| format!("{} {}", f.transport, f.listen)).collect();
        assert!(listens.contains(&"tcp 192.0.2.7:80".into()), "{listens:?}");
        assert!(listens.contains(&"tcp 192.0.2.7:5353".into()), "{listens:?}");
        assert_eq!(listens.iter().filter(|l| l.contains(" 0.0.0.0:")).count(), 3, "{listens:?}");
        assert_eq!(listens.iter().filter(|l| l.starts_with("udp")).count(), 1);
        assert_eq!(built.addresses.len(), 1);
        let problems: Vec<&Told> =
            built.told.values().flatten().filter(|t| !t.port.problem.is_empty()).collect();
        let [clash] = &problems[..] else { panic!("{problems:?}") };
        assert_eq!((clash.port.port, clash.port.leased_ip), (81, true));
        let dns = &built.told[&("t/1/1/1/p".to_string(), "dns".to_string())];
        let uris: Vec<String> = dns.iter().filter_map(|told| uri(&told.port)).collect();
        assert!(uris.contains(&"tcp://192.0.2.7:5353".to_string()), "{uris:?}");
        assert!(uris.iter().any(|uri| uri.starts_with("udp://provider.example:3")), "{uris:?}");
    }
}
