//! A network for each workload: an internal bridge without a host address,
//! so that neither the host, nor the internet, nor another workload is on
//! it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkCreateRequest,
    NetworkDisconnectRequest, NetworkInspect, NetworkingConfig,
};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptions};

use super::error::absent_is_none;
use super::names::{label, InstanceKey, InstanceNames, Role};
use super::subnet::{Subnet, Taken};
use super::{DockerBackend, RuntimeError};

/// Subnets tried when others take them at the same moment.
const MAX_ATTEMPTS: usize = 64;
/// From this engine on a bridge without host address is an option of its own.
const ISOLATED_GATEWAY_SINCE: u64 = 28;

/// A workload's network as it is at the engine.
#[derive(Debug, Clone)]
pub(super) struct WorkloadNetwork {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) subnet: Subnet,
}

impl DockerBackend {
    /// Finds or makes the instance's network.
    pub(super) async fn ensure_network(
        &self,
        key: &InstanceKey,
        names: &InstanceNames,
    ) -> Result<WorkloadNetwork, RuntimeError> {
        if let Some(found) = self.inspect_network(&names.network).await? {
            return self.adopt_network(names, &found);
        }
        let mut seed = DefaultHasher::new();
        names.bridge.hash(&mut seed);
        let taken = self.taken_subnets().await?;
        let mut last_conflict = String::new();
        for subnet in self.config.pool.free(seed.finish(), &taken).take(MAX_ATTEMPTS) {
            match self.create_network(key, names, subnet).await {
                Ok(network) => return Ok(network),
                Err(error) if is_overlap(&error) => last_conflict = error.to_string(),
                Err(error) => return Err(error),
            }
        }
        Err(RuntimeError::Setup(format!(
            "no free /28 network in the pool {}: {} {last_conflict}",
            self.config.pool,
            if last_conflict.is_empty() { "all are taken" } else { "the last one tried:" },
        )))
    }

    async fn create_network(
        &self,
        key: &InstanceKey,
        names: &InstanceNames,
        subnet: Subnet,
    ) -> Result<WorkloadNetwork, RuntimeError> {
        let request = NetworkCreateRequest {
            name: names.network.clone(),
            driver: Some("bridge".into()),
            internal: Some(true),
            attachable: Some(false),
            enable_ipv6: Some(false),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(subnet.to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            options: Some(self.bridge_options(&names.bridge)),
            labels: Some(self.names.labels(key, Role::Network)),
            ..NetworkCreateRequest::default()
        };
        let during = format!("creating the network {}", names.network);
        let call = self.docker.create_network(request);
        let created = self.bounded(during, self.config.deadlines.change, call).await?;
        Ok(WorkloadNetwork { id: created.id, name: names.network.clone(), subnet })
    }

    fn bridge_options(&self, bridge: &str) -> HashMap<String, String> {
        let isolation = if self.engine_major >= ISOLATED_GATEWAY_SINCE {
            ("com.docker.network.bridge.gateway_mode_ipv4", "isolated")
        } else {
            ("com.docker.network.bridge.inhibit_ipv4", "true")
        };
        [("com.docker.network.bridge.name", bridge), isolation]
            .into_iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    /// A network of this name is taken over only where it isolates as ours
    /// do.
    fn adopt_network(
        &self,
        names: &InstanceNames,
        found: &NetworkInspect,
    ) -> Result<WorkloadNetwork, RuntimeError> {
        let ours = found
            .labels
            .as_ref()
            .and_then(|labels| labels.get(label::PROVIDER))
            .is_some_and(|provider| provider == self.names.provider_id());
        let isolated = found.options.as_ref().is_some_and(|options| {
            self.bridge_options(&names.bridge)
                .iter()
                .all(|(name, value)| options.get(name) == Some(value))
        });
        if !ours || !isolated || found.internal != Some(true) {
            return Err(RuntimeError::Setup(format!(
                "a network named {} exists but is not this provider's or is not isolated; \
                 remove it",
                names.network
            )));
        }
        let subnet = subnet_of(found.ipam.as_ref()).ok_or_else(|| {
            RuntimeError::Setup(format!("the network {} has no /28 subnet", names.network))
        })?;
        let id = found.id.clone().unwrap_or_default();
        Ok(WorkloadNetwork { id, name: names.network.clone(), subnet })
    }

    /// All subnets of the engine's networks, whoever made them.
    async fn taken_subnets(&self) -> Result<Vec<Taken>, RuntimeError> {
        let call = self.docker.list_networks(None::<ListNetworksOptions>);
        let networks = self.bounded("listing networks", self.config.deadlines.query, call).await?;
        Ok(networks
            .iter()
            .filter_map(|network| network.ipam.as_ref()?.config.as_ref())
            .flatten()
            .filter_map(|config| Taken::parse(config.subnet.as_ref()?))
            .collect())
    }

    pub(super) async fn inspect_network(
        &self,
        name: &str,
    ) -> Result<Option<NetworkInspect>, RuntimeError> {
        let call = self.docker.inspect_network(name, None::<InspectNetworkOptions>);
        let during = format!("looking for the network {name}");
        let found = absent_is_none(self.bounded(during, self.config.deadlines.query, call).await)?;
        // The engine also matches beginnings of ids.
        Ok(found.filter(|network| network.name.as_deref() == Some(name)))
    }

    /// Removes a network; gone already is no error. Containers that still
    /// hang on it are cut off first.
    pub(super) async fn remove_network(&self, name: &str) -> Result<(), RuntimeError> {
        let Some(network) = self.inspect_network(name).await? else { return Ok(()) };
        for container in network.containers.unwrap_or_default().into_keys() {
            let request = NetworkDisconnectRequest { container, force: Some(true) };
            let call = self.docker.disconnect_network(name, request);
            let during = format!("emptying the network {name}");
            absent_is_none(self.bounded(during, self.config.deadlines.change, call).await)?;
        }
        let call = self.docker.remove_network(name);
        let during = format!("removing the network {name}");
        absent_is_none(self.bounded(during, self.config.deadlines.change, call).await)?;
        Ok(())
    }
}

/// A container's place in the network.
pub(super) fn endpoint(network: &WorkloadNetwork, address: std::net::Ipv4Addr) -> NetworkingConfig {
    let settings = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..Default::default()
        }),
        ..Default::default()
    };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.name.clone(), settings)])) }
}

/// The one /28 of a network.
pub(super) fn subnet_of(ipam: Option<&Ipam>) -> Option<Subnet> {
    match ipam?.config.as_deref()? {
        [config] => Subnet::parse(config.subnet.as_ref()?),
        _ => None,
    }
}

/// The engine's words for a subnet that is in use, at an engine's network
/// or on the host.
fn is_overlap(error: &RuntimeError) -> bool {
    match error {
        RuntimeError::Refused { message, .. } | RuntimeError::Conflict { message, .. } => {
            message.contains("overlap")
        }
        _ => false,
    }
}
