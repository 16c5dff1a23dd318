//! A network for each workload: an internal bridge without a host address,
//! so that neither the host, nor the internet, nor another workload is on
//! it. And a second one for each that may reach the internet: a bridge that
//! leads out, but through a gateway that is opened behind the firewall alone;
//! see [`super::egress`].

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;

use bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest,
    NetworkCreateRequest, NetworkDisconnectRequest, NetworkInspect, NetworkingConfig,
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

/// The bridge driver's options.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
const WITHOUT_HOST_ADDRESS: &str = "com.docker.network.bridge.inhibit_ipv4";
const GATEWAY_MODE: &str = "com.docker.network.bridge.gateway_mode_ipv4";

const MTU: &str = "com.docker.network.driver.mtu";
/// What the engine gives a bridge unless told otherwise.
const USUAL_MTU: u32 = 1500;

/// A workload's network as it is at the engine.
#[derive(Debug, Clone)]
pub(super) struct WorkloadNetwork {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) subnet: Subnet,
    /// Its interface on the host.
    pub(super) bridge: String,
}

/// The networks of one workload.
#[derive(Debug, Clone)]
pub(super) struct WorkloadNetworks {
    /// Its own, with its link.
    pub(super) own: WorkloadNetwork,
    /// The one that leads to the internet.
    pub(super) egress: Option<WorkloadNetwork>,
}

/// What one of the two is to be like.
struct Wanted<'a> {
    name: &'a str,
    bridge: &'a str,
    role: Role,
    /// Nothing is forwarded from it or to it.
    internal: bool,
    options: HashMap<String, String>,
    /// Options of which one keeps the host off the bridge; it is made with
    /// the first.
    isolating: &'static [(&'static str, &'static str)],
}

impl DockerBackend {
    /// Finds or makes the instance's own network.
    pub(super) async fn ensure_network(
        &self,
        key: &InstanceKey,
        names: &InstanceNames,
    ) -> Result<WorkloadNetwork, RuntimeError> {
        self.ensure_wanted(key, self.own_network(names)).await
    }

    /// Finds or makes the instance's way to the internet, its gateway closed.
    pub(super) async fn ensure_egress_network(
        &self,
        key: &InstanceKey,
        names: &InstanceNames,
    ) -> Result<WorkloadNetwork, RuntimeError> {
        self.ensure_wanted(key, egress_network(names)).await
    }

    async fn ensure_wanted(
        &self,
        key: &InstanceKey,
        wanted: Wanted<'_>,
    ) -> Result<WorkloadNetwork, RuntimeError> {
        if let Some(found) = self.inspect_network(wanted.name).await? {
            return self.adopt_network(&wanted, &found);
        }
        let mut seed = DefaultHasher::new();
        wanted.bridge.hash(&mut seed);
        let taken = self.taken_subnets().await?;
        let mut last_conflict = String::new();
        for subnet in self.config.pool.free(seed.finish(), &taken).take(MAX_ATTEMPTS) {
            match self.create_network(key, &wanted, subnet).await {
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
        wanted: &Wanted<'_>,
        subnet: Subnet,
    ) -> Result<WorkloadNetwork, RuntimeError> {
        let request = NetworkCreateRequest {
            name: wanted.name.into(),
            driver: Some("bridge".into()),
            internal: Some(wanted.internal),
            attachable: Some(false),
            enable_ipv6: Some(false),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(subnet.to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            options: Some(wanted.options_when_made()),
            labels: Some(self.names.labels(key, wanted.role)),
            ..NetworkCreateRequest::default()
        };
        let during = format!("creating the network {}", wanted.name);
        let call = self.docker.create_network(request);
        let created = self.bounded(during, self.config.deadlines.change, call).await?;
        Ok(wanted.at(created.id, subnet))
    }

    fn own_network<'a>(&self, names: &'a InstanceNames) -> Wanted<'a> {
        Wanted {
            name: &names.network,
            bridge: &names.bridge,
            role: Role::Network,
            internal: true,
            options: options(&[(BRIDGE_NAME, &names.bridge)]),
            isolating: isolating(self.engine_major),
        }
    }

    /// A network of this name is taken over only where it isolates as ours
    /// do.
    fn adopt_network(
        &self,
        wanted: &Wanted<'_>,
        found: &NetworkInspect,
    ) -> Result<WorkloadNetwork, RuntimeError> {
        let ours = found
            .labels
            .as_ref()
            .and_then(|labels| labels.get(label::PROVIDER))
            .is_some_and(|provider| provider == self.names.provider_id());
        let isolated = found.options.as_ref().is_some_and(|options| wanted.is_made_so(options));
        if !ours || !isolated || found.internal != Some(wanted.internal) {
            return Err(RuntimeError::Setup(format!(
                "a network named {} exists but is not this provider's or is not isolated; \
                 remove it",
                wanted.name
            )));
        }
        let subnet = subnet_of(found.ipam.as_ref()).ok_or_else(|| {
            RuntimeError::Setup(format!("the network {} has no /28 subnet", wanted.name))
        })?;
        Ok(wanted.at(found.id.clone().unwrap_or_default(), subnet))
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

    /// Puts a container into one network more. To be done before its start, or
    /// it begins without.
    pub(super) async fn connect_network(
        &self,
        network: &WorkloadNetwork,
        container: &str,
        address: Ipv4Addr,
    ) -> Result<(), RuntimeError> {
        let request = NetworkConnectRequest {
            container: container.into(),
            endpoint_config: Some(at_address(address)),
        };
        let call = self.docker.connect_network(&network.name, request);
        let during = format!("connecting {container} to the network {}", network.name);
        self.bounded(during, self.config.deadlines.change, call).await
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

impl Wanted<'_> {
    /// A bridge that leads out through a link of smaller packets has them as
    /// well: not every router tells that one was too large.
    fn options_when_made(&self) -> HashMap<String, String> {
        let mut options = self.options.clone();
        let isolation = self.isolating.first();
        options.extend(isolation.map(|(name, value)| ((*name).into(), (*value).into())));
        let smaller = uplink_mtu().filter(|mtu| !self.internal && *mtu < USUAL_MTU);
        if let Some(mtu) = smaller {
            options.insert(MTU.into(), mtu.to_string());
        }
        options
    }

    fn is_made_so(&self, options: &HashMap<String, String>) -> bool {
        let has = |name: &str, value: &str| options.get(name).is_some_and(|has| has == value);
        self.options.iter().all(|(name, value)| has(name, value))
            && self.isolating.iter().any(|(name, value)| has(name, value))
    }

    fn at(&self, id: String, subnet: Subnet) -> WorkloadNetwork {
        WorkloadNetwork { id, name: self.name.into(), subnet, bridge: self.bridge.into() }
    }
}

/// The engine gives the bridge no address and masks nothing: both are done
/// behind the firewall, so that an engine which starts alone, or rules that
/// somebody flushes, open nothing.
fn egress_network(names: &InstanceNames) -> Wanted<'_> {
    Wanted {
        name: &names.egress,
        bridge: &names.egress_bridge,
        role: Role::Egress,
        internal: false,
        options: options(&[
            (BRIDGE_NAME, &names.egress_bridge),
            ("com.docker.network.bridge.enable_ip_masquerade", "false"),
            ("com.docker.network.bridge.enable_icc", "false"),
        ]),
        isolating: isolating(0),
    }
}

/// What keeps the host off an internal bridge. A newer engine knows what an
/// older one has made networks with, and not the other way round.
fn isolating(engine_major: u64) -> &'static [(&'static str, &'static str)] {
    const ALL: [(&str, &str); 2] = [(GATEWAY_MODE, "isolated"), (WITHOUT_HOST_ADDRESS, "true")];
    match engine_major >= ISOLATED_GATEWAY_SINCE {
        true => &ALL,
        false => &ALL[1..],
    }
}

/// Of the interface of the default route.
fn uplink_mtu() -> Option<u32> {
    let routes = std::fs::read_to_string("/proc/net/route").ok()?;
    let uplink = default_interface(&routes)?;
    std::fs::read_to_string(format!("/sys/class/net/{uplink}/mtu")).ok()?.trim().parse().ok()
}

/// Destination and mask of the default route are 0.
fn default_interface(routes: &str) -> Option<&str> {
    routes.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match (fields.first()?, *fields.get(1)?, *fields.get(7)?) {
            (interface, "00000000", "00000000") => Some(*interface),
            _ => None,
        }
    })
}

fn options(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
}

/// A container's place in the network.
pub(super) fn endpoint(network: &WorkloadNetwork, address: Ipv4Addr) -> NetworkingConfig {
    let settings = at_address(address);
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.name.clone(), settings)])) }
}

fn at_address(address: Ipv4Addr) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..Default::default()
        }),
        ..Default::default()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_an_older_engine_made_is_taken_over_and_one_that_does_not_isolate_is_not() {
        let wanted = |engine_major| Wanted {
            name: "n",
            bridge: "b",
            role: Role::Network,
            internal: true,
            options: options(&[(BRIDGE_NAME, "b")]),
            isolating: isolating(engine_major),
        };
        let (old, new) = (wanted(20), wanted(28));
        let (of_old, of_new) = (old.options_when_made(), new.options_when_made());
        assert_eq!(of_old, options(&[(BRIDGE_NAME, "b"), (WITHOUT_HOST_ADDRESS, "true")]));
        assert_eq!(of_new, options(&[(BRIDGE_NAME, "b"), (GATEWAY_MODE, "isolated")]));
        assert!(old.is_made_so(&of_old) && new.is_made_so(&of_new));
        assert!(new.is_made_so(&of_old), "after an upgrade of the engine");
        assert!(!old.is_made_so(&of_new), "an older engine gives such a bridge an address");
        assert!(!new.is_made_so(&options(&[(BRIDGE_NAME, "b")])));
        assert!(!new.is_made_so(&options(&[(BRIDGE_NAME, "c"), (GATEWAY_MODE, "isolated")])));
    }

    #[test]
    fn the_uplink_is_where_the_default_route_leads() {
        let head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n";
        let lan = "eth1\t0000000A\t00000000\t1\t0\t0\t0\t000000FF\n";
        let default = "eth0\t00000000\t01000A0A\t3\t0\t0\t0\t00000000\n";
        assert_eq!(default_interface(&format!("{head}{lan}{default}")), Some("eth0"));
        assert_eq!(default_interface(&format!("{head}{lan}")), None);
    }
}
