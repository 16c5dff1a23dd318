//! Takes things away. Every call may be repeated, finds its objects by
//! label, and holds "gone already" for done.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};

use super::names::{label, InstanceKey};
use super::{DockerBackend, RuntimeError};
use crate::failpoint::failpoint;

/// The engine's filters: kind to values.
pub(super) type Filter = HashMap<String, Vec<String>>;

impl DockerBackend {
    pub(super) fn provider_filter(&self) -> Filter {
        self.label_filter(&[])
    }

    /// This provider's objects with these labels besides.
    pub(super) fn label_filter(&self, labels: &[(&str, &str)]) -> Filter {
        let own = (label::PROVIDER, self.names.provider_id());
        let values = std::iter::once(&own)
            .chain(labels)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        HashMap::from([("label".to_string(), values)])
    }

    /// Ends one instance: containers, networks and what goes with it. Its
    /// persistent volumes stay, they are the lease's.
    pub(super) async fn remove_one(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        let names = self.names.instance(key);
        self.stop_container(&names.workload).await?;
        self.remove_container(&names.workload).await?;
        failpoint("runtime.after_workload_remove");
        self.remove_container(&names.link).await?;
        failpoint("runtime.after_link_remove");
        self.remove_fillers(key).await?;
        self.remove_passing_volumes(key).await?;
        self.remove_network(&names.egress).await?;
        self.remove_network(&names.network).await
    }

    /// Ends everything that carries these labels, volumes too, whose names
    /// begin with `prefix`. Goes on after a failure, so that one stuck object
    /// strands no other, and reports the first.
    pub(super) async fn remove_labelled(
        &self,
        filter: &Filter,
        prefix: &str,
    ) -> Result<(), RuntimeError> {
        let mut first_failure = Ok(());
        let mut note = |result: Result<(), RuntimeError>| {
            if first_failure.is_ok() {
                first_failure = result;
            }
        };
        let containers = self.container_names(filter).await?;
        let stops = containers.iter().map(|name| self.stop_container(name));
        futures::future::join_all(stops).await.into_iter().for_each(&mut note);
        for name in &containers {
            note(self.remove_container(name).await);
        }
        failpoint("runtime.after_lease_containers_remove");
        for name in self.network_names(filter).await? {
            note(self.remove_network(&name).await);
        }
        failpoint("runtime.after_lease_networks_remove");
        note(self.remove_volumes(filter, prefix).await);
        failpoint("runtime.after_lease_volumes_remove");
        first_failure
    }

    pub(super) async fn container_names(
        &self,
        filter: &Filter,
    ) -> Result<Vec<String>, RuntimeError> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(filter).build();
        let call = self.docker.list_containers(Some(options));
        let found = self.bounded("listing containers", self.config.deadlines.query, call).await?;
        Ok(found.into_iter().filter_map(|container| container.id).collect())
    }

    async fn network_names(&self, filter: &Filter) -> Result<Vec<String>, RuntimeError> {
        let options = ListNetworksOptionsBuilder::default().filters(filter).build();
        let call = self.docker.list_networks(Some(options));
        let found = self.bounded("listing networks", self.config.deadlines.query, call).await?;
        Ok(found.into_iter().filter_map(|network| network.name).collect())
    }

    /// Asks a container to end, and kills it after the grace period.
    pub(super) async fn stop_container(&self, name: &str) -> Result<(), RuntimeError> {
        let grace = self.config.stop_grace;
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        let call = self.docker.stop_container(name, Some(options));
        let deadline = grace.saturating_add(self.config.deadlines.change);
        let during = format!("stopping the container {name}");
        match self.bounded(during, deadline, call).await {
            // 304: it does not run.
            Err(RuntimeError::Refused { status: 304, .. } | RuntimeError::Absent { .. }) => Ok(()),
            other => other,
        }
    }

    /// Removes a container with its unnamed volumes, and waits until the
    /// engine has let go of the name.
    pub(super) async fn remove_container(&self, name: &str) -> Result<(), RuntimeError> {
        const ATTEMPTS: u32 = 20;
        let during = format!("removing the container {name}");
        for _ in 0..ATTEMPTS {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            let call = self.docker.remove_container(name, Some(options));
            match self.bounded(during.as_str(), self.config.deadlines.change, call).await {
                Ok(()) | Err(RuntimeError::Absent { .. }) => return Ok(()),
                // "removal is already in progress", begun by a call that died.
                Err(RuntimeError::Conflict { .. }) => {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(RuntimeError::Conflict {
            during,
            message: "its removal does not come to an end".into(),
        })
    }
}
