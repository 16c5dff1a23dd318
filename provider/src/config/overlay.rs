//! Connections between workloads across providers.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use stoa_client::gateway::GatewayAddress;
use stoa_tunnel::overlay::{is_endpoint, MAX_ENDPOINTS};

/// Where tunnels are taken by default.
const PORT: u16 = 8444;
/// An update's old connections hold so long.
const OVERLAP_SECONDS: u64 = 600;
const CERTIFICATE_SECONDS: u64 = 24 * 3600;

/// The overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overlay {
    /// Where the data plane takes other providers' tunnels.
    pub listen: Vec<SocketAddr>,
    /// `host:port` as other providers reach it; empty: the gateway's host
    /// and the port of the first `listen`.
    pub advertise: Vec<String>,
    /// `host:port` as this provider's own further machines reach it; empty:
    /// the address by which this machine reaches each of them, and the port
    /// of a `listen` that is there.
    pub advertise_inside: Vec<String>,
    /// DNS servers that workloads' questions for public names are sent to;
    /// empty: the system's, of which only public addresses are passed on.
    pub resolvers: Vec<SocketAddr>,
    /// Connections that only the version before had are kept so long after
    /// an update.
    pub update_overlap_seconds: u64,
    /// How long a tunnel's certificate lives; a new one takes its place when
    /// half of it is over.
    pub certificate_seconds: u64,
}

impl Default for Overlay {
    fn default() -> Self {
        Self {
            listen: vec![
                (Ipv4Addr::UNSPECIFIED, PORT).into(),
                (Ipv6Addr::UNSPECIFIED, PORT).into(),
            ],
            advertise: vec![],
            advertise_inside: vec![],
            resolvers: vec![],
            update_overlap_seconds: OVERLAP_SECONDS,
            certificate_seconds: CERTIFICATE_SECONDS,
        }
    }
}

impl Overlay {
    /// How other providers reach the tunnels, for a gateway of this address.
    /// Behind a relay all comes through the one port that it listens at.
    pub(super) fn endpoints(&self, host_uri: &str, relayed: bool) -> Vec<String> {
        if !self.advertise.is_empty() {
            return self.advertise.clone();
        }
        let port = self.listen.first().map_or(PORT, SocketAddr::port);
        let gateway = GatewayAddress::parse(host_uri).ok();
        let port = |gateway: &GatewayAddress| if relayed { gateway.port } else { port };
        gateway.into_iter().map(|one| host_and_port(&one.host, port(&one))).collect()
    }

    /// What is wrong with it, in words.
    pub(super) fn problem(&self) -> Option<String> {
        if self.listen.is_empty() || self.listen.iter().any(|listen| listen.port() == 0) {
            return Some("overlay.listen: at least one address with a port".into());
        }
        for (name, told) in
            [("advertise", &self.advertise), ("advertise_inside", &self.advertise_inside)]
        {
            if told.len() > MAX_ENDPOINTS {
                return Some(format!("overlay.{name}: at most {MAX_ENDPOINTS}"));
            }
            if let Some(bad) = told.iter().find(|one| !is_endpoint(one)) {
                return Some(format!("overlay.{name}: `{bad}` is not host:port"));
            }
        }
        if self.certificate_seconds < 60 {
            return Some("overlay.certificate_seconds: at least 60".into());
        }
        None
    }
}

/// With an IPv6 address in brackets.
fn host_and_port(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_told_the_gateways_host_unless_the_operator_says_another() {
        let usual = Overlay::default();
        assert_eq!(usual.endpoints("https://p.example:8443", false), ["p.example:8444"]);
        assert_eq!(usual.endpoints("https://[2001:db8::1]", false), ["[2001:db8::1]:8444"]);
        assert_eq!(usual.endpoints("https://relay.example:30007", true), ["relay.example:30007"]);
        let said = Overlay { advertise: vec!["t.example:1".into()], ..usual.clone() };
        assert_eq!(said.endpoints("https://p.example", false), ["t.example:1"]);
        assert_eq!(said.endpoints("https://p.example", true), ["t.example:1"]);
        assert_eq!(said.problem(), None);
        for bad in ["t.example", ":1", "t.example:0", "t.example:x"] {
            let wrong = Overlay { advertise: vec![bad.into()], ..usual.clone() };
            assert!(wrong.problem().is_some(), "{bad}");
            let wrong = Overlay { advertise_inside: vec![bad.into()], ..usual.clone() };
            assert!(wrong.problem().is_some_and(|why| why.contains("inside")), "{bad}");
        }
        assert!(Overlay { listen: vec![], ..usual }.problem().is_some());
    }
}
