//! How other providers reach this one, and whom it helps to be reached.

use serde::{Deserialize, Serialize};
use stoa_client::Address;

use super::ConfigError;

/// Ports that one range may have.
const MOST_PORTS: u16 = 1000;

/// NAT and relays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Peering {
    /// The router is asked to lead the gateway's public port here.
    pub map_port: bool,
    /// The address (on chain) of the provider that passes on what comes for this
    /// one; empty: none.
    pub relay: String,
    /// Ports at which this one passes on for others: `30000-30099`; empty:
    /// none.
    pub relay_ports: String,
    /// The providers for which it does; empty: all that the chain knows.
    pub relay_allowed: Vec<String>,
    /// Connections passed on at a time, of one provider.
    pub relay_connections: usize,
}

impl Default for Peering {
    fn default() -> Self {
        Self {
            map_port: false,
            relay: String::new(),
            relay_ports: String::new(),
            relay_allowed: vec![],
            relay_connections: 64,
        }
    }
}

/// Ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayPorts {
    pub first: u16,
    pub last: u16,
}

impl Peering {
    /// Where relayed providers are listened for; none: nowhere.
    pub fn ports(&self) -> Result<Option<RelayPorts>, ConfigError> {
        if self.relay_ports.is_empty() {
            return Ok(None);
        }
        let wrong = || {
            ConfigError::Wrong(format!(
                "peering.relay_ports: `{}` is no range of at most {MOST_PORTS} ports; right is \
                 such as 30000-30099",
                self.relay_ports
            ))
        };
        let (first, last) = self.relay_ports.split_once('-').ok_or_else(wrong)?;
        let first: u16 = first.trim().parse().map_err(|_| wrong())?;
        let last: u16 = last.trim().parse().map_err(|_| wrong())?;
        match last.checked_sub(first) {
            Some(more) if first > 0 && more < MOST_PORTS => Ok(Some(RelayPorts { first, last })),
            _ => Err(wrong()),
        }
    }

    /// The relay of this provider; none: it is reached directly.
    pub fn relay(&self) -> Result<Option<&str>, ConfigError> {
        if self.relay.is_empty() {
            return Ok(None);
        }
        match self.relay.parse::<Address>() {
            Ok(_) => Ok(Some(&self.relay)),
            Err(error) => Err(ConfigError::Wrong(format!(
                "peering.relay: {error}; right is the relay provider's address, by which the \
                 chain says where it is and what its root is"
            ))),
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let (relay, ports) = (self.relay()?, self.ports()?);
        let wrong = |problem: &str| Err(ConfigError::Wrong(problem.into()));
        if relay.is_some() && ports.is_some() {
            return wrong("peering: a provider behind a relay cannot be one; leave one out");
        }
        if relay.is_some() && self.map_port {
            return wrong("peering: map_port and relay are two ways to one end; leave one out");
        }
        if self.relay_connections == 0 {
            return wrong("peering.relay_connections is at least 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_is_read_and_nonsense_is_refused_with_what_would_be_right() {
        let with = |ports: &str| Peering { relay_ports: ports.into(), ..Peering::default() };
        assert_eq!(with("").ports().unwrap(), None);
        let range = RelayPorts { first: 30000, last: 30099 };
        assert_eq!(with("30000-30099").ports().unwrap(), Some(range));
        for bad in ["30000", "2-1", "0-5", "1-65535", "a-b"] {
            let error = with(bad).ports().unwrap_err().to_string();
            assert!(error.contains("30000-30099"), "{error}");
        }
    }

    #[test]
    fn one_cannot_be_behind_a_relay_and_be_one() {
        let relay = Address::from([1; 20]).to_string();
        let both = Peering { relay, relay_ports: "1-2".into(), ..Peering::default() };
        assert!(both.validate().is_err());
        let alone = Peering { relay_ports: String::new(), ..both };
        alone.validate().unwrap();
        assert!(Peering { relay: "https://relay.example".into(), ..alone }.validate().is_err());
    }
}
