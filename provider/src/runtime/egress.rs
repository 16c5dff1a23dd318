//! The way to the internet. A workload's second network has a gateway address
//! that the engine does not put on its bridge. It is put there here, and only
//! while the firewall's rules are seen to be in place: where they are not
//! (the engine started before the daemon, somebody flushed the rules, the
//! machine has no nftables) there is no gateway, and nothing gets out.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::Network;
use nix::ifaddrs::getifaddrs;
use tokio::process::Command;

use super::firewall::Program;
use super::names::{key_of, label, Role};
use super::network::{subnet_of, WorkloadNetwork};
use super::subnet::{Subnet, SUBNET_PREFIX};
use super::{DockerBackend, RuntimeError};

/// Between two looks at the rules and gateways.
const LOOK: Duration = Duration::from_secs(5);

/// Whether the rules are there.
pub(super) type Walls = Result<Program, String>;

impl DockerBackend {
    /// Keeps the firewall's rules in place and the gateways open behind them,
    /// for ever: what flushes the one or a restart that loses the other is
    /// made good.
    pub async fn keep_egress(self: Arc<Self>) {
        let mut last = Ok(());
        loop {
            let result = self.mind_egress().await;
            match &result {
                Err(error) if last.is_ok() => tracing::warn!("workloads' way out: {error}"),
                _ => {}
            }
            last = result;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// One look.
    ///
    /// # Errors
    /// What the engine says; what the firewall says is logged.
    pub async fn mind_egress(&self) -> Result<(), RuntimeError> {
        let walls = self.raise_walls().await;
        let filter = self.label_filter(&[(label::ROLE, Role::Egress.as_str())]);
        for network in self.list_networks(&filter).await? {
            let Some(network) = self.read_egress(&network) else { continue };
            match walls {
                Ok(_) => self.put_gateway(&network).await,
                Err(_) => self.take_gateway(&network).await,
            }
        }
        Ok(())
    }

    /// Opens the gateway of a network that was just made or found. A workload
    /// whose provider has no firewall runs without the internet.
    pub(super) async fn open_gateway(&self, network: &WorkloadNetwork) {
        match self.raise_walls().await {
            Ok(_) => self.put_gateway(network).await,
            Err(_) => self.take_gateway(network).await,
        }
    }

    /// Sees to the rules; says once what keeps them away.
    async fn raise_walls(&self) -> Walls {
        let mut last = self.walls.lock().await;
        let walls = match self.config.firewall {
            Some(_) => self.firewall.ensure().await,
            None => Err("workloads.firewall is off".into()),
        };
        if last.as_ref() != Some(&walls) {
            match &walls {
                Ok(program) => tracing::info!(%program, "the firewall keeps workloads in"),
                Err(problem) => {
                    tracing::warn!("no workload reaches the internet: the firewall: {problem}");
                }
            }
        }
        last.insert(walls).clone()
    }

    fn read_egress(&self, network: &Network) -> Option<WorkloadNetwork> {
        let names = self.names.instance(&key_of(network.labels.as_ref()?)?);
        Some(WorkloadNetwork {
            id: network.id.clone()?,
            name: network.name.clone()?,
            subnet: subnet_of(network.ipam.as_ref())?,
            bridge: names.egress_bridge,
        })
    }

    async fn put_gateway(&self, network: &WorkloadNetwork) {
        if !has_gateway(network) {
            tell(network, ip("replace", network).await);
        }
    }

    async fn take_gateway(&self, network: &WorkloadNetwork) {
        if has_gateway(network) {
            tell(network, ip("delete", network).await);
        }
    }
}

fn tell(network: &WorkloadNetwork, result: Result<(), String>) {
    if let Err(problem) = result {
        tracing::warn!("the gateway of {} on {}: {problem}", network.name, network.bridge);
    }
}

fn has_gateway(network: &WorkloadNetwork) -> bool {
    let gateway = network.subnet.gateway();
    let Ok(mut interfaces) = getifaddrs() else { return false };
    interfaces.any(|found| {
        found.interface_name == network.bridge
            && found
                .address
                .and_then(|address| address.as_sockaddr_in().map(|v4| v4.ip()))
                .is_some_and(|ip| ip == gateway)
    })
}

async fn ip(
    verb: &str,
    WorkloadNetwork { subnet, bridge, .. }: &WorkloadNetwork,
) -> Result<(), String> {
    let address = gateway_text(*subnet);
    let output = Command::new("ip")
        .args(["address", verb, &address, "dev", bridge])
        .output()
        .await
        .map_err(|e| format!("`ip` (iproute2) is needed: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_string()),
    }
}

fn gateway_text(subnet: Subnet) -> String {
    format!("{}/{SUBNET_PREFIX}", subnet.gateway())
}
