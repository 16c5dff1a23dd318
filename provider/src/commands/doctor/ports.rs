//! Where the world comes in: listeners, the ports and addresses that are sold,
//! and the gateway from outside.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use stoa_client::gateway::GatewayAddress;
use tokio::net::{TcpListener, TcpStream};

use super::Finding;
use crate::config::{Config, Ips};

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Which ports the kernel gives to connections of this host's own, and which
/// of them it leaves alone.
const LOCAL_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
const INTERFACES: &str = "/sys/class/net";

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        listener("gateway", config.gateway.listen).await,
        listener("ingress", config.ingress.listen).await,
    ];
    if let Some(address) = config.https.listen {
        findings.push(listener("ingress (https.listen)", address).await);
    }
    for address in &config.overlay.listen {
        findings.push(tunnels(*address).await);
    }
    if let Ok(Some(address)) = config.metrics_listen() {
        findings.push(listener("metrics", address).await);
    }
    if let Ok(Some(range)) = config.ports.range() {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        findings.push(sold(&range, &read(LOCAL_RANGE), &read(RESERVED)));
    }
    findings.extend(addresses(&config.ips, Path::new(INTERFACES)));
    findings.push(host_uri(config).await);
    findings
}

async fn listener(name: &str, address: SocketAddr) -> Finding {
    match probe(address).await {
        Ok(found) => Finding::good(&title(name), found),
        Err(error) => Finding::bad(
            &title(name),
            format!("{address}: {error}"),
            "choose another address, or end what has it",
        ),
    }
}

fn title(name: &str) -> String {
    format!("port of the {name}")
}

/// Whether somebody answers there, or could.
async fn probe(address: SocketAddr) -> std::io::Result<String> {
    let mut local = address;
    if address.ip().is_unspecified() {
        local.set_ip(IpAddr::from([127, 0, 0, 1]));
    }
    let connect = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(local)).await;
    if matches!(connect, Ok(Ok(_))) {
        return Ok(format!("{address} answers"));
    }
    TcpListener::bind(address).await?;
    Ok(format!("{address} is free; nobody answers there now"))
}

/// Tunnels are taken at several addresses, of which a machine may lack one
/// family's.
async fn tunnels(address: SocketAddr) -> Finding {
    let name = "tunnels (overlay.listen)";
    match probe(address).await {
        Ok(found) => Finding::good(&title(name), found),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::bad(
            &title(name),
            format!("{address}: {error}"),
            "choose another port in overlay.listen (and overlay.advertise), or end what has it: \
             workloads at other providers connect there",
        ),
        Err(error) => Finding::warning(
            &title(name),
            format!("{address}: {error}"),
            "take it out of overlay.listen, or give this machine such an address",
        ),
    }
}

/// Ports for sale must not be among those that the kernel gives to connections
/// of this host: one in use there cannot be listened on.
fn sold(range: &RangeInclusive<u16>, local: &str, reserved: &str) -> Finding {
    let name = "ports for sale (ports.range)";
    let shown = format!("{}-{}", range.start(), range.end());
    let mut bounds = local.split_whitespace().map(str::parse::<u16>);
    let (Some(Ok(first)), Some(Ok(last))) = (bounds.next(), bounds.next()) else {
        let remedy = "mount /proc: it says which ports this host's own connections take";
        return Finding::warning(name, format!("{shown}; {LOCAL_RANGE} cannot be read"), remedy);
    };
    let reserved = reserved.trim();
    let mut taken = range.clone().filter(|port| (first..=last).contains(port));
    match taken.find(|port| !is_reserved(*port, reserved)) {
        None => Finding::good(name, shown),
        Some(port) => {
            let all = [reserved, shown.as_str()].into_iter().filter(|part| !part.is_empty());
            let all = all.collect::<Vec<_>>().join(",");
            Finding::warning(
                name,
                format!(
                    "{shown}: the kernel gives {port} and others to connections of this host \
                     (ip_local_port_range is {first}-{last}), and what it gave cannot be sold"
                ),
                format!(
                    "sysctl -w net.ipv4.ip_local_reserved_ports={all}, and the same in \
                     /etc/sysctl.d; or choose another ports.range"
                ),
            )
        }
    }
}

/// In the kernel's list: `8080,9000-9010`.
fn is_reserved(port: u16, list: &str) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let bounds = (first.trim().parse::<u16>(), last.trim().parse::<u16>());
        matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&port))
    })
}

/// Whether leased addresses can be had here. Nothing where none are sold.
fn addresses(ips: &Ips, interfaces: &Path) -> Option<Finding> {
    let name = "addresses for sale (ips.pool)";
    if ips.pool.is_empty() {
        return None;
    }
    let count = ips.pool.len();
    if !ips.interface.is_empty() {
        return Some(interface(name, count, &ips.interface, interfaces));
    }
    let missing = ips.pool.iter().filter(|address| UdpSocket::bind((**address, 0)).is_err());
    let missing: Vec<String> = missing.map(IpAddr::to_string).collect();
    Some(match missing.first() {
        None => Finding::good(name, format!("{count}, which this host has")),
        Some(first) => Finding::bad(
            name,
            format!("this host does not have {}", missing.join(", ")),
            format!(
                "ip address add {first}/{} dev INTERFACE; or name one in ips.interface, and the \
                 daemon puts each there while it is leased",
                if first.parse::<Ipv4Addr>().is_ok() { 32 } else { 128 }
            ),
        ),
    })
}

fn interface(name: &str, count: usize, interface: &str, interfaces: &Path) -> Finding {
    let state = std::fs::read_to_string(interfaces.join(interface).join("operstate"));
    match state.as_deref().map(str::trim) {
        // Loopback and its like have no state.
        Ok("up" | "unknown") => Finding::good(name, format!("{count}, on {interface}")),
        Ok(state) => Finding::bad(
            name,
            format!("the interface {interface} is {state}"),
            format!("ip link set {interface} up, or name another in ips.interface"),
        ),
        Err(_) => {
            let listing = std::fs::read_dir(interfaces).into_iter().flatten().flatten();
            let names = listing.map(|entry| entry.file_name().to_string_lossy().into_owned());
            let mut names: Vec<String> = names.collect();
            names.sort();
            Finding::bad(
                name,
                format!("this host has no interface {interface}"),
                format!("name one in ips.interface; there are {}", names.join(", ")),
            )
        }
    }
}

async fn host_uri(config: &Config) -> Finding {
    let (name, uri) = ("address for tenants", &config.gateway.host_uri);
    let address = match GatewayAddress::parse(uri) {
        Ok(address) => address,
        Err(error) => return Finding::bad(name, error.to_string(), "correct gateway.host_uri"),
    };
    let connect = TcpStream::connect((address.host.as_str(), address.port));
    match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(Ok(_)) => Finding::good(name, format!("{uri} takes connections")),
        Ok(Err(error)) => unreached(name, uri, &error.to_string()),
        Err(_) => unreached(name, uri, "no answer"),
    }
}

fn unreached(name: &str, uri: &str, why: &str) -> Finding {
    Finding::warning(
        name,
        format!("{uri} cannot be reached from here: {why}"),
        "start the daemon; check the name's DNS record and the firewall",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::tests_support::config;

    #[tokio::test]
    async fn a_port_is_good_free_or_answered_and_bad_where_it_cannot_be_had() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        assert!(listener("x", address).await.found.contains("answers"));
        drop(taken);
        assert_eq!(listener("x", address).await.verdict, Verdict::Good);
        // An address of documentation's, which no machine has.
        let foreign = listener("x", "192.0.2.1:80".parse().unwrap()).await;
        assert_eq!(foreign.verdict, Verdict::Bad);
    }

    /// Neither was looked at.
    #[tokio::test]
    async fn the_ports_of_https_and_of_tunnels_are_looked_at_too() {
        let mut config = config();
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        // Bound and not listening: nobody answers, and nobody can have it.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(free).unwrap();
        let held = socket.local_addr().unwrap();
        (config.gateway.listen, config.ingress.listen) = (free, free);
        config.metrics.listen.clear();
        config.gateway.host_uri = "https://127.0.0.1:1".into();
        config.https.listen = Some(held);
        config.overlay.listen = vec![held, "192.0.2.1:8444".parse().unwrap()];
        let findings = look(&config).await;
        let of = |part: &str| {
            let found = findings.iter().filter(|finding| finding.name.contains(part));
            found.map(|finding| finding.verdict).collect::<Vec<_>>()
        };
        assert_eq!(of("https.listen"), [Verdict::Bad], "{findings:?}");
        assert_eq!(of("overlay.listen"), [Verdict::Bad, Verdict::Warning], "{findings:?}");
        assert!(findings.iter().all(|f| f.verdict == Verdict::Good || !f.remedy.is_empty()));
    }

    #[test]
    fn ports_for_sale_that_the_kernel_gives_away_itself_are_told() {
        let range = 30000..=32767;
        let at = |local: &str, reserved: &str| sold(&range, local, reserved);
        assert_eq!(at("32768\t60999\n", "\n").verdict, Verdict::Good);
        let shared = at("1024\t65535\n", "\n");
        assert_eq!(shared.verdict, Verdict::Warning);
        assert!(shared.remedy.contains("reserved_ports=30000-32767,"), "{shared:?}");
        assert_eq!(at("1024 65535", "30000-32767\n").verdict, Verdict::Good);
        assert_eq!(at("1024 65535", "80,29000-31000, 31001-32767").verdict, Verdict::Good);
        let partly = at("32000 60999", "8080,30000-32766\n");
        assert!(partly.found.contains("32767 and others"), "{partly:?}");
        assert!(partly.remedy.contains("=8080,30000-32766,30000-32767,"), "{partly:?}");
        assert_eq!(at("", "").verdict, Verdict::Warning);
    }

    #[test]
    fn addresses_for_sale_that_this_host_cannot_have_are_told() {
        let interfaces = tempfile::tempdir().unwrap();
        for (name, state) in [("eth0", "up\n"), ("eth1", "down\n")] {
            std::fs::create_dir(interfaces.path().join(name)).unwrap();
            std::fs::write(interfaces.path().join(name).join("operstate"), state).unwrap();
        }
        let at = |pool: &[&str], interface: &str| {
            let pool = pool.iter().map(|address| address.parse().unwrap()).collect();
            addresses(&Ips { pool, interface: interface.into() }, interfaces.path())
        };
        assert_eq!(at(&[], ""), None);
        assert_eq!(at(&["127.0.0.1"], "").unwrap().verdict, Verdict::Good);
        let foreign = at(&["127.0.0.1", "192.0.2.1"], "").unwrap();
        assert_eq!(foreign.verdict, Verdict::Bad);
        assert!(foreign.found.ends_with("have 192.0.2.1"), "{foreign:?}");
        assert!(foreign.remedy.contains("192.0.2.1/32"), "{foreign:?}");
        assert_eq!(at(&["192.0.2.1"], "eth0").unwrap().verdict, Verdict::Good);
        let down = at(&["192.0.2.1"], "eth1").unwrap();
        assert_eq!(down.verdict, Verdict::Bad);
        assert!(down.remedy.contains("ip link set eth1 up"), "{down:?}");
        let none = at(&["192.0.2.1"], "eth2").unwrap();
        assert_eq!(none.verdict, Verdict::Bad);
        assert!(none.remedy.contains("eth0, eth1"), "{none:?}");
    }
}
