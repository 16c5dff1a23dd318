//! Governance's word on a provider.

use stoa_proto::provider::v1 as pb;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::gov;
use crate::modules::provider::set_jailed;
use crate::tx::Message;
use crate::types::Address;

/// Keeps a provider from bidding and closes its leases, or lets it bid again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetJailed {
    authority: Address,
    provider: Address,
    jailed: bool,
}

impl TryFrom<pb::MsgSetProviderJailed> for SetJailed {
    type Error = Failure;

    fn try_from(msg: pb::MsgSetProviderJailed) -> Result<Self, Failure> {
        Ok(Self {
            authority: msg.authority.parse()?,
            provider: msg.provider.parse()?,
            jailed: msg.jailed,
        })
    }
}

impl Message for SetJailed {
    type Proto = pb::MsgSetProviderJailed;
    type Response = pb::MsgSetProviderJailedResponse;

    fn signer(&self) -> Address {
        self.authority
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        gov::check_authority(&self.authority)?;
        set_jailed(ctx, &self.provider, self.jailed)?;
        Ok(pb::MsgSetProviderJailedResponse {})
    }
}
