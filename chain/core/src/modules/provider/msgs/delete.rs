//! Leaving.

use stoa_proto::provider::v1 as pb;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event;
use crate::modules::provider::{existing, remove, rests, unbonding, Error};
use crate::tx::Message;
use crate::types::Address;

/// Removes a provider without live lease and open bid; its stake unbonds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    owner: Address,
}

impl TryFrom<pb::MsgDeleteProvider> for Delete {
    type Error = Failure;

    fn try_from(msg: pb::MsgDeleteProvider) -> Result<Self, Failure> {
        Ok(Self { owner: msg.owner.parse()? })
    }
}

impl Message for Delete {
    type Proto = pb::MsgDeleteProvider;
    type Response = pb::MsgDeleteProviderResponse;

    fn signer(&self) -> Address {
        self.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let owner = self.owner;
        let provider = existing(ctx, &owner)?;
        // Else it could register anew, and be free.
        if provider.jailed {
            return Err(Error::Jailed(owner).into());
        }
        rests::check_delete(ctx, &owner)?;
        if !provider.stake.is_zero() {
            unbonding::begin(ctx, &owner, provider.stake)?;
        }
        remove(ctx, &owner);
        ctx.emit(event!(pb::EventProviderDeleted { provider: owner }));
        Ok(pb::MsgDeleteProviderResponse {})
    }
}
