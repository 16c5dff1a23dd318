//! Addresses that an interface of this host gets while a lease has them.
//!
//! What this process put there is written down first, so that it is taken
//! away again, over whatever death, and what was there before never is.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nix::ifaddrs::getifaddrs;
use tokio::process::Command;

use crate::routes::HostAddress;
use crate::state;

/// The addresses that this process looks after.
pub(crate) struct Addresses {
    path: PathBuf,
    /// One table at a time.
    added: tokio::sync::Mutex<BTreeSet<HostAddress>>,
    problems: Mutex<Vec<String>>,
}

impl Addresses {
    /// Reads what an earlier run put on interfaces.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let added = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, added: tokio::sync::Mutex::new(added), problems: Mutex::default() })
    }

    /// Puts there what a table names, and takes away what it no longer does.
    pub(crate) async fn apply(&self, wanted: &[HostAddress]) {
        let mut added = self.added.lock().await;
        let mut problems = vec![];
        let surplus: Vec<HostAddress> =
            added.iter().filter(|own| !wanted.contains(own)).cloned().collect();
        for address in surplus {
            match self.remove(&address, &mut added).await {
                Ok(()) => tracing::info!("{} taken off {}", address.address, address.interface),
                Err(error) => problems.push(problem(&address, &error)),
            }
        }
        for address in wanted {
            match self.add(address, &mut added).await {
                Ok(()) => {}
                Err(error) => problems.push(problem(address, &error)),
            }
        }
        for problem in &problems {
            tracing::warn!("{problem}");
        }
        *self.problems.lock().unwrap_or_else(PoisonError::into_inner) = problems;
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn add(
        &self,
        address: &HostAddress,
        added: &mut BTreeSet<HostAddress>,
    ) -> io::Result<()> {
        if is_present(address)? {
            return Ok(());
        }
        added.insert(address.clone());
        self.save(added)?;
        ip("add", address).await?;
        tracing::info!("{} put on {}", address.address, address.interface);
        Ok(())
    }

    async fn remove(
        &self,
        address: &HostAddress,
        added: &mut BTreeSet<HostAddress>,
    ) -> io::Result<()> {
        if is_present(address)? {
            ip("del", address).await?;
        }
        added.remove(address);
        self.save(added)
    }

    fn save(&self, added: &BTreeSet<HostAddress>) -> io::Result<()> {
        state::write(&self.path, &serde_json::to_vec(added)?)
    }
}

fn problem(address: &HostAddress, error: &io::Error) -> String {
    format!("the address {} on {}: {error}", address.address, address.interface)
}

/// Whether the interface has it.
fn is_present(address: &HostAddress) -> io::Result<bool> {
    let found = getifaddrs()?.filter(|i| i.interface_name == address.interface).any(|interface| {
        let Some(own) = interface.address else { return false };
        let v4 = own.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = own.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
        v4.or(v6) == Some(address.address)
    });
    Ok(found)
}

async fn ip(verb: &str, address: &HostAddress) -> io::Result<()> {
    let mut command = Command::new("ip");
    let prefix = if address.address.is_ipv4() { 32 } else { 128 };
    command.args(["address", verb, &format!("{}/{prefix}", address.address)]);
    command.args(["dev", &address.interface]);
    if address.address.is_ipv6() && verb == "add" {
        // Usable at once, not after a search for others that have it.
        command.arg("nodad");
    }
    let output = command
        .output()
        .await
        .map_err(|e| io::Error::new(e.kind(), format!("`ip` (iproute2) is needed: {e}")))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let words = String::from_utf8_lossy(&output.stderr);
            Err(io::Error::other(words.trim().to_string()))
        }
    }
}
