//! A lease's status in the words of the gateway.

use std::collections::BTreeMap;

use stoa_client::proto::gateway::v1::{
    InstanceStatus, LeasePhase, LeaseStatusResponse, ServiceStatus,
};
use stoa_client::proto::types::v1::BidId;
use stoa_manifest::Group;

use super::observed::unix_seconds;
use crate::ingress::Reach;
use crate::runtime::{ContainerState, Health, InstanceKey, ObservedContainer, ObservedInstance};

type Seen = BTreeMap<InstanceKey, ObservedInstance>;
/// By service.
pub(super) type Reaches = BTreeMap<String, Reach>;

/// Phase and words alone.
pub(super) fn bare(
    id: &BidId,
    phase: LeasePhase,
    message: impl Into<String>,
) -> LeaseStatusResponse {
    LeaseStatusResponse {
        lease: Some(id.clone()),
        phase: phase.into(),
        message: message.into(),
        ..LeaseStatusResponse::default()
    }
}

/// With what is served.
pub(super) fn of_group(
    group: &Group,
    lease: &str,
    seen: &Seen,
    reaches: &Reaches,
) -> Vec<ServiceStatus> {
    let services = group.services.iter().map(|service| {
        let instances: Vec<InstanceStatus> = seen
            .iter()
            .filter(|(key, _)| key.lease == lease && key.service == service.name)
            .map(|(key, instance)| instance_status(key.index, instance))
            .collect();
        let serving = |(key, instance): (&InstanceKey, &ObservedInstance)| {
            let known = !instance.place.unknown && instance.is_serving();
            key.service == service.name && key.index < service.count && known
        };
        let ready = seen.iter().filter(|pair| serving(*pair)).count();
        let Reach { uris, ports, names } = reaches.get(&service.name).cloned().unwrap_or_default();
        ServiceStatus {
            name: service.name.clone(),
            wanted: service.count,
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            uris,
            instances,
            ports,
            names,
        }
    });
    services.collect()
}

fn instance_status(index: u32, seen: &ObservedInstance) -> InstanceStatus {
    if seen.place.unknown {
        let (state, message) = ("unknown".into(), "its machine does not answer".into());
        return InstanceStatus { index, state, message, ..InstanceStatus::default() };
    }
    let Some(workload) = &seen.workload else {
        let state = "absent".into();
        return InstanceStatus { index, state, ..InstanceStatus::default() };
    };
    InstanceStatus {
        index,
        state: state(workload).into(),
        started_at: workload.started_at.as_deref().and_then(unix_seconds).unwrap_or(0),
        restarts: u32::try_from(workload.restarts).unwrap_or(0),
        message: message(workload),
    }
}

fn state(workload: &ObservedContainer) -> &'static str {
    match workload.state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Restarting => "restarting",
        ContainerState::Exited => "exited",
        ContainerState::Other => "ending",
    }
}

fn message(workload: &ObservedContainer) -> String {
    if workload.out_of_memory {
        return "ended for want of memory".into();
    }
    if matches!(workload.state, ContainerState::Restarting | ContainerState::Exited) {
        return format!("ended with code {}", workload.exit_code);
    }
    match workload.health {
        Health::Unchecked => String::new(),
        Health::Starting => "health check not passed yet".into(),
        Health::Healthy => "healthy".into(),
        Health::Unhealthy => "health check fails".into(),
    }
}
