//! Updating and closing a deployment.

use stoa_proto::deployment::v1 as pb;

use super::super::{life, DeploymentError};
use super::{active, deployment_id};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::tx::Message;
use crate::types::{Address, DeploymentId, Hash};

/// Names a new manifest; the groups stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateDeployment {
    id: DeploymentId,
    version: Hash,
    manifest_root: Hash,
}

impl TryFrom<pb::MsgUpdateDeployment> for UpdateDeployment {
    type Error = Failure;

    fn try_from(msg: pb::MsgUpdateDeployment) -> Result<Self, Failure> {
        Ok(Self {
            id: deployment_id(&msg.owner, msg.dseq)?,
            version: Hash::from_field("version", &msg.version)?,
            manifest_root: Hash::from_field("manifest_root", &msg.manifest_root)?,
        })
    }
}

impl Message for UpdateDeployment {
    type Proto = pb::MsgUpdateDeployment;
    type Response = pb::MsgUpdateDeploymentResponse;

    fn signer(&self) -> Address {
        self.id.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let deployment = active(ctx, self.id)?;
        if deployment.version == self.version {
            return Err(DeploymentError::SameVersion(self.id).into());
        }
        life::set_version(ctx, self.id, deployment, self.version, self.manifest_root);
        Ok(pb::MsgUpdateDeploymentResponse {})
    }
}

/// Closes all groups, pays what is owed, and returns the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseDeployment {
    id: DeploymentId,
}

impl TryFrom<pb::MsgCloseDeployment> for CloseDeployment {
    type Error = Failure;

    fn try_from(msg: pb::MsgCloseDeployment) -> Result<Self, Failure> {
        Ok(Self { id: deployment_id(&msg.owner, msg.dseq)? })
    }
}

impl Message for CloseDeployment {
    type Proto = pb::MsgCloseDeployment;
    type Response = pb::MsgCloseDeploymentResponse;

    fn signer(&self) -> Address {
        self.id.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        active(ctx, self.id)?;
        let (returned, _) = life::close_deployment(ctx, self.id, "by_owner", ctx.now());
        Ok(pb::MsgCloseDeploymentResponse { refunded: returned.map(Into::into) })
    }
}
