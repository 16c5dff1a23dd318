//! What `provider.toml` may say. [`super::template`] has the same with
//! comments for people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::chain::{Chain, Key};
use super::edge::{HostNames, Https, Ips, Ports};
use super::machine::{Engine, Storage, Timing};
use super::market::{Bidding, Capacity, Info, Limits, Money, Overcommit, Pricing};
use super::overlay::Overlay;
use super::peering::Peering;
use super::ways_in::{Gateway, Ingress, Metrics};
use super::workloads::Workloads;

/// Volumes of these classes outlive their containers.
pub const PERSISTENT_CLASSES: [&str; 4] = ["default", "beta1", "beta2", "beta3"];

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where manifests, blobs and journals lie.
    pub data_dir: PathBuf,
    pub chain: Chain,
    pub key: Key,
    pub gateway: Gateway,
    pub ingress: Ingress,
    #[serde(default)]
    pub https: Https,
    #[serde(default)]
    pub host_names: HostNames,
    #[serde(default)]
    pub ports: Ports,
    #[serde(default)]
    pub ips: Ips,
    #[serde(default)]
    pub overlay: Overlay,
    /// What orders may require: written to the chain by `init`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    #[serde(default)]
    pub info: Info,
    pub capacity: Capacity,
    #[serde(default)]
    pub overcommit: Overcommit,
    pub pricing: Pricing,
    #[serde(default)]
    pub bidding: Bidding,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub money: Money,
    #[serde(default)]
    pub metrics: Metrics,
    #[serde(default)]
    pub storage: Storage,
    #[serde(default)]
    pub peering: Peering,
    #[serde(default)]
    pub engine: Engine,
    #[serde(default)]
    pub workloads: Workloads,
    #[serde(default)]
    pub timing: Timing,
    /// In builds with fail points: the step at which the daemon kills itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failpoint: String,
}

impl Config {
    /// The data plane's control socket.
    pub fn tunnel_control(&self) -> PathBuf {
        self.ingress.control.clone().unwrap_or_else(|| self.data_dir.join("tunnel.sock"))
    }

    /// The data plane's state.
    pub fn tunnel_state(&self) -> PathBuf {
        self.ingress.state.clone().unwrap_or_else(|| self.data_dir.join("tunnel"))
    }

    /// The port in the addresses that tenants are told.
    pub fn public_port(&self) -> u16 {
        self.ingress.public_port.unwrap_or(self.ingress.listen.port())
    }

    /// How other providers reach the tunnels of this one.
    pub fn tunnel_endpoints(&self) -> Vec<String> {
        self.overlay.endpoints(&self.gateway.host_uri, !self.peering.relay.is_empty())
    }

    /// The host in the addresses of forwarded ports that tenants are told.
    pub fn ports_host(&self) -> &str {
        match self.ports.host.as_str() {
            "" => &self.ingress.domain,
            host => host,
        }
    }

    /// What leases earned.
    pub fn ledger_path(&self) -> PathBuf {
        self.data_dir.join("ledger.db")
    }

    /// The root certificate and its key.
    pub fn root_path(&self) -> PathBuf {
        self.data_dir.join("root.pem")
    }
}
