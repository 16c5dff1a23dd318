//! What is there, read from the engine and from nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use bollard::models::{ContainerInspectResponse, HealthStatusEnum, HostConfig, Network};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::names::{key_of, label, InstanceKey, Role};
use super::network::subnet_of;
use super::place::Place;
use super::spec::{ImageRef, Limits, WorkloadSpec};
use super::subnet::{Subnet, SUBNET_PREFIX};
use super::{DockerBackend, RuntimeError};

/// Inspections under way at a time.
const PARALLEL_INSPECTIONS: usize = 8;

/// All of this provider's objects at one look. An error instead of an
/// observation means that nothing is known; it never means that nothing is
/// there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Observation {
    /// By instance, whichever of its objects exist.
    pub instances: BTreeMap<InstanceKey, ObservedInstance>,
    /// Leases that have persistent volumes.
    pub leases_with_volumes: BTreeSet<String>,
    /// Objects with this provider's label but without a readable key.
    pub unreadable: Vec<String>,
}

/// One instance, or what there is of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ObservedInstance {
    pub workload: Option<ObservedContainer>,
    pub link: Option<ObservedContainer>,
    pub network: Option<ObservedNetwork>,
    /// The network by which it reaches the internet.
    #[serde(default)]
    pub egress: Option<ObservedNetwork>,
    /// Whether the port that it exposes takes connections; `None` where there
    /// is none, where the image has a check of its own, or where nobody can
    /// say.
    #[serde(default)]
    pub answers: Option<bool>,
    #[serde(default)]
    pub place: Place,
}

/// A container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObservedContainer {
    pub id: String,
    pub name: String,
    pub state: ContainerState,
    pub health: Health,
    /// The process' id on the host while it runs.
    pub pid: Option<i64>,
    /// RFC 3339, as the engine gives them; `None` where it never started.
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub exit_code: i64,
    pub out_of_memory: bool,
    /// Restarts by the engine since it was made.
    pub restarts: i64,
    pub spec_hash: String,
    /// The spec's [`WorkloadSpec::shape`] when it was made.
    #[serde(default)]
    pub shape: String,
    /// What it may use now.
    #[serde(default)]
    pub limits: Limits,
    /// The port that tells whether it serves.
    #[serde(default)]
    pub probe_port: Option<u16>,
    pub manifest_version: String,
    pub generation: u64,
    pub image: ImageRef,
    /// The path of the network namespace while it runs.
    pub netns: Option<PathBuf>,
}

/// One of an instance's networks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ObservedNetwork {
    pub id: String,
    pub name: String,
    /// The addresses in it, where its subnet is one of ours.
    pub link_address: Option<Ipv4Addr>,
    pub workload_address: Option<Ipv4Addr>,
    /// The subnet's prefix; 0 where it is none of ours.
    #[serde(default)]
    pub prefix: u8,
    /// Addresses of the subnet that nobody has, in order: the link may take
    /// them for the names that the workload connects to.
    #[serde(default)]
    pub virtual_addresses: Vec<Ipv4Addr>,
}

/// A container's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    Created,
    Running,
    /// It ended and the engine will start it again after a pause.
    Restarting,
    Exited,
    /// Paused, dead, being removed: nothing that serves.
    Other,
}

/// What the image's health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// The image has no check.
    Unchecked,
    Starting,
    Healthy,
    Unhealthy,
}

impl ObservedInstance {
    /// How the data plane reaches a port of this workload: the link's
    /// network namespace, and the address in it. `None` until the link runs.
    pub fn way_to(&self, port: u16) -> Option<(PathBuf, SocketAddr)> {
        let netns = self.link.as_ref()?.netns.clone()?;
        let address = self.network.as_ref()?.workload_address?;
        Some((netns, (address, port).into()))
    }

    fn add_network(&mut self, network: &Network) {
        let role = network.labels.as_ref().and_then(|labels| labels.get(label::ROLE));
        let place = match role.map(String::as_str) {
            Some(role) if role == Role::Egress.as_str() => &mut self.egress,
            _ => &mut self.network,
        };
        *place = Some(ObservedNetwork::read(network));
    }

    /// True where both containers run and neither the image's check nor the
    /// exposed port says otherwise.
    pub fn is_serving(&self) -> bool {
        let running =
            |c: &Option<ObservedContainer>| c.as_ref().is_some_and(ObservedContainer::is_running);
        let health = self.workload.as_ref().map_or(Health::Unchecked, |c| c.health);
        running(&self.workload)
            && running(&self.link)
            && matches!(health, Health::Unchecked | Health::Healthy)
            && self.answers != Some(false)
    }
}

impl ObservedContainer {
    pub fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }

    /// Whether it is as the spec says. One that was resized has the hash of
    /// the spec that it was made of, and other limits.
    pub fn is_of(&self, spec: &WorkloadSpec) -> bool {
        (self.spec_hash == spec.hash() || self.shape == spec.shape())
            && self.limits == spec.limits()
    }

    fn read(inspected: ContainerInspectResponse) -> Self {
        let limits = limits_in(inspected.host_config.as_ref());
        let labels = inspected.config.and_then(|config| config.labels).unwrap_or_default();
        let labelled = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let state = inspected.state.unwrap_or_default();
        let running = state.running == Some(true);
        let settings = inspected.network_settings.unwrap_or_default();
        Self {
            id: inspected.id.unwrap_or_default(),
            name: inspected.name.unwrap_or_default().trim_start_matches('/').to_string(),
            state: state_of(&state),
            health: health_of(state.health.and_then(|health| health.status)),
            pid: state.pid.filter(|pid| running && *pid > 0),
            started_at: moment(state.started_at),
            finished_at: moment(state.finished_at),
            exit_code: state.exit_code.unwrap_or(0),
            out_of_memory: state.oom_killed.unwrap_or(false),
            restarts: inspected.restart_count.unwrap_or(0),
            spec_hash: labelled(label::SPEC),
            shape: labelled(label::SHAPE),
            limits,
            probe_port: labelled(label::PROBE).parse().ok(),
            manifest_version: labelled(label::MANIFEST),
            generation: labelled(label::GENERATION).parse().unwrap_or(0),
            image: ImageRef {
                id: inspected.image.unwrap_or_default(),
                source: labelled(label::IMAGE),
            },
            netns: settings
                .sandbox_key
                .filter(|path| running && !path.is_empty())
                .map(PathBuf::from),
        }
    }
}

impl ObservedNetwork {
    fn read(network: &Network) -> Self {
        let subnet = subnet_of(network.ipam.as_ref());
        Self {
            id: network.id.clone().unwrap_or_default(),
            name: network.name.clone().unwrap_or_default(),
            link_address: subnet.map(Subnet::link),
            workload_address: subnet.map(Subnet::workload),
            prefix: subnet.map_or(0, |_| SUBNET_PREFIX),
            virtual_addresses: subnet.map(Subnet::virtual_addresses).unwrap_or_default(),
        }
    }
}

impl DockerBackend {
    pub(super) async fn observe_all(&self) -> Result<Observation, RuntimeError> {
        let mut seen = Observation::default();
        for container in self.inspect_all().await? {
            seen.add_container(container);
        }
        for network in self.own_networks().await? {
            let labels = network.labels.clone().unwrap_or_default();
            match key_of(&labels) {
                Some(key) => seen.instances.entry(key).or_default().add_network(&network),
                None => seen.unreadable.push(network.name.unwrap_or_default()),
            }
        }
        seen.leases_with_volumes = self.leases_with_volumes().await?;
        self.prober.look(&mut seen).await;
        Ok(seen)
    }

    /// One instance; empty where none of its objects exists.
    pub(super) async fn observe_one(
        &self,
        key: &InstanceKey,
    ) -> Result<ObservedInstance, RuntimeError> {
        let names = self.names.instance(key);
        let workload = self.inspect_container(&names.workload).await?;
        let link = self.inspect_container(&names.link).await?;
        let filter = self.label_filter(&[
            (label::LEASE, &key.lease),
            (label::SERVICE, &key.service),
            (label::INSTANCE, &key.index.to_string()),
        ]);
        let networks = self.list_networks(&filter).await?;
        let mut instance = ObservedInstance {
            workload: workload.map(ObservedContainer::read),
            link: link.map(ObservedContainer::read),
            ..ObservedInstance::default()
        };
        networks.iter().for_each(|network| instance.add_network(network));
        self.prober.look_at(key, &mut instance).await;
        Ok(instance)
    }

    async fn inspect_all(&self) -> Result<Vec<ContainerInspectResponse>, RuntimeError> {
        let filter = self.provider_filter();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let call = self.docker.list_containers(Some(options));
        let listed = self.bounded("listing containers", self.config.deadlines.query, call).await?;
        let inspections = listed
            .into_iter()
            .filter_map(|container| container.id)
            .map(|id| async move { self.inspect_container(&id).await });
        // Gone between list and inspection: it is not there.
        let found: Vec<_> = futures::stream::iter(inspections)
            .buffer_unordered(PARALLEL_INSPECTIONS)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn own_networks(&self) -> Result<Vec<Network>, RuntimeError> {
        self.list_networks(&self.provider_filter()).await
    }

    pub(super) async fn list_networks(
        &self,
        filter: &HashMap<String, Vec<String>>,
    ) -> Result<Vec<Network>, RuntimeError> {
        let options = ListNetworksOptionsBuilder::default().filters(filter).build();
        let call = self.docker.list_networks(Some(options));
        self.bounded("listing networks", self.config.deadlines.query, call).await
    }

    async fn leases_with_volumes(&self) -> Result<BTreeSet<String>, RuntimeError> {
        let options = ListVolumesOptionsBuilder::default().filters(&self.provider_filter()).build();
        let call = self.docker.list_volumes(Some(options));
        let found = self.bounded("listing volumes", self.config.deadlines.query, call).await?;
        let volumes = found.volumes.unwrap_or_default();
        Ok(volumes.into_iter().filter_map(|mut v| v.labels.remove(label::LEASE)).collect())
    }
}

impl Observation {
    fn add_container(&mut self, inspected: ContainerInspectResponse) {
        let labels =
            inspected.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default();
        let role = labels.get(label::ROLE).map(String::as_str);
        let container = ObservedContainer::read(inspected);
        match (key_of(&labels), role) {
            (Some(key), Some(role)) if role == Role::Workload.as_str() => {
                self.instances.entry(key).or_default().workload = Some(container);
            }
            (Some(key), Some(role)) if role == Role::Link.as_str() => {
                self.instances.entry(key).or_default().link = Some(container);
            }
            // There only while a volume is filled.
            (Some(_), Some(role)) if role == Role::Filler.as_str() => {}
            _ => self.unreadable.push(container.name),
        }
    }
}

/// What a container may use, as the engine has it.
pub(super) fn limits_in(host: Option<&HostConfig>) -> Limits {
    let number = |value: Option<i64>| value.and_then(|v| u64::try_from(v).ok()).unwrap_or(0);
    Limits {
        memory_bytes: number(host.and_then(|host| host.memory)),
        cpu_shares: number(host.and_then(|host| host.cpu_shares)),
    }
}

fn state_of(state: &bollard::models::ContainerState) -> ContainerState {
    use bollard::models::ContainerStateStatusEnum as Engine;
    match state.status {
        Some(Engine::CREATED) => ContainerState::Created,
        Some(Engine::RUNNING) => ContainerState::Running,
        Some(Engine::RESTARTING) => ContainerState::Restarting,
        Some(Engine::EXITED) => ContainerState::Exited,
        _ => ContainerState::Other,
    }
}

fn health_of(status: Option<HealthStatusEnum>) -> Health {
    match status {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        _ => Health::Unchecked,
    }
}

/// The engine writes year 1 for "never".
fn moment(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty() && !text.starts_with("0001-"))
}
