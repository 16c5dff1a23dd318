//! Which host name, and which port, leads to which workloads: the table that
//! the control daemon pushes, whole, each time.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::hop::Hop;
use crate::overlay::OverlayTable;
use crate::tls::TlsSettings;

/// Bounds on a table.
pub const MAX_ROUTES: usize = 20_000;
pub const MAX_HOSTS_PER_ROUTE: usize = 64;
pub const MAX_TARGETS_PER_ROUTE: usize = 256;
pub const MAX_FORWARDS: usize = 20_000;
pub const MAX_ADDRESSES: usize = 4_096;
/// Routes and forwards together: with the overlay they fit a line of the
/// control socket.
pub const MAX_ROUTE_BYTES: usize = 16 << 20;
/// What the fields of one thing take in JSON, about.
const EACH: usize = 128;
const MAX_HOST_NAME: usize = 253;
const MAX_TEXT: usize = 1024;

/// All routes at one moment. The desired state, not a change to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Grows with every change; an older table never replaces a newer one.
    pub generation: u64,
    pub routes: Vec<Route>,
    /// Ports of this host that lead to workloads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwards: Vec<Forward>,
    /// Addresses that an interface of this host is to have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<HostAddress>,
    /// HTTPS at the ingress; plain HTTP alone where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// Tunnels between workloads. With it the table holds private keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<OverlayTable>,
}

/// A port of this host that leads to one service's instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    pub transport: Transport,
    /// Where this host listens; an unspecified address is all of its own.
    pub listen: SocketAddr,
    /// May be empty: connections are then refused at once.
    pub targets: Vec<Target>,
}

/// What a forwarded port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
}

/// An address that is put on an interface while a table names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostAddress {
    pub interface: String,
    pub address: IpAddr,
}

/// Host names that lead to one service's instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Exact names, without port.
    pub hosts: Vec<String>,
    #[serde(default)]
    pub http: HttpOptions,
    /// May be empty: the deployment is known but nothing runs.
    pub targets: Vec<Target>,
}

/// One instance, reached from its link container's network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// For people and logs: `lease/service[index]`.
    pub instance: String,
    /// The link container's name.
    pub link: String,
    /// The link container's network namespace (the engine's `SandboxKey`).
    /// The control daemon pushes a new table when it changes.
    pub netns: PathBuf,
    /// The workload's address in that namespace.
    pub address: SocketAddr,
    /// Where the instance runs on another machine of the provider: the way
    /// there. That machine knows link, namespace and address itself; of these
    /// only the port counts then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<Hop>,
}

/// `http_options` of the manifest's `expose`, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpOptions {
    /// Bytes; 0 is no limit.
    pub max_body_size: u64,
    /// Milliseconds between two reads from the workload; 0 is an hour.
    pub read_timeout: u32,
    /// Milliseconds between two writes to the workload; 0 is an hour.
    pub send_timeout: u32,
    /// Instances tried for one request; 0 is all.
    pub next_tries: u32,
    /// Milliseconds within which another instance is still tried; 0 is no
    /// limit.
    pub next_timeout: u32,
    /// What makes another instance be tried.
    pub next_cases: Vec<NextCase>,
    /// Bytes that an answer's head may have; 0 is the default of 256 KiB.
    pub proxy_buffer_size: u32,
}

/// A reason to try another instance; the names are those of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NextCase {
    #[serde(rename = "error")]
    Error,
    #[serde(rename = "timeout")]
    Timeout,
    #[serde(rename = "403")]
    Status403,
    #[serde(rename = "404")]
    Status404,
    #[serde(rename = "429")]
    Status429,
    #[serde(rename = "500")]
    Status500,
    #[serde(rename = "502")]
    Status502,
    #[serde(rename = "503")]
    Status503,
    #[serde(rename = "504")]
    Status504,
    /// Never try another.
    #[serde(rename = "off")]
    Off,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            max_body_size: 1_048_576,
            read_timeout: 60_000,
            send_timeout: 60_000,
            next_tries: 3,
            next_timeout: 0,
            next_cases: vec![NextCase::Error, NextCase::Timeout],
            proxy_buffer_size: 0,
        }
    }
}

impl HttpOptions {
    /// Whether the manifest wants another instance tried in this case.
    pub fn tries_next_on(&self, case: NextCase) -> bool {
        !self.next_cases.contains(&NextCase::Off) && self.next_cases.contains(&case)
    }
}

impl NextCase {
    /// The case of an answer's status, if there is one for it.
    pub fn of_status(status: u16) -> Option<Self> {
        Some(match status {
            403 => Self::Status403,
            404 => Self::Status404,
            429 => Self::Status429,
            500 => Self::Status500,
            502 => Self::Status502,
            503 => Self::Status503,
            504 => Self::Status504,
            _ => return None,
        })
    }
}

impl RouteTable {
    /// Refuses a table that could not be served, saying which part and why.
    pub fn validate(&self) -> Result<(), String> {
        if self.routes.len() > MAX_ROUTES {
            return Err(format!("{} routes; at most {MAX_ROUTES}", self.routes.len()));
        }
        let mut seen = HashSet::new();
        self.routes.iter().try_for_each(|route| route.admit(&mut seen))?;
        self.validate_forwards()?;
        let bytes = self.bytes();
        if bytes > MAX_ROUTE_BYTES {
            return Err(format!("{bytes} bytes of routes and forwards; at most {MAX_ROUTE_BYTES}"));
        }
        self.tls.as_ref().map_or(Ok(()), TlsSettings::validate)?;
        self.overlay.as_ref().map_or(Ok(()), OverlayTable::validate)?;
        if self.addresses.len() > MAX_ADDRESSES {
            return Err(format!("{} addresses; at most {MAX_ADDRESSES}", self.addresses.len()));
        }
        self.addresses.iter().try_for_each(HostAddress::validate)
    }

    fn validate_forwards(&self) -> Result<(), String> {
        if self.forwards.len() > MAX_FORWARDS {
            return Err(format!("{} forwards; at most {MAX_FORWARDS}", self.forwards.len()));
        }
        let mut seen = HashSet::new();
        self.forwards.iter().try_for_each(|forward| forward.admit(&mut seen))
    }

    /// Roughly what routes and forwards take in JSON.
    fn bytes(&self) -> usize {
        let routes = self.routes.iter().map(Route::bytes);
        routes.chain(self.forwards.iter().map(Forward::bytes)).sum()
    }
}

impl Forward {
    /// Whether it may stand in a table behind those seen; it is seen then.
    pub(crate) fn admit(&self, seen: &mut HashSet<(Transport, SocketAddr)>) -> Result<(), String> {
        self.validate()?;
        match seen.insert((self.transport, self.listen)) {
            true => Ok(()),
            false => Err(format!("{} {} is in two forwards", self.transport, self.listen)),
        }
    }

    /// Roughly what it takes in JSON.
    pub fn bytes(&self) -> usize {
        EACH + self.targets.iter().map(Target::bytes).sum::<usize>()
    }

    fn validate(&self) -> Result<(), String> {
        let listen = self.listen;
        if listen.port() == 0 || listen.ip().is_multicast() {
            return Err(format!("{listen} cannot be listened on"));
        }
        if self.targets.len() > MAX_TARGETS_PER_ROUTE {
            return Err(format!("{listen}: at most {MAX_TARGETS_PER_ROUTE} targets"));
        }
        self.targets.iter().try_for_each(Target::validate)
    }
}

impl HostAddress {
    pub(crate) fn validate(&self) -> Result<(), String> {
        let name = &self.interface;
        let clean = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !(1..=15).contains(&name.len()) || !name.bytes().all(clean) || name.starts_with('-') {
            return Err(format!("{name:?} is no interface's name"));
        }
        let ip = self.address;
        if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() {
            return Err(format!("{ip} is no address for an interface"));
        }
        Ok(())
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl Route {
    /// Whether it may stand in a table behind those seen; it is seen then.
    pub(crate) fn admit(&self, seen: &mut HashSet<String>) -> Result<(), String> {
        self.validate()?;
        let mut own = HashSet::new();
        for host in &self.hosts {
            let name = host.to_ascii_lowercase();
            if seen.contains(&name) || !own.insert(name) {
                return Err(format!("the host {host} is in two routes"));
            }
        }
        seen.extend(own);
        Ok(())
    }

    /// Roughly what it takes in JSON.
    pub fn bytes(&self) -> usize {
        let hosts = self.hosts.iter().map(|host| host.len() + 3).sum::<usize>();
        2 * EACH + hosts + self.targets.iter().map(Target::bytes).sum::<usize>()
    }

    fn validate(&self) -> Result<(), String> {
        if self.hosts.is_empty() || self.hosts.len() > MAX_HOSTS_PER_ROUTE {
            return Err(format!("a route has 1 to {MAX_HOSTS_PER_ROUTE} hosts"));
        }
        if let Some(host) = self.hosts.iter().find(|host| !is_host_name(host)) {
            return Err(format!("{host:?} is not a host name"));
        }
        if self.targets.len() > MAX_TARGETS_PER_ROUTE {
            return Err(format!("{}: at most {MAX_TARGETS_PER_ROUTE} targets", self.hosts[0]));
        }
        self.targets.iter().try_for_each(Target::validate)
    }
}

impl Target {
    /// Roughly what it takes in JSON.
    pub fn bytes(&self) -> usize {
        let hop = self.hop.as_ref().map_or(0, |hop| {
            let files = hop.identity.as_os_str().len() + hop.authority.as_os_str().len();
            EACH + hop.host.len() + hop.name.len() + hop.fingerprint.len() + files
        });
        EACH + self.instance.len() + self.link.len() + self.netns.as_os_str().len() + hop
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        let name = &self.instance;
        if [name.len(), self.link.len(), self.netns.as_os_str().len()].iter().any(|l| *l > MAX_TEXT)
        {
            return Err(format!("a target's texts have at most {MAX_TEXT} bytes"));
        }
        if !self.netns.is_absolute() {
            return Err(format!("{name}: the namespace's path must be absolute"));
        }
        let ip = self.address.ip();
        if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || self.address.port() == 0
        {
            return Err(format!("{name}: {} is not a workload's address", self.address));
        }
        Ok(())
    }
}

/// RFC 1123: letters, digits and inner hyphens, in labels of at most 63.
pub fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.len() <= MAX_HOST_NAME && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(hosts: &[&str], address: &str) -> RouteTable {
        let target = Target {
            instance: "l/web[0]".into(),
            link: "x-link".into(),
            netns: "/run/docker/netns/1".into(),
            address: address.parse().unwrap(),
            hop: None,
        };
        let route = |host: &&str| Route {
            hosts: vec![host.to_string()],
            http: HttpOptions::default(),
            targets: vec![target.clone()],
        };
        RouteTable {
            generation: 1,
            routes: hosts.iter().map(route).collect(),
            ..RouteTable::default()
        }
    }

    #[test]
    fn refuses_what_could_not_be_served() {
        table(&["a.example", "b.example"], "10.0.0.3:80").validate().unwrap();
        for (hosts, address, word) in [
            (vec!["a.example", "A.Example"], "10.0.0.3:80", "two routes"),
            (vec!["a b"], "10.0.0.3:80", "not a host name"),
            (vec!["-a.example"], "10.0.0.3:80", "not a host name"),
            (vec!["a.example"], "127.0.0.1:80", "not a workload's address"),
            (vec!["a.example"], "0.0.0.0:80", "not a workload's address"),
            (vec!["a.example"], "10.0.0.3:0", "not a workload's address"),
        ] {
            let error = table(&hosts, address).validate().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn forwards_and_addresses_are_checked_too() {
        let forward = |listen: &str| Forward {
            transport: Transport::Udp,
            listen: listen.parse().unwrap(),
            targets: vec![],
        };
        let with = |forwards| RouteTable { forwards, ..RouteTable::default() }.validate();
        with(vec![forward("0.0.0.0:53"), forward("192.0.2.1:53")]).unwrap();
        assert!(with(vec![forward("0.0.0.0:0")]).is_err());
        let twice = with(vec![forward("0.0.0.0:53"), forward("0.0.0.0:53")]).unwrap_err();
        assert!(twice.contains("udp 0.0.0.0:53"), "{twice}");
        let on = |interface: &str, address: &str| {
            HostAddress { interface: interface.into(), address: address.parse().unwrap() }
                .validate()
        };
        on("eth0.7", "192.0.2.1").unwrap();
        for (interface, address) in
            [("", "192.0.2.1"), ("-x", "192.0.2.1"), ("eth0; id", "192.0.2.1"), ("lo", "127.0.0.1")]
        {
            assert!(on(interface, address).is_err(), "{interface} {address}");
        }
    }

    #[test]
    fn https_settings_are_checked() {
        let with = |change: fn(&mut TlsSettings)| {
            let mut tls = TlsSettings {
                listen: "0.0.0.0:443".parse().unwrap(),
                redirect_to: None,
                ca_name: "p.example".into(),
                files: vec![],
                acme: None,
            };
            change(&mut tls);
            RouteTable { tls: Some(tls), ..RouteTable::default() }.validate()
        };
        with(|_| {}).unwrap();
        assert!(with(|tls| tls.ca_name = "a b".into()).is_err());
        let plain = with(|tls| {
            let directory = "http://ca.example/dir".into();
            let (contact, roots, except_domain) = (vec![], None, None);
            tls.acme = Some(crate::AcmeSettings { directory, contact, roots, except_domain });
        });
        assert!(plain.unwrap_err().contains("https"));
    }

    #[test]
    fn options_take_the_manifests_words() {
        let options: HttpOptions =
            serde_json::from_str(r#"{"next_cases":["error","503"],"next_tries":0}"#).unwrap();
        assert!(options.tries_next_on(NextCase::Status503));
        assert!(!options.tries_next_on(NextCase::Timeout));
        assert_eq!(options.max_body_size, 1_048_576);
        let off = HttpOptions { next_cases: vec![NextCase::Off, NextCase::Error], ..options };
        assert!(!off.tries_next_on(NextCase::Error));
    }
}
