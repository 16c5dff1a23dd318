//! Delegating again what is unbonding.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;

use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::modules::staking::book::put_unbonding;
use crate::modules::staking::delegate::{delegate, existing, Source};
use crate::modules::staking::{proto, unbonding, Error, UnbondingEntry};
use crate::tx::Message;
use crate::types::{Address, Amount, Coin, Denom, ValAddress};

/// Coins that are unbonding from a validator, back to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelUnbonding {
    delegator: Address,
    validator: Address,
    amount: Amount,
    height: u64,
}

impl TryFrom<pb::MsgCancelUnbondingDelegation> for CancelUnbonding {
    type Error = Failure;

    fn try_from(msg: pb::MsgCancelUnbondingDelegation) -> Result<Self, Failure> {
        let height = u64::try_from(msg.creation_height).ok().filter(|height| *height > 0);
        Ok(Self {
            delegator: msg.delegator_address.parse()?,
            validator: proto::operator(&msg.validator_address)?,
            amount: proto::stake(msg.amount)?,
            height: height.ok_or_else(|| {
                SdkError::InvalidRequest("creation_height is that of a block, over 0".to_owned())
            })?,
        })
    }
}

impl Message for CancelUnbonding {
    type Proto = pb::MsgCancelUnbondingDelegation;
    type Response = pb::MsgCancelUnbondingDelegationResponse;

    fn signer(&self) -> Address {
        self.delegator
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { delegator, validator, amount, height } = self;
        if existing(ctx, &validator)?.jailed {
            return Err(Error::Jailed(validator.into()).into());
        }
        self.take(ctx)?;
        delegate(ctx, &delegator, &validator, amount, Source::Staking)?;
        let event = Event::new("cancel_unbonding_delegation")
            .with("amount", Coin::new(Denom::stake(), amount))
            .with("validator", ValAddress::from(validator))
            .with("delegator", delegator)
            .with("creation_height", height);
        ctx.emit(event);
        Ok(pb::MsgCancelUnbondingDelegationResponse {})
    }
}

impl CancelUnbonding {
    /// Takes the coins out of the entry that began at the height and is not
    /// due yet.
    fn take(&self, ctx: &mut Ctx<'_>) -> Result<(), SdkError> {
        let Self { delegator, validator, amount, height } = self;
        let missing = || {
            let from = ValAddress::from(*validator);
            SdkError::NotFound(format!(
                "an unbonding of {delegator} from {from} that began at height {height}"
            ))
        };
        let mut unbonding = unbonding(ctx, delegator, validator).ok_or_else(missing)?;
        let now = ctx.now();
        let wanted = |e: &UnbondingEntry| e.height == *height && e.completes_at > now;
        let place = unbonding.entries.iter().position(wanted).ok_or_else(missing)?;
        let entry = unbonding.entries.get_mut(place).ok_or_else(missing)?;
        let balance = entry.balance;
        entry.balance = balance.checked_sub(*amount).ok_or_else(|| {
            SdkError::InvalidRequest(format!("{amount} is more than the {balance} that unbond"))
        })?;
        entry.initial = entry.initial.saturating_sub(*amount);
        if entry.balance.is_zero() {
            unbonding.entries.remove(place);
        }
        put_unbonding(ctx, &unbonding);
        Ok(())
    }
}
