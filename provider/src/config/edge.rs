//! What of this host the world may reach besides the ingress: ports and
//! addresses that are leased with a deployment.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::load::ConfigError;

/// Where providers that share a machine find each other's claims.
const REGISTRY: &str = "/var/lib/stoa/ports";
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
