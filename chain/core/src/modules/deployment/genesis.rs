//! Deployments at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{all, all_groups, keys, params, put_group, Deployment, Group, GroupState, Params};
use crate::ctx::Ctx;
use crate::modules::deadlines::{self, Deadline, Kind, Subject};
use crate::types::{Address, DeploymentId, GroupId};

/// Deployment's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Bounds.
    pub params: Params,
    /// By id.
    pub deployments: Vec<GenesisDeployment>,
    /// By id.
    pub groups: Vec<GenesisGroup>,
    /// Each owner's last dseq.
    pub last_dseqs: Vec<LastDseq>,
}

/// A deployment with its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisDeployment {
    /// Which.
    pub id: DeploymentId,
    /// The rest.
    pub deployment: Deployment,
}

/// A group with its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisGroup {
    /// Which.
    pub id: GroupId,
    /// The rest.
    pub group: Group,
}

/// An owner's last dseq.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastDseq {
    /// Whose.
    pub owner: Address,
    /// The next must exceed it.
    pub dseq: u64,
}

/// Writes them, and enters their pruning.
///
/// # Errors
/// Bounds that are wrong in themselves, or a group that is not CLOSED, without
/// its deployment.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    ctx.put(keys::params(), &genesis.params);
    for GenesisDeployment { id, deployment } in &genesis.deployments {
        ctx.put(keys::deployment(*id), deployment);
        if let Some(deadline) = deadlines_of(*id, deployment) {
            deadlines::schedule(ctx, deadline);
        }
    }
    for GenesisGroup { id, group } in &genesis.groups {
        // A closed one may be pruned a block after its deployment.
        let closed = group.state == GroupState::Closed;
        if !closed && !ctx.has(&keys::deployment(id.deployment)) {
            return Err(format!("group {id} has no deployment"));
        }
        put_group(ctx, *id, group);
        if let Some(deadline) = group_deadlines_of(*id, group) {
            deadlines::schedule(ctx, deadline);
        }
    }
    for LastDseq { owner, dseq } in &genesis.last_dseqs {
        ctx.put(keys::last_dseq(owner), dseq);
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let last = ctx.prefix(&keys::last_dseqs()).filter_map(|(key, value)| {
        let owner = keys::last_dseq_owner(&key)?;
        Some(LastDseq { owner, dseq: crate::state::decode(&key, &value) })
    });
    let mut groups: Vec<(GroupId, Group)> = all_groups(ctx).collect();
    groups.sort_by_key(|(id, _)| *id);
    Genesis {
        params: params(ctx),
        deployments: all(ctx)
            .map(|(id, deployment)| GenesisDeployment { id, deployment })
            .collect(),
        groups: groups.into_iter().map(|(id, group)| GenesisGroup { id, group }).collect(),
        last_dseqs: last.collect(),
    }
}

/// Where a deployment waits in the queue.
pub fn deadlines_of(id: DeploymentId, deployment: &Deployment) -> Option<Deadline> {
    let due = deployment.prune_at;
    (due > 0).then(|| Deadline::new(due, Kind::Pruning, Subject::Deployment(id)))
}

/// Where a group waits in the queue.
pub fn group_deadlines_of(id: GroupId, group: &Group) -> Option<Deadline> {
    let due = group.prune_at;
    (due > 0).then(|| Deadline::new(due, Kind::Pruning, Subject::Group(id)))
}
