//! Queries about deployments.

use stoa_proto::deployment::v1 as pb;

use super::{
    get, group, groups, keys, params, Deployment, DeploymentError, DeploymentState, Group,
    GroupState,
};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::page;
use crate::query::Router;
use crate::types::{Address, Denom, DeploymentId, GroupId};

/// Numbers of groups among which a deployment's answer looks for CLOSED ones.
const MAX_LOOKED_AT: usize = 100;
/// Bytes of CLOSED groups in a deployment's answer.
const MAX_CLOSED_BYTES: usize = 256 << 10;

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/stoa.deployment.v1.Query/Deployment", query_deployment);
    router.mount("/stoa.deployment.v1.Query/Deployments", query_deployments);
    router.mount("/stoa.deployment.v1.Query/Group", query_group);
    router.mount("/stoa.deployment.v1.Query/Params", query_params);
}

fn state_to_proto(state: DeploymentState) -> pb::DeploymentState {
    match state {
        DeploymentState::Active => pb::DeploymentState::Active,
        DeploymentState::Closed => pb::DeploymentState::Closed,
    }
}

fn to_proto(id: DeploymentId, deployment: &Deployment) -> pb::Deployment {
    pb::Deployment {
        id: Some(id.into()),
        state: state_to_proto(deployment.state).into(),
        version: deployment.version.as_bytes().to_vec(),
        manifest_root: deployment.manifest_root.as_bytes().to_vec(),
        denom: deployment.denom.to_string(),
        bid_window: deployment.bid_window,
        auction: deployment.auction.to_proto().into(),
        sealed: deployment.sealed,
        reopen: deployment.reopen,
        created_at: deployment.created_at,
        created_height: deployment.created_height,
        closed_at: deployment.closed_at,
        groups: deployment.groups,
    }
}

fn group_to_proto(id: GroupId, group: &Group, denom: &Denom) -> pb::Group {
    let state = match group.state {
        GroupState::Open => pb::GroupState::Open,
        GroupState::Paused => pb::GroupState::Paused,
        GroupState::Closed => pb::GroupState::Closed,
    };
    pb::Group {
        id: Some(id.into()),
        state: state.into(),
        spec: Some(group.spec.to_proto(denom)),
        orders: group.orders,
    }
}

/// The deployment with its groups; of the CLOSED ones, of which there may be
/// any number, the newest.
fn whole(ctx: &Ctx<'_>, id: DeploymentId, deployment: &Deployment) -> pb::QueryDeploymentResponse {
    let mut found = groups(ctx, id);
    found.extend(newest_closed(ctx, id, deployment));
    found.sort_by_key(|(id, _)| *id);
    let groups = found.iter().map(|(id, group)| group_to_proto(*id, group, &deployment.denom));
    pb::QueryDeploymentResponse {
        deployment: Some(to_proto(id, deployment)),
        groups: groups.collect(),
    }
}

fn newest_closed(
    ctx: &Ctx<'_>,
    id: DeploymentId,
    deployment: &Deployment,
) -> Vec<(GroupId, Group)> {
    let mut bytes = 0usize;
    let numbers = (1..=deployment.groups).rev().take(MAX_LOOKED_AT);
    let closed = numbers.filter_map(|gseq| {
        let key = keys::closed_group(id.group(gseq));
        Some((id.group(gseq), ctx.get::<Group>(&key)?))
    });
    let fits = |(_, group): &(GroupId, Group)| {
        bytes = bytes.saturating_add(crate::state::encode(group).len());
        bytes <= MAX_CLOSED_BYTES
    };
    closed.take_while(fits).collect()
}

fn query_deployment(
    ctx: &Ctx<'_>,
    request: pb::QueryDeploymentRequest,
) -> Result<pb::QueryDeploymentResponse, Failure> {
    let id: DeploymentId = request.id.try_into()?;
    let deployment = get(ctx, id).ok_or(DeploymentError::NotFound(id))?;
    Ok(whole(ctx, id, &deployment))
}

fn query_deployments(
    ctx: &Ctx<'_>,
    request: pb::QueryDeploymentsRequest,
) -> Result<pb::QueryDeploymentsResponse, Failure> {
    let prefix = match request.owner.as_str() {
        "" => keys::deployments(),
        owner => keys::deployments_of(&owner.parse::<Address>()?),
    };
    let wanted = request.state;
    let (deployments, pagination) =
        page::collect(ctx, &prefix, request.pagination, |key, value| {
            let deployment: Deployment = crate::state::decode(key, value);
            let state = i32::from(state_to_proto(deployment.state));
            (wanted == 0 || wanted == state)
                .then(|| Some(whole(ctx, keys::deployment_id(key)?, &deployment)))
                .flatten()
        })?;
    Ok(pb::QueryDeploymentsResponse { deployments, pagination: Some(pagination) })
}

fn query_group(
    ctx: &Ctx<'_>,
    request: pb::QueryGroupRequest,
) -> Result<pb::QueryGroupResponse, Failure> {
    let id: GroupId = request.id.try_into()?;
    let found = group(ctx, id).ok_or(DeploymentError::GroupNotFound(id))?;
    let deployment = get(ctx, id.deployment).ok_or(DeploymentError::NotFound(id.deployment))?;
    Ok(pb::QueryGroupResponse { group: Some(group_to_proto(id, &found, &deployment.denom)) })
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    Ok(pb::QueryParamsResponse { params: Some(params(ctx).into()) })
}
