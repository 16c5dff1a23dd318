//! Scaling a deployment by further groups.

use stoa_proto::deployment::v1 as pb;

use super::super::spec::GroupSpec;
use super::super::{groups, life};
use super::{active, check_funded, check_groups, deployment_id, parse_groups};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::tx::Message;
use crate::types::{Address, Denom, DeploymentId, Hash};

/// Adds groups to an ACTIVE deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddGroups {
    id: DeploymentId,
    groups: Vec<(GroupSpec, Denom)>,
    version: Hash,
    manifest_root: Hash,
}

impl TryFrom<pb::MsgAddGroups> for AddGroups {
    type Error = Failure;

    fn try_from(msg: pb::MsgAddGroups) -> Result<Self, Failure> {
        Ok(Self {
            id: deployment_id(&msg.owner, msg.dseq)?,
            groups: parse_groups(msg.groups)?,
            version: Hash::from_field("version", &msg.version)?,
            manifest_root: Hash::from_field("manifest_root", &msg.manifest_root)?,
        })
    }
}

impl Message for AddGroups {
    type Proto = pb::MsgAddGroups;
    type Response = pb::MsgAddGroupsResponse;

    fn signer(&self) -> Address {
        self.id.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let id = self.id;
        let denom = active(ctx, id)?.denom;
        // Closed groups count no more, and free their names.
        let taken: Vec<String> =
            groups(ctx, id).into_iter().map(|(_, group)| group.spec.name).collect();
        check_groups(ctx, &denom, &taken, &self.groups)?;
        check_funded(ctx, id, &denom)?;
        let mut deployment = active(ctx, id)?;
        let first = deployment.groups.saturating_add(1);
        let added = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        deployment.groups = deployment.groups.saturating_add(added);
        life::set_version(ctx, id, deployment, self.version, self.manifest_root);
        let mut orders = Vec::with_capacity(self.groups.len());
        for (gseq, (spec, _)) in (first..).zip(self.groups) {
            life::add_group(ctx, id.group(gseq), spec);
            orders.push(id.group(gseq).order(1).into());
        }
        Ok(pb::MsgAddGroupsResponse { orders })
    }
}
