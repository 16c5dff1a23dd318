//! Undelegating.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event::Event;
use crate::modules::staking::book::put_unbonding;
use crate::modules::staking::delegate::{shares_leaving, unbond};
use crate::modules::staking::{params, proto, unbonding, Error, Unbonding, UnbondingEntry};
use crate::tx::Message;
use crate::types::{rfc3339, timestamp, Address, Amount, Coin, Denom, ValAddress};

/// Coins from a validator back to their account, after the unbonding time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelegate {
    delegator: Address,
    validator: Address,
    amount: Amount,
}

impl TryFrom<pb::MsgUndelegate> for Undelegate {
    type Error = Failure;

    fn try_from(msg: pb::MsgUndelegate) -> Result<Self, Failure> {
        Ok(Self {
            delegator: msg.delegator_address.parse()?,
            validator: proto::operator(&msg.validator_address)?,
            amount: proto::stake(msg.amount)?,
        })
    }
}

impl Message for Undelegate {
    type Proto = pb::MsgUndelegate;
    type Response = pb::MsgUndelegateResponse;

    fn signer(&self) -> Address {
        self.delegator
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { delegator, validator, amount } = self;
        let shares = shares_leaving(ctx, &delegator, &validator, amount)?;
        let params = params(ctx);
        let found = unbonding(ctx, &delegator, &validator);
        let under_way = found.unwrap_or_else(|| Unbonding::new(&delegator, &validator));
        if u32::try_from(under_way.entries.len()).is_ok_and(|count| count >= params.max_entries) {
            return Err(Error::TooManyUnbondings(params.max_entries).into());
        }
        let amount = unbond(ctx, &delegator, &validator, shares);
        let completes_at = ctx.now().saturating_add(params.unbonding_time);
        begin(ctx, under_way, amount, completes_at);
        let coin = Coin::new(Denom::stake(), amount);
        let event = Event::new("unbond")
            .with("validator", ValAddress::from(validator))
            .with("delegator", delegator)
            .with("amount", &coin)
            .with("completion_time", rfc3339(completes_at));
        ctx.emit(event);
        Ok(pb::MsgUndelegateResponse {
            completion_time: Some(timestamp(completes_at)),
            amount: Some(coin.into()),
        })
    }
}

/// Adds an entry. What begins in one block and completes at one time is one;
/// what rounding has made nothing is none.
fn begin(ctx: &mut Ctx<'_>, mut unbonding: Unbonding, amount: Amount, completes_at: u64) {
    if amount.is_zero() {
        return;
    }
    let height = ctx.height();
    let same = |e: &&mut UnbondingEntry| e.height == height && e.completes_at == completes_at;
    match unbonding.entries.iter_mut().find(same) {
        Some(entry) => {
            entry.initial = entry.initial.saturating_add(amount);
            entry.balance = entry.balance.saturating_add(amount);
        }
        None => {
            let entry = UnbondingEntry { height, completes_at, initial: amount, balance: amount };
            unbonding.entries.push(entry);
        }
    }
    put_unbonding(ctx, &unbonding);
}
