//! Setting the parameters.

use cosmos_sdk_proto::tendermint::types::ConsensusParams;
use stoa_proto::consensus::v1 as pb;

use super::{keys, Params};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::gov;
use crate::tx::Message;
use crate::types::Address;

/// Sets the parameters, all of them, as governance has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateParams {
    authority: Address,
    params: Params,
}

impl TryFrom<pb::MsgUpdateParams> for UpdateParams {
    type Error = Failure;

    fn try_from(msg: pb::MsgUpdateParams) -> Result<Self, Failure> {
        let pb::MsgUpdateParams { authority, block, evidence, validator, abci } = msg;
        let params = ConsensusParams { block, evidence, validator, abci, version: None };
        Ok(Self {
            authority: authority.parse()?,
            params: params.try_into().map_err(SdkError::InvalidRequest)?,
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
