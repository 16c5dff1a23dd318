//! Setting the parameters.

use cosmos_sdk_proto::cosmos::mint::v1beta1 as pb;

use super::{keys, Params};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::gov;
use crate::tx::Message;
use crate::types::Address;

/// Sets the parameters, as governance has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateParams {
    authority: Address,
    params: Params,
}

impl TryFrom<pb::MsgUpdateParams> for UpdateParams {
    type Error = Failure;

    fn try_from(msg: pb::MsgUpdateParams) -> Result<Self, Failure> {
        let params = msg.params.unwrap_or_default().try_into();
        Ok(Self {
            authority: msg.authority.parse()?,
            params: params.map_err(SdkError::InvalidRequest)?,
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
        gov::check_authority(&self.authority)?;
        ctx.put(keys::params(), &self.params);
        Ok(pb::MsgUpdateParamsResponse {})
    }
}
