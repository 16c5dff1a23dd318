//! Stopping and starting instances at the tenant's wish.

use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::EventKind;
use stoa_client::proto::types::v1::BidId;
use tonic::Status;

use super::super::logs::{engine_error, instances};
use super::super::Context;
use crate::runtime::{ContainerState, InstanceKey};

/// Restarts a service's instances, or one of them, one after the other. What
/// the provider has stopped stays so.
pub(in super::super) async fn restart(
    context: &Context,
    lease: &BidId,
    service: &str,
    instance: Option<u32>,
) -> Result<Vec<u32>, Status> {
    let name = lease.text();
    let wanted = instances(context, &name)?
        .into_iter()
        .filter(|key| key.service == service && instance.is_none_or(|index| key.index == index));
    let mut found: Vec<(InstanceKey, ContainerState)> = vec![];
    for key in wanted {
        let seen = context.backend.observe_instance(&key).await.map_err(engine_error)?;
        found.extend(seen.workload.map(|workload| (key, workload.state)));
    }
    if found.is_empty() {
        return Err(Status::not_found(format!(
            "lease {name} has no such instance of a service {service}; `stoa status` shows what \
             there is"
        )));
    }
    let stopped = found
        .iter()
        .find(|(_, state)| !matches!(state, ContainerState::Running | ContainerState::Restarting));
    if let Some((key, _)) = stopped {
        return Err(Status::failed_precondition(format!(
            "instance {}/{} was stopped; `stoa status` shows why, and an update starts it again",
            key.service, key.index
        )));
    }
    let mut done = vec![];
    for (key, _) in found {
        context.board.events().note_instance(&key, EventKind::Tenant, "a restart was asked for");
        context.backend.restart(&key).await.map_err(engine_error)?;
        done.push(key.index);
    }
    context.wake.notify_one();
    Ok(done)
}
