//! Which of the provider's leases a call is about, and whether the caller
//! may speak of them. Asked of the chain anew: a match of a moment ago
//! counts, and so does a close.

use std::time::Duration;

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::deployment::v1::{Deployment, DeploymentState};
use stoa_client::proto::market::v1::Lease;
use stoa_client::proto::types::v1::{BidId, DeploymentId, GroupSpec};
use stoa_client::Error;
use tonic::Status;

use super::caller::Caller;
use super::Context;
use crate::chain::spec_of;

/// The tenant's node may be a block ahead of this provider's.
const ATTEMPTS: u32 = 8;
const BETWEEN: Duration = Duration::from_millis(500);

/// A lease of the provider's on a deployment.
pub(super) struct OwnLease {
    pub lease: BidId,
    pub spec: GroupSpec,
}

/// Refuses ids that are missing or another tenant's.
pub(super) fn own_deployment(
    id: Option<DeploymentId>,
    caller: &Caller,
) -> Result<DeploymentId, Status> {
    let id = id.ok_or_else(|| Status::invalid_argument("the deployment's id is missing"))?;
    if id.owner != caller.tenant {
        return Err(Status::permission_denied(format!(
            "deployment {} is not of {}, who calls",
            id.text(),
            caller.tenant
        )));
    }
    caller.may_touch_deployment(&id)?;
    Ok(id)
}

/// Refuses ids that are missing, another tenant's, or another provider's.
pub(super) fn own_lease(
    id: Option<BidId>,
    caller: &Caller,
    context: &Context,
) -> Result<BidId, Status> {
    let id = id.ok_or_else(|| Status::invalid_argument("the lease's id is missing"))?;
    if id.owner != caller.tenant {
        return Err(Status::permission_denied(format!(
            "lease {} is not of {}, who calls",
            id.text(),
            caller.tenant
        )));
    }
    caller.may_touch(&id)?;
    if id.provider != context.provider {
        return Err(Status::not_found(format!(
            "lease {} is at another provider; this one is {}",
            id.text(),
            context.provider
        )));
    }
    Ok(id)
}

/// The live leases here of a deployment, and the deployment. Waits a little
/// for a lease that is just being matched.
pub(super) async fn live_leases(
    context: &Context,
    id: &DeploymentId,
) -> Result<(Deployment, Vec<OwnLease>), Status> {
    let mut leases = vec![];
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        let all = context.reads.own_leases().await.map_err(unobservable)?;
        leases = all.into_iter().filter(|lease| is_of(lease, id)).collect();
        if !leases.is_empty() {
            break;
        }
    }
    if leases.is_empty() {
        return Err(Status::failed_precondition(format!(
            "provider {} has no live lease of deployment {}",
            context.provider,
            id.text()
        )));
    }
    let deployment = context.reads.deployment(id).await.map_err(unobservable)?;
    if deployment.state() != DeploymentState::Active {
        return Err(Status::failed_precondition(format!("deployment {} is closed", id.text())));
    }
    let mut own = vec![];
    for lease in leases.into_iter().filter_map(|lease| lease.id) {
        let spec = spec_of(context.reads.as_ref(), &lease).await.map_err(unobservable)?;
        own.push(OwnLease { lease, spec });
    }
    Ok((deployment, own))
}

fn is_of(lease: &Lease, id: &DeploymentId) -> bool {
    lease.id.as_ref().is_some_and(|lease| deployment_of(lease) == *id)
}

/// Who shares a deployment: its live leases, at whichever providers, as the
/// chain lists them now.
pub(super) async fn sharing(context: &Context, id: &DeploymentId) -> Result<Vec<BidId>, Status> {
    let leases = context.reads.leases_of(id).await.map_err(unobservable)?;
    Ok(leases.into_iter().filter_map(|lease| lease.id).collect())
}

/// The chain cannot be asked, or does not know the thing.
pub(super) fn unobservable(error: Error) -> Status {
    match error {
        Error::NotFound(what) => Status::not_found(what),
        error => Status::unavailable(format!("the chain cannot be observed now: {error}")),
    }
}
