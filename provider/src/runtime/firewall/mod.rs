//! The host's firewall against workloads. A workload's own network has no
//! host address to send to, and the network by which it reaches the internet
//! leads nowhere else: these rules see to the second, and hold even where the
//! first fails.
//!
//! Each provider has a table (or chains) of its own, named by the first 8 hex
//! digits of the hash of its id, so that several on one machine leave each
//! other alone. The rules name bridges by the beginnings of their names and
//! never a single workload, so nothing changes as workloads come and go.

mod iptables;
mod nft;
mod program;

use std::fmt;
use std::path::Path;

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

use super::config::RuntimeConfig;
use super::names::{Names, BRIDGE_PREFIX};
use super::subnet::{AddressPool, Block};

/// What no workload may send to: everything that is not the public internet,
/// by IANA's registry of special-purpose IPv4 addresses, with multicast and
/// what was class E. Clouds' metadata services are in 169.254.0.0/16.
pub const NOT_PUBLIC: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// Which program sets the rules, or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirewallChoice {
    /// nft where it works, else iptables.
    #[default]
    Auto,
    Nft,
    Iptables,
}

/// By which program the rules are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Nft,
    Iptables,
}

/// What one provider's rules are to say.
#[derive(Debug, Clone)]
pub struct Firewall {
    /// 8 hex digits that are this provider's alone.
    owner: String,
    /// What the names of its bridges to the internet begin with.
    egress: String,
    /// Where their subnets come from.
    pool: AddressPool,
    /// Besides [`NOT_PUBLIC`].
    deny: Vec<Block>,
    /// Of one workload, each way; 0: no limit.
    bytes_per_second: u64,
    /// Of one workload at a time; 0: no limit.
    connections: u32,
    choice: FirewallChoice,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Iptables => "iptables",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Firewall {
    pub fn new(config: &RuntimeConfig) -> Self {
        const BYTES_PER_MEGABIT: u64 = 125_000;
        let names = Names::new(&config.provider_id);
        Self {
            owner: names.provider_short().into(),
            egress: names.egress_bridges(),
            pool: config.pool,
            deny: config.egress.deny.clone(),
            bytes_per_second: u64::from(config.egress.megabits) * BYTES_PER_MEGABIT,
            connections: config.egress.connections,
            choice: config.firewall.unwrap_or_default(),
        }
    }

    /// Sees to it that the rules are there; changes nothing where they are.
    ///
    /// # Errors
    /// Why they cannot be, in words.
    pub async fn ensure(&self) -> Result<Program, String> {
        match self.find().await {
            Some(found) if self.choice.takes(found) => Ok(found),
            _ => self.install().await,
        }
    }

    async fn install(&self) -> Result<Program, String> {
        if !Uid::effective().is_root() {
            return Err("it takes root".into());
        }
        if let Some(interface) = foreign_interface(Path::new("/sys/class/net")) {
            return Err(format!(
                "the rules for {BRIDGE_PREFIX}* would hit the interface {interface}, which is not \
                 a workload's bridge; rename it"
            ));
        }
        if self.choice != FirewallChoice::Iptables {
            match nft::install(self).await {
                Ok(()) => {
                    // Left by other settings, or by a time without nft.
                    let _ = iptables::remove(Some(&self.owner)).await;
                    return Ok(Program::Nft);
                }
                Err(problem) if self.choice == FirewallChoice::Nft => return Err(problem),
                Err(refused) => {
                    let by_iptables = iptables::install(self).await;
                    return by_iptables
                        .map(|()| Program::Iptables)
                        .map_err(|problem| format!("{refused}; {problem}"));
                }
            }
        }
        iptables::install(self).await?;
        let _ = nft::remove(Some(&self.owner)).await;
        Ok(Program::Iptables)
    }

    /// Whether all rules are there as they are to be; `None` where they are
    /// not, or cannot be seen.
    pub async fn find(&self) -> Option<Program> {
        if nft::is_there(self).await {
            return Some(Program::Nft);
        }
        iptables::is_there(self).await.then_some(Program::Iptables)
    }

    /// Takes this provider's rules away; none is no error.
    ///
    /// # Errors
    /// Why it cannot be, in words.
    pub async fn remove(&self) -> Result<(), String> {
        remove(Some(&self.owner)).await
    }
}

impl FirewallChoice {
    fn takes(self, program: Program) -> bool {
        match self {
            Self::Auto => true,
            Self::Nft => program == Program::Nft,
            Self::Iptables => program == Program::Iptables,
        }
    }
}

/// Takes away the rules of every provider on this machine.
///
/// # Errors
/// Why it cannot be, in words.
pub async fn remove_all() -> Result<(), String> {
    remove(None).await
}

async fn remove(owner: Option<&str>) -> Result<(), String> {
    if !Uid::effective().is_root() {
        return Err("it takes root".into());
    }
    // What is not installed has set no rules.
    if program::is_installed("nft").await {
        nft::remove(owner).await?;
    }
    if program::is_installed("iptables").await {
        iptables::remove(owner).await?;
    }
    Ok(())
}

/// An interface that the rules for `st*` fit but that is no bridge of ours.
fn foreign_interface(class: &Path) -> Option<String> {
    let names = std::fs::read_dir(class).ok()?.flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|name| name.strip_prefix(BRIDGE_PREFIX).is_some_and(|rest| !is_bridge_suffix(rest)))
}

/// What follows `st` in the name of a workload's bridge.
pub(super) fn is_bridge_suffix(rest: &str) -> bool {
    rest.len() == 12 && rest.bytes().all(|b| b.is_ascii_hexdigit())
}

/// 12 hex digits that follow from what the rules say: a table with other
/// rules is seen to be another.
fn fingerprint(rules: &str) -> String {
    use sha2::{Digest, Sha256};
    let mut text = hex::encode(Sha256::digest(rules.as_bytes()));
    text.truncate(12);
    text
}

#[cfg(test)]
mod tests;
