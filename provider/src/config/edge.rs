//! What of this host the world may reach besides the ingress: ports and
//! addresses that are leased with a deployment.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stoa_tunnel::{AcmeSettings, CertificateFile, TlsSettings};

use super::load::ConfigError;

/// Where providers that share a machine find each other's claims.
const REGISTRY: &str = "/var/lib/stoa/ports";
/// Between two looks at a proof that stands, and how long one may be gone.
const CHECK_SECONDS: u64 = 3600;
const GRACE_SECONDS: u64 = 86_400;
const HTTP_PORT: u16 = 80;
/// What an address that answers on all of the host's is written as.
const ALL: [u8; 4] = [0, 0, 0, 0];

/// Ports of this host that are sold one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// `30000-32767`; empty: none are sold.
    pub range: String,
    /// The address that they listen on.
    pub listen: IpAddr,
    /// How tenants are told to reach them; the ingress's domain unless set.
    pub host: String,
    /// A directory that all providers on this machine share.
    pub registry: PathBuf,
}

/// Addresses of this host that are sold whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ips {
    pub pool: Vec<IpAddr>,
    /// Where set, an address is put on it while it is leased; else the host
    /// has them all by itself.
    pub interface: String,
}

/// Tenants' own host names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostNames {
    /// Names are served to whoever asks first where this is false.
    pub verify: bool,
    /// DNS servers; the system's where there are none.
    pub resolver: Vec<SocketAddr>,
    pub check_seconds: u64,
    pub grace_seconds: u64,
    /// Where a token is fetched over HTTP.
    pub http_port: u16,
    /// It is fetched from addresses that are not of the public internet, too.
    pub private: bool,
}

/// HTTPS at the ingress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Https {
    /// None: plain HTTP alone.
    pub listen: Option<SocketAddr>,
    /// The port that browsers use; that of `listen` unless something stands
    /// before it.
    pub public_port: Option<u16>,
    /// Plain HTTP answers with a redirect to HTTPS.
    pub redirect: bool,
    /// The operator's own certificates.
    pub certificates: Vec<CertificateFile>,
    pub acme: Option<Acme>,
}

/// Certificates from a CA that speaks ACME.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    pub directory: String,
    #[serde(default)]
    pub contact: Vec<String>,
    /// What the CA's own server is checked against; the system's roots unless
    /// set.
    #[serde(default)]
    pub roots: Option<PathBuf>,
    /// Also for names under the ingress's domain.
    #[serde(default)]
    pub generated_names: bool,
}

impl Default for HostNames {
    fn default() -> Self {
        Self {
            verify: true,
            resolver: vec![],
            check_seconds: CHECK_SECONDS,
            grace_seconds: GRACE_SECONDS,
            http_port: HTTP_PORT,
            private: false,
        }
    }
}

impl Https {
    /// The port in the addresses that tenants are told.
    pub fn public_port(&self) -> Option<u16> {
        self.listen.map(|listen| self.public_port.unwrap_or(listen.port()))
    }

    /// As the data plane takes it.
    pub fn settings(&self, domain: &str) -> Option<TlsSettings> {
        let acme = self.acme.as_ref().map(|acme| AcmeSettings {
            directory: acme.directory.clone(),
            contact: acme.contact.clone(),
            roots: acme.roots.clone(),
            except_domain: (!acme.generated_names).then(|| domain.to_owned()),
        });
        Some(TlsSettings {
            listen: self.listen?,
            redirect_to: self.public_port().filter(|_| self.redirect),
            ca_name: domain.to_owned(),
            files: self.certificates.clone(),
            acme,
        })
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let Some(acme) = &self.acme else { return Ok(()) };
        if !acme.directory.starts_with("https://") {
            let problem = format!("https.acme.directory: `{}` is no https URL", acme.directory);
            return Err(ConfigError::Wrong(problem));
        }
        match acme.contact.iter().find(|contact| !contact.contains(':')) {
            Some(contact) => Err(ConfigError::Wrong(format!(
                "https.acme.contact: `{contact}` is no URI; right is such as \
                 mailto:operator@example.com"
            ))),
            None => Ok(()),
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            range: String::new(),
            listen: ALL.into(),
            host: String::new(),
            registry: REGISTRY.into(),
        }
    }
}

impl Ports {
    /// The ports for sale; none where none are sold.
    pub fn range(&self) -> Result<Option<RangeInclusive<u16>>, ConfigError> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let bounds = self.range.split_once('-');
        let bounds = bounds.and_then(|(first, last)| {
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        });
        match bounds {
            Some((first, last)) if first > 0 && first <= last => Ok(Some(first..=last)),
            _ => Err(ConfigError::Wrong(format!(
                "ports.range: `{}` is no range; right is such as 30000-32767",
                self.range
            ))),
        }
    }

    /// How many are for sale.
    pub fn count(&self) -> u64 {
        match self.range() {
            Ok(Some(range)) => range.len() as u64,
            _ => 0,
        }
    }
}

impl Ips {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (place, ip) in self.pool.iter().enumerate() {
            if ip.is_unspecified() || ip.is_loopback() && !self.interface.is_empty() {
                return Err(ConfigError::Wrong(format!("ips.pool: {ip} cannot be leased")));
            }
            if self.pool[..place].contains(ip) {
                return Err(ConfigError::Wrong(format!("ips.pool: {ip} stands there twice")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_two_ports_in_order_or_nothing() {
        let ports = |range: &str| Ports { range: range.into(), ..Ports::default() };
        assert_eq!(ports("").range().unwrap(), None);
        assert_eq!(ports("30000-30009").count(), 10);
        assert_eq!(ports("7 - 7").range().unwrap(), Some(7..=7));
        for bad in ["7", "9-7", "0-5", "1-65536", "a-b", "1-2-3"] {
            assert!(ports(bad).range().is_err(), "{bad}");
            assert_eq!(ports(bad).count(), 0);
        }
    }

    #[test]
    fn an_address_is_in_the_pool_once() {
        let ips = |pool: &[&str]| {
            let pool = pool.iter().map(|ip| ip.parse().unwrap()).collect();
            Ips { pool, interface: "eth0".into() }.validate()
        };
        ips(&["192.0.2.1", "192.0.2.2"]).unwrap();
        for bad in [&["192.0.2.1", "192.0.2.1"][..], &["0.0.0.0"], &["127.0.0.1"]] {
            assert!(ips(bad).is_err(), "{bad:?}");
        }
    }
}
