//! Names: those under which browsers find workloads, and where workloads'
//! questions about public names go.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use stoa_tunnel::overlay::{host_resolvers, is_public_address};

use super::ports::CONNECT_TIMEOUT;
use super::Finding;
use crate::config::Config;

/// Any name under the domain will do; nobody has this one.
const PROBE: &str = "stoa-doctor";

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let domain = &config.ingress.domain;
    let name = format!("{PROBE}.{domain}");
    let asked = tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::lookup_host((name, 0))).await;
    let found = match asked {
        Ok(Ok(addresses)) => Ok(addresses.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".into()),
    };
    vec![wildcard(domain, found), resolvers(&config.overlay.resolvers, &host_resolvers())]
}

/// What a name under the domain leads to.
fn wildcard(domain: &str, found: Result<BTreeSet<IpAddr>, String>) -> Finding {
    let name = "names of workloads (ingress.domain)";
    let why = match found {
        Ok(addresses) if !addresses.is_empty() => {
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            let found = format!("*.{domain} leads to {}", addresses.join(", "));
            return Finding::good(name, found);
        }
        Ok(_) => "no address".into(),
        Err(error) => error,
    };
    Finding::warning(
        name,
        format!("{PROBE}.{domain} is not found: {why}"),
        format!(
            "add a DNS record `*.{domain}` with the address where the ingress is reached: without \
             it no browser finds a workload"
        ),
    )
}

/// Where workloads' questions go. The host's own resolver may know an internal
/// network's names.
fn resolvers(configured: &[SocketAddr], of_host: &[SocketAddr]) -> Finding {
    let name = "public names for workloads (overlay.resolvers)";
    let remedy = "name public DNS servers: overlay.resolvers = [\"9.9.9.9:53\"]";
    let shown = |servers: &[SocketAddr]| {
        servers.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
    };
    if !configured.is_empty() {
        return Finding::good(name, shown(configured));
    }
    if of_host.is_empty() {
        let found = "none is named, and this host has none: no public name is found";
        return Finding::warning(name, found, remedy);
    }
    if of_host.iter().any(|server| !is_public_address(server.ip())) {
        let found = format!(
            "they are asked for at this host's own resolver, {}, which may know internal names; \
             nothing but public addresses is passed on",
            shown(of_host)
        );
        return Finding::warning(name, found, remedy);
    }
    Finding::good(name, format!("{}, this host's own", shown(of_host)))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_domain_without_a_wildcard_in_dns_is_told_with_the_record_to_add() {
        let good = wildcard("p.example", Ok(["192.0.2.1".parse().unwrap()].into()));
        assert_eq!(good.verdict, Verdict::Good);
        assert!(good.found.contains("192.0.2.1"), "{good:?}");
        for none in [Ok(BTreeSet::new()), Err("no such name".to_owned())] {
            let finding = wildcard("p.example", none);
            assert_eq!(finding.verdict, Verdict::Warning);
            assert!(finding.remedy.contains("`*.p.example`"), "{finding:?}");
        }
    }

    #[test]
    fn a_private_resolver_of_the_hosts_is_a_warning_until_others_are_named() {
        let servers = |all: &[&str]| -> Vec<SocketAddr> {
            all.iter().map(|server| server.parse().unwrap()).collect()
        };
        let named = servers(&["10.0.0.53:53"]);
        assert_eq!(resolvers(&named, &[]).verdict, Verdict::Good, "the operator says so");
        for private in ["10.0.0.53:53", "127.0.0.53:53", "[fd00::1]:53"] {
            let finding = resolvers(&[], &servers(&["9.9.9.9:53", private]));
            assert_eq!(finding.verdict, Verdict::Warning, "{private}");
            assert!(finding.remedy.contains("overlay.resolvers"), "{finding:?}");
        }
        assert_eq!(resolvers(&[], &servers(&["9.9.9.9:53"])).verdict, Verdict::Good);
        assert_eq!(resolvers(&[], &[]).verdict, Verdict::Warning);
    }
}
