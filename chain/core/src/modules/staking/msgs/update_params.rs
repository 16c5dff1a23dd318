//! Governance's message.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;

use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::gov;
use crate::modules::staking::{active_set, keys, Params};
use crate::tx::Message;
use crate::types::Address;

/// New parameters of staking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateParams {
    authority: Address,
    params: Params,
}

impl TryFrom<pb::MsgUpdateParams> for UpdateParams {
    type Error = Failure;

    fn try_from(msg: pb::MsgUpdateParams) -> Result<Self, Failure> {
        let params = msg.params.ok_or_else(|| "the parameters are missing".to_owned());
        let params = params.and_then(Params::try_from).map_err(SdkError::InvalidRequest)?;
        Ok(Self { authority: msg.authority.parse()?, params })
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
        // There may be room for more validators, or for fewer.
        active_set::mark_reordered(ctx);
        Ok(pb::MsgUpdateParamsResponse {})
    }
}
