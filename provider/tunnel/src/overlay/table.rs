//! The overlay's part of the route table: which local workloads may dial
//! what, which tunnels end here, and the keys that both show.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::name;
use crate::routes::{is_host_name, Target, Transport, MAX_TARGETS_PER_ROUTE};

/// Bounds on a table.
pub const MAX_OVERLAY_LISTEN: usize = 16;
pub const MAX_LINKS: usize = 4_096;
/// Names, and ports, of one link.
pub const MAX_LINK_ENTRIES: usize = 256;
/// Virtual addresses of one link; a /28 has room for eleven.
pub const MAX_LINK_ADDRESSES: usize = 64;
/// Outgoing tunnels, and incoming ones, each.
pub const MAX_TUNNELS: usize = 8_192;
pub const MAX_BACKENDS: usize = 256;
pub const MAX_ENDPOINTS: usize = 16;
/// A provider's root, and the one that replaces it, and room to spare.
pub const MAX_PEER_ROOTS: usize = 4;
pub const MAX_RESOLVERS: usize = 8;
pub const MAX_DESCRIPTOR: usize = 1_024;
/// All together, about: the table fits a line of the control socket.
pub const MAX_OVERLAY_BYTES: usize = 40 << 20;
/// What the fields of one thing take in JSON, about.
const EACH: usize = 96;
const MAX_ID: usize = 256;
const MAX_ROOT: usize = 4_096;
const MAX_CHAIN: usize = 16 << 10;
const MAX_KEY: usize = 4 << 10;
const MAX_PATH: usize = 1_024;

/// The overlay at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayTable {
    /// Where other providers' data planes connect.
    pub listen: Vec<SocketAddr>,
    /// One for each local workload instance that may dial or look up.
    #[serde(default)]
    pub links: Vec<Link>,
    /// What local services may dial.
    #[serde(default)]
    pub outgoing: Vec<Connection>,
    /// What may be dialled here, by other providers and by this one itself.
    #[serde(default)]
    pub incoming: Vec<Served>,
    /// What this side shows of itself, for each tunnel of its own.
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// Where public names are looked up; where there is none, the host's own
    /// resolvers, of which nothing but public addresses is passed on.
    #[serde(default)]
    pub resolvers: Vec<SocketAddr>,
}

/// The network namespace beside one workload instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// For people and logs: `lease/service[index]`.
    pub instance: String,
    /// The link container's name.
    pub link: String,
    /// Its network namespace (the engine's `SandboxKey`).
    pub netns: PathBuf,
    /// Bits of the workload's subnet; virtual addresses get it on the
    /// interface.
    pub prefix: u8,
    /// The link's own address and port 53: names are answered there, over UDP
    /// and TCP.
    pub dns: SocketAddr,
    /// Public names are looked up; without it they do not exist.
    pub egress: bool,
    /// Domains under which the declared names are answered too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Declared names. Several may share an address.
    #[serde(default)]
    pub names: Vec<Name>,
    #[serde(default)]
    pub ports: Vec<Port>,
}

/// A name that the workload may look up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub name: String,
    /// A virtual address of the workload's subnet.
    pub address: IpAddr,
}

/// Where the workload dials a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// A virtual address of the workload's subnet.
    pub address: IpAddr,
    pub port: u16,
    pub transport: Transport,
    /// The id of a [`Connection`].
    pub connection: String,
}

/// What a local service may dial: one service, wherever its instances are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub id: String,
    /// Dialled in turn; those that failed a moment ago last.
    pub backends: Vec<Backend>,
}

/// One lease of the service that is dialled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    pub tunnel: TunnelId,
    /// `host:port` of the peer's data plane, the best first.
    pub endpoints: Vec<String>,
    /// The id of a [`Credential`].
    pub credential: String,
}

/// A tunnel that ends here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    pub tunnel: TunnelId,
    pub transport: Transport,
    /// The id of a [`Credential`].
    pub credential: String,
    /// The service's instances, all at the tunnel's port. May be empty.
    pub targets: Vec<Target>,
}

/// Which tunnel, and who may be at its other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelId {
    /// Canonical text of both leases, services, port and transport; the same
    /// at both ends. The name in both certificates is made of it
    /// ([`super::tunnel_name`]).
    pub descriptor: String,
    /// The peer's certificate must be signed by one of exactly these.
    pub peer_roots: Vec<PeerRoot>,
}

/// A root certificate, DER.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerRoot(#[serde(with = "hex")] pub Vec<u8>);

/// What this side shows in one tunnel. The same id with other contents is a
/// rotation: new handshakes use it, connections under way stay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub id: String,
    /// Certificates, PEM, the leaf first.
    pub chain: String,
    /// The leaf's private key, PKCS #8 in PEM. On disk in a file of mode 0600.
    pub key: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for PeerRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::hop::fingerprint(&self.0))
    }
}

impl OverlayTable {
    /// Refuses a table that could not be served, saying which part and why.
    pub fn validate(&self) -> Result<(), String> {
        at_most("overlay listeners", self.listen.len(), MAX_OVERLAY_LISTEN)?;
        at_most("links", self.links.len(), MAX_LINKS)?;
        at_most("incoming tunnels", self.incoming.len(), MAX_TUNNELS)?;
        at_most("credentials", self.credentials.len(), 2 * MAX_TUNNELS)?;
        at_most("resolvers", self.resolvers.len(), MAX_RESOLVERS)?;
        if let Some(bad) = self.listen.iter().find(|l| l.port() == 0 || l.ip().is_multicast()) {
            return Err(format!("{bad} cannot be listened on"));
        }
        let credentials = unique("credential", self.credentials.iter().map(|c| c.id.as_str()))?;
        self.credentials.iter().try_for_each(Credential::validate)?;
        let connections = unique("connection", self.outgoing.iter().map(|c| c.id.as_str()))?;
        self.validate_tunnels(&credentials)?;
        unique("link", self.links.iter().map(|l| l.link.as_str()))?;
        self.links.iter().try_for_each(|link| link.validate(&connections))?;
        at_most("bytes of overlay", self.bytes(), MAX_OVERLAY_BYTES)
    }

    fn validate_tunnels(&self, credentials: &HashSet<&str>) -> Result<(), String> {
        let known = |id: &str| match credentials.contains(id) {
            true => Ok(()),
            false => Err(format!("there is no credential {id:?}")),
        };
        at_most("connections", self.outgoing.len(), MAX_TUNNELS)?;
        let mut outgoing: HashMap<&str, &Backend> = HashMap::new();
        for connection in &self.outgoing {
            at_most("backends", connection.backends.len(), MAX_BACKENDS)?;
            for backend in &connection.backends {
                known(&backend.credential)?;
                backend.admit(outgoing.insert(&backend.tunnel.descriptor, backend))?;
            }
        }
        at_most("outgoing tunnels", outgoing.len(), MAX_TUNNELS)?;
        unique("incoming tunnel", self.incoming.iter().map(|s| s.tunnel.descriptor.as_str()))?;
        for served in &self.incoming {
            served.validate()?;
            known(&served.credential)?;
        }
        Ok(())
    }

    /// Roughly what it takes in JSON.
    pub fn bytes(&self) -> usize {
        let outgoing = self.outgoing.iter().map(Connection::bytes);
        let all = outgoing.chain(self.incoming.iter().map(Served::bytes));
        let all = all.chain(self.links.iter().map(Link::bytes));
        all.chain(self.credentials.iter().map(Credential::bytes)).sum()
    }
}

impl Connection {
    pub fn bytes(&self) -> usize {
        EACH + self.id.len() + self.backends.iter().map(Backend::bytes).sum::<usize>()
    }
}

impl Backend {
    /// Whether it may go out beside the one before it in the same tunnel.
    pub(super) fn admit(&self, before: Option<&Self>) -> Result<(), String> {
        self.validate()?;
        // Instances of one service dial through the same tunnel.
        match before.is_none_or(|other| other == self) {
            true => Ok(()),
            false => Err(format!("the tunnel {:?} goes out in two ways", self.tunnel.descriptor)),
        }
    }

    pub fn bytes(&self) -> usize {
        let endpoints = self.endpoints.iter().map(|endpoint| endpoint.len() + 3).sum::<usize>();
        EACH + self.tunnel.bytes() + endpoints + self.credential.len()
    }
}

impl Served {
    pub fn bytes(&self) -> usize {
        let targets = self.targets.iter().map(Target::bytes).sum::<usize>();
        EACH + self.tunnel.bytes() + self.credential.len() + targets
    }
}

impl TunnelId {
    fn bytes(&self) -> usize {
        self.descriptor.len() + self.peer_roots.iter().map(|root| root.0.len() * 2).sum::<usize>()
    }
}

impl Link {
    pub fn bytes(&self) -> usize {
        let texts = self.instance.len() + self.link.len() + self.netns.as_os_str().len();
        let names = self.names.iter().map(|n| n.name.len() + EACH).sum::<usize>();
        2 * EACH
            + texts
            + names
            + self.ports.iter().map(|p| p.connection.len() + EACH).sum::<usize>()
    }

    pub(super) fn validate(&self, connections: &HashSet<&str>) -> Result<(), String> {
        let name = &self.instance;
        let texts = [name.len(), self.link.len(), self.netns.as_os_str().len()];
        if texts.iter().any(|length| *length > MAX_PATH) {
            return Err(format!("a link's texts have at most {MAX_PATH} bytes"));
        }
        if !self.netns.is_absolute() {
            return Err(format!("{name}: the namespace's path must be absolute"));
        }
        let bits = if self.dns.is_ipv4() { 32 } else { 128 };
        if !(1..=bits).contains(&self.prefix) {
            return Err(format!("{name}: /{} is no prefix", self.prefix));
        }
        if !is_unicast(self.dns.ip()) || self.dns.port() == 0 {
            return Err(format!("{name}: {} is no link's address", self.dns));
        }
        for (what, count) in [("names", self.names.len()), ("ports", self.ports.len())] {
            at_most(&format!("{name}: {what}"), count, MAX_LINK_ENTRIES)?;
        }
        at_most(&format!("{name}: search domains"), self.search.len(), MAX_RESOLVERS)?;
        if let Some(bad) = self.search.iter().find(|domain| !is_host_name(domain)) {
            return Err(format!("{name}: {bad:?} is no domain"));
        }
        at_most(&format!("{name}: addresses"), self.addresses().len(), MAX_LINK_ADDRESSES)?;
        self.validate_names()?;
        self.validate_ports(connections)
    }

    fn validate_names(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        self.names.iter().try_for_each(|name| self.admit_name(name, &mut seen))
    }

    /// Whether it may stand beside those seen; it is seen then.
    pub(super) fn admit_name(
        &self,
        Name { name, address }: &Name,
        seen: &mut HashSet<String>,
    ) -> Result<(), String> {
        if !is_host_name(name) {
            return Err(format!("{}: {name:?} is not a host name", self.instance));
        }
        self.check_virtual(*address)?;
        match seen.insert(name.to_ascii_lowercase()) {
            true => Ok(()),
            false => Err(format!("{}: {name} has two addresses", self.instance)),
        }
    }

    fn validate_ports(&self, connections: &HashSet<&str>) -> Result<(), String> {
        let mut seen = HashSet::new();
        self.ports.iter().try_for_each(|port| self.admit_port(port, connections, &mut seen))
    }

    /// The same for a port.
    pub(super) fn admit_port(
        &self,
        port: &Port,
        connections: &HashSet<&str>,
        seen: &mut HashSet<(Transport, IpAddr, u16)>,
    ) -> Result<(), String> {
        self.check_virtual(port.address)?;
        if !connections.contains(port.connection.as_str()) {
            return Err(format!("there is no connection {:?}", port.connection));
        }
        let Port { address, port, transport, .. } = port;
        match *port != 0 && seen.insert((*transport, *address, *port)) {
            true => Ok(()),
            false => Err(format!("{}: {transport} {address}:{port} twice, or 0", self.instance)),
        }
    }

    fn check_virtual(&self, address: IpAddr) -> Result<(), String> {
        let same_kind = address.is_ipv4() == self.dns.is_ipv4();
        match same_kind && is_unicast(address) && address != self.dns.ip() {
            true => Ok(()),
            false => Err(format!("{}: {address} is no virtual address", self.instance)),
        }
    }

    /// The virtual addresses, each once.
    pub(crate) fn addresses(&self) -> HashSet<IpAddr> {
        let names = self.names.iter().map(|name| name.address);
        names.chain(self.ports.iter().map(|port| port.address)).collect()
    }
}

impl Backend {
    fn validate(&self) -> Result<(), String> {
        self.tunnel.validate()?;
        at_most("endpoints", self.endpoints.len(), MAX_ENDPOINTS)?;
        match self.endpoints.iter().find(|endpoint| !is_endpoint(endpoint)) {
            Some(bad) => Err(format!("{bad:?} is not host:port")),
            None => Ok(()),
        }
    }
}

impl Served {
    pub(super) fn validate(&self) -> Result<(), String> {
        self.tunnel.validate()?;
        at_most("targets of a tunnel", self.targets.len(), MAX_TARGETS_PER_ROUTE)?;
        self.targets.iter().try_for_each(Target::validate)
    }
}

impl TunnelId {
    /// The one name in both ends' certificates.
    pub fn name(&self) -> String {
        name::tunnel_name(&self.descriptor)
    }

    fn validate(&self) -> Result<(), String> {
        let text = &self.descriptor;
        if text.is_empty() || text.len() > MAX_DESCRIPTOR || text.chars().any(char::is_control) {
            return Err(format!("a tunnel's descriptor is 1 to {MAX_DESCRIPTOR} printable bytes"));
        }
        let count = self.peer_roots.len();
        if count == 0 || count > MAX_PEER_ROOTS {
            return Err(format!("{text}: {count} peer roots; 1 to {MAX_PEER_ROOTS} are right"));
        }
        match self.peer_roots.iter().all(|root| (1..=MAX_ROOT).contains(&root.0.len())) {
            true => Ok(()),
            false => Err(format!("{text}: a root has 1 to {MAX_ROOT} bytes")),
        }
    }
}

impl Credential {
    pub fn bytes(&self) -> usize {
        EACH + self.id.len() + self.chain.len() + self.key.len()
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        if self.chain.len() > MAX_CHAIN || self.key.len() > MAX_KEY {
            return Err(format!("the credential {:?} is too long", self.id));
        }
        Ok(())
    }
}

/// Whether it is `host:port`, as a data plane is dialled: printable, of at most
/// 256 bytes, the port from 1 to 65535. Other providers say such words of
/// themselves, so whoever takes them up asks here first.
pub fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    text.len() <= MAX_ID
        && !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_graphic())
        && port.parse().is_ok_and(|port: u16| port != 0)
}

/// An address that a workload's network may have.
fn is_unicast(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast()
}

fn at_most(what: &str, count: usize, most: usize) -> Result<(), String> {
    match count <= most {
        true => Ok(()),
        false => Err(format!("{count} {what}; at most {most}")),
    }
}

/// Whether it may stand for a thing of the table.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_DESCRIPTOR
}

fn unique<'a>(what: &str, ids: impl Iterator<Item = &'a str>) -> Result<HashSet<&'a str>, String> {
    let mut seen = HashSet::new();
    for id in ids {
        if !is_id(id) || !seen.insert(id) {
            return Err(format!("the {what} {id:?} is there twice, or is no name"));
        }
    }
    Ok(seen)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
