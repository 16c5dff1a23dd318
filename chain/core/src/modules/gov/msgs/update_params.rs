//! Governance's own parameters.

use cosmos_sdk_proto::cosmos::gov::v1 as pb;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::gov::{check_authority, keys, Error, Params};
use crate::tx::Message;
use crate::types::Address;

/// Sets all of governance's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateParams {
    authority: Address,
    params: Params,
}

impl TryFrom<pb::MsgUpdateParams> for UpdateParams {
    type Error = Failure;

    fn try_from(msg: pb::MsgUpdateParams) -> Result<Self, Failure> {
        let params = Params::try_from(msg.params.unwrap_or_default());
        Ok(Self {
            authority: msg.authority.parse()?,
            params: params.map_err(Error::InvalidParams)?,
        })
    }
}

impl Message for UpdateParams {
    type Proto = pb::MsgUpdateParams;
    type Response = pb::MsgUpdateParamsResponse;

    fn signer(&self) -> Address {
        self.authority
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        check_authority(&self.authority)?;
        ctx.put(keys::params(), &self.params);
        Ok(pb::MsgUpdateParamsResponse {})
    }
}
