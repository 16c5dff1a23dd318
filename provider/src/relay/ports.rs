//! Which provider listens at which port: the same one each time, for the port
//! stands on chain.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpListener;

use crate::config::RelayPorts;
use crate::store;

/// In the data directory.
const FILE: &str = "relay-ports.json";

/// Ports by provider, on disk.
#[derive(Debug)]
pub(super) struct Ports {
    range: RelayPorts,
    path: PathBuf,
    given: Mutex<BTreeMap<String, u16>>,
}

impl Ports {
    pub(super) fn open(range: RelayPorts, data_dir: &std::path::Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        let given = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { range, path, given: Mutex::new(given) })
    }

    /// The provider's port: that which it had, else the wanted one, else any
    /// that nobody has.
    ///
    /// # Errors
    /// In words for the provider.
    pub(super) fn give(&self, provider: &str, wanted: u16) -> Result<u16, String> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let within = |port: &u16| (self.range.first..=self.range.last).contains(port);
        if let Some(port) = given.get(provider).copied().filter(within) {
            if wanted == 0 || wanted == port {
                return Ok(port);
            }
        }
        let taken = |port: u16| given.iter().any(|(who, p)| *p == port && who != provider);
        let mut free = (self.range.first..=self.range.last).filter(|port| !taken(*port));
        let port = match Some(wanted).filter(|port| within(port) && !taken(*port)) {
            Some(port) => port,
            None => free.next().ok_or("this relay has no port left")?,
        };
        given.insert(provider.into(), port);
        let bytes = serde_json::to_vec(&*given).unwrap_or_default();
        store::write(&self.path, &bytes).map_err(|error| {
            tracing::error!("{}: {error}", self.path.display());
            "this relay cannot write down who has which port".to_string()
        })?;
        Ok(port)
    }
}

/// At all of this machine's addresses.
pub(super) async fn listen(port: u16) -> io::Result<TcpListener> {
    let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match TcpListener::bind(all).await {
        Ok(listener) => Ok(listener),
        // A machine without IPv6.
        Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_its_port_for_good_and_no_other_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let range = RelayPorts { first: 500, last: 501 };
        let ports = Ports::open(range, dir.path()).unwrap();
        assert_eq!(ports.give("a", 501).unwrap(), 501);
        assert_eq!(ports.give("b", 501).unwrap(), 500);
        assert!(ports.give("c", 0).unwrap_err().contains("no port left"));
        let again = Ports::open(range, dir.path()).unwrap();
        assert_eq!(again.give("a", 0).unwrap(), 501);
        assert_eq!(again.give("b", 7).unwrap(), 500, "outside the range");
    }
}
