//! Brings one instance to what its spec says, by steps that can be repeated
//! from anywhere: network, link container, volumes, container, start. A
//! process that dies between two of them is continued by the next.

use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions,
};

use serde::{Deserialize, Serialize};

use super::container::{limits_of, link_body, link_hash, workload_body};
use super::error::absent_is_none;
use super::names::{label, InstanceKey, InstanceNames};
use super::network::{WorkloadNetwork, WorkloadNetworks};
use super::observe::limits_in;
use super::spec::WorkloadSpec;
use super::{DockerBackend, RuntimeError};
use crate::failpoint::failpoint;

/// How often and after what pause a conflict is looked at again.
const CONFLICTS_BORNE: u32 = 3;
const CONFLICT_PAUSE: Duration = Duration::from_millis(300);

/// What applying a spec changed about the workload's container. A link
/// container that had to be started anew is seen by observing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Applied {
    /// It ran already, as the spec says.
    Unchanged,
    /// The container was there and has been started.
    Started,
    /// There was no container; now one runs.
    Created,
    /// It ran, and runs on with other limits.
    Resized,
    /// The container was another spec's, or not usable, and was replaced.
    Replaced,
}

impl DockerBackend {
    /// Looks again where something of the same name or in use was in the
    /// way: a call of a daemon that died may only now come to its end.
    pub(super) async fn apply_instance(
        &self,
        spec: &WorkloadSpec,
    ) -> Result<Applied, RuntimeError> {
        spec.validate()?;
        // Two that fill one volume would each begin anew: a caller that gave up
        // waiting asks again while the first is still at it.
        let turn = spec.has_data().then(|| self.turns.of(&self.names.instance(&spec.key).workload));
        let _turn = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        for _ in 0..CONFLICTS_BORNE {
            match Box::pin(self.apply_once(spec)).await {
                Err(RuntimeError::Conflict { .. }) => tokio::time::sleep(CONFLICT_PAUSE).await,
                result => return result,
            }
        }
        Box::pin(self.apply_once(spec)).await
    }

    async fn apply_once(&self, spec: &WorkloadSpec) -> Result<Applied, RuntimeError> {
        let names = self.names.instance(&spec.key);
        let networks = Box::pin(self.ensure_networks(spec, &names)).await?;
        failpoint("runtime.after_network_create");
        Box::pin(self.ensure_link(&spec.key, &names, &networks.own)).await?;
        Box::pin(self.ensure_volumes(spec)).await?;
        failpoint("runtime.after_volume_create");
        let applied = Box::pin(self.ensure_workload(spec, &names, &networks)).await?;
        failpoint("runtime.after_container_start");
        if networks.egress.is_none() {
            // Of another spec, whose container is gone.
            self.remove_network(&names.egress).await?;
        }
        Ok(applied)
    }

    async fn ensure_networks(
        &self,
        spec: &WorkloadSpec,
        names: &InstanceNames,
    ) -> Result<WorkloadNetworks, RuntimeError> {
        let own = self.ensure_network(&spec.key, names).await?;
        if !spec.network.egress {
            return Ok(WorkloadNetworks { own, egress: None });
        }
        let egress = self.ensure_egress_network(&spec.key, names).await?;
        failpoint("runtime.after_egress_network_create");
        self.open_gateway(&egress).await;
        Ok(WorkloadNetworks { own, egress: Some(egress) })
    }

    async fn ensure_link(
        &self,
        key: &InstanceKey,
        names: &InstanceNames,
        network: &WorkloadNetwork,
    ) -> Result<(), RuntimeError> {
        let image = self.ensure_link_image().await?;
        let hash = link_hash(&image, network);
        let wanted = Wanted { hash, shape: String::new(), networks: vec![network] };
        let found = self.inspect_container(&names.link).await?;
        let state = wanted.judge(self.names.provider_id(), &names.link, found.as_ref())?;
        if state == Found::Unfit {
            self.remove_container(&names.link).await?;
        }
        if matches!(state, Found::Absent | Found::Unfit) {
            let body = link_body(key, &image, &self.names, network, &self.config);
            self.create_container(&names.link, body).await?;
            failpoint("runtime.after_link_create");
        }
        if state != Found::Running {
            self.start_container(&names.link).await?;
            failpoint("runtime.after_link_start");
        }
        Ok(())
    }

    async fn ensure_workload(
        &self,
        spec: &WorkloadSpec,
        names: &InstanceNames,
        networks: &WorkloadNetworks,
    ) -> Result<Applied, RuntimeError> {
        let attached = std::iter::once(&networks.own).chain(&networks.egress).collect();
        let wanted = Wanted { hash: spec.hash(), shape: spec.shape(), networks: attached };
        let found = self.inspect_container(&names.workload).await?;
        let mut state = wanted.judge(self.names.provider_id(), &names.workload, found.as_ref())?;
        let limits = limits_in(found.as_ref().and_then(|found| found.host_config.as_ref()));
        let resize = matches!(state, Found::Running | Found::Stopped) && limits != spec.limits();
        if resize && !self.resize(spec, &names.workload).await? {
            state = Found::Unfit;
        }
        if matches!(state, Found::Absent | Found::Unfit) {
            // Before anything that runs is stopped.
            self.check_passing_data(spec).await?;
        }
        match state {
            Found::Running if resize => return Ok(Applied::Resized),
            Found::Running => return Ok(Applied::Unchanged),
            Found::Stopped => self.start_container(&names.workload).await?,
            Found::Absent => self.create_workload(spec, names, networks).await?,
            Found::Unfit => {
                self.stop_container(&names.workload).await?;
                failpoint("runtime.after_container_stop");
                self.remove_container(&names.workload).await?;
                failpoint("runtime.after_container_remove");
                self.create_workload(spec, names, networks).await?;
            }
        }
        Ok(match state {
            Found::Unfit => Applied::Replaced,
            Found::Stopped => Applied::Started,
            Found::Absent | Found::Running => Applied::Created,
        })
    }

    async fn create_workload(
        &self,
        spec: &WorkloadSpec,
        names: &InstanceNames,
        networks: &WorkloadNetworks,
    ) -> Result<(), RuntimeError> {
        self.fill_passing_volumes(spec).await?;
        // Held over the creation only where there is something to choose.
        let choosing = match spec.gpu {
            Some(_) => Some(self.choosing_gpus.lock().await),
            None => None,
        };
        let gpus = self.choose_gpus(spec).await?;
        let body = workload_body(spec, &self.names, &networks.own, &self.config, self.host, &gpus);
        self.create_container(&names.workload, body).await?;
        drop(choosing);
        failpoint("runtime.after_container_create");
        if let Some(egress) = &networks.egress {
            let address = egress.subnet.workload();
            self.connect_network(egress, &names.workload, address).await?;
            failpoint("runtime.after_egress_connect");
        }
        self.start_container(&names.workload).await
    }

    /// Changes the limits of a container in place; false where the engine
    /// does not, as where more memory is in use than it is to have.
    async fn resize(&self, spec: &WorkloadSpec, name: &str) -> Result<bool, RuntimeError> {
        let call = self.docker.update_container(name, limits_of(spec, self.host));
        let during = format!("resizing the container {name}");
        match self.bounded(during, self.config.deadlines.change, call).await {
            Ok(()) => {
                failpoint("runtime.after_resize");
                Ok(true)
            }
            Err(error @ (RuntimeError::Unknown { .. } | RuntimeError::Absent { .. })) => Err(error),
            Err(error) => {
                tracing::info!("{error}; it is replaced instead");
                Ok(false)
            }
        }
    }

    pub(super) async fn create_container(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<(), RuntimeError> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let call = self.docker.create_container(Some(options), body);
        let during = format!("creating the container {name}");
        self.bounded(during, self.config.deadlines.change, call).await.map(|_| ())
    }

    pub(super) async fn start_container(&self, name: &str) -> Result<(), RuntimeError> {
        let call = self.docker.start_container(name, None::<StartContainerOptions>);
        let during = format!("starting the container {name}");
        self.bounded(during, self.config.deadlines.change, call).await
    }

    pub(super) async fn inspect_container(
        &self,
        name: &str,
    ) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        let call = self.docker.inspect_container(name, None::<InspectContainerOptions>);
        let during = format!("looking for the container {name}");
        absent_is_none(self.bounded(during, self.config.deadlines.query, call).await)
    }
}

/// What a container of some name should be.
struct Wanted<'a> {
    hash: String,
    /// Empty: only the hash counts.
    shape: String,
    /// All that it is to be in.
    networks: Vec<&'a WorkloadNetwork>,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Absent,
    /// Of another spec, on a network that is gone, or dead.
    Unfit,
    /// Fit, but not running.
    Stopped,
    /// Fit and running, or being restarted by the engine.
    Running,
}

impl Wanted<'_> {
    /// Compares; an error where the name is somebody else's container.
    fn judge(
        &self,
        provider_id: &str,
        name: &str,
        found: Option<&ContainerInspectResponse>,
    ) -> Result<Found, RuntimeError> {
        let Some(found) = found else { return Ok(Found::Absent) };
        let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
        let labelled = |name: &str| labels.and_then(|labels| labels.get(name)).map(String::as_str);
        if labelled(label::PROVIDER) != Some(provider_id) {
            return Err(RuntimeError::Setup(format!(
                "a container named {name} exists but is not this provider's; remove it"
            )));
        }
        let same_shape = !self.shape.is_empty() && labelled(label::SHAPE) == Some(&self.shape);
        let same = labelled(label::SPEC) == Some(&self.hash) || same_shape;
        if !same || !self.is_attached(found) {
            return Ok(Found::Unfit);
        }
        let state = found.state.as_ref().and_then(|state| state.status);
        Ok(match state {
            Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::RESTARTING) => {
                Found::Running
            }
            Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EXITED) => {
                Found::Stopped
            }
            _ => Found::Unfit,
        })
    }

    /// A container remembers its networks by id. Before its first start the
    /// engine may not tell the id yet.
    fn is_attached(&self, found: &ContainerInspectResponse) -> bool {
        let endpoints = found.network_settings.as_ref().and_then(|s| s.networks.as_ref());
        self.networks.iter().all(|network| {
            let endpoint = endpoints.and_then(|endpoints| endpoints.get(&network.name));
            let id = endpoint.and_then(|endpoint| endpoint.network_id.as_deref());
            let id = id.unwrap_or_default();
            endpoint.is_some() && (id.is_empty() || id == network.id)
        })
    }
}
