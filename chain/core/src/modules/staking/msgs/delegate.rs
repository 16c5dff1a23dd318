//! Delegating.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event::Event;
use crate::modules::staking::delegate::{delegate, Source};
use crate::modules::staking::proto;
use crate::tx::Message;
use crate::types::{Address, Amount, Coin, Denom, ValAddress};

/// Coins from an account to a validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    delegator: Address,
    validator: Address,
    amount: Amount,
}

impl TryFrom<pb::MsgDelegate> for Delegate {
    type Error = Failure;

    fn try_from(msg: pb::MsgDelegate) -> Result<Self, Failure> {
        Ok(Self {
            delegator: msg.delegator_address.parse()?,
            validator: proto::operator(&msg.validator_address)?,
            amount: proto::stake(msg.amount)?,
        })
    }
}

impl Message for Delegate {
    type Proto = pb::MsgDelegate;
    type Response = pb::MsgDelegateResponse;

    fn signer(&self) -> Address {
        self.delegator
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { delegator, validator, amount } = self;
        let shares = delegate(ctx, &delegator, &validator, amount, Source::Account)?;
        let event = Event::new("delegate")
            .with("validator", ValAddress::from(validator))
            .with("delegator", delegator)
            .with("amount", Coin::new(Denom::stake(), amount))
            .with("new_shares", shares);
        ctx.emit(event);
        Ok(pb::MsgDelegateResponse {})
    }
}
