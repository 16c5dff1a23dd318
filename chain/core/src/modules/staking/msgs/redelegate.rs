//! Moving stake from one validator to another at once.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event::Event;
use crate::modules::staking::book::put_redelegation;
use crate::modules::staking::delegate::{delegate, existing, shares_worth, unbond, Source};
use crate::modules::staking::{
    has_redelegation_to, params, proto, redelegation, validator, Error, Redelegation,
    RedelegationEntry, Status, Validator,
};
use crate::tx::Message;
use crate::types::{rfc3339, timestamp, Address, Amount, Coin, Denom, ValAddress};

/// Stake from one validator to another. It answers for the first until its
/// unbonding time is over, and cannot be redelegated onwards before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginRedelegate {
    delegator: Address,
    from: Address,
    to: Address,
    amount: Amount,
}

impl TryFrom<pb::MsgBeginRedelegate> for BeginRedelegate {
    type Error = Failure;

    fn try_from(msg: pb::MsgBeginRedelegate) -> Result<Self, Failure> {
        let (from, to) = (
            proto::operator(&msg.validator_src_address)?,
            proto::operator(&msg.validator_dst_address)?,
        );
        if from == to {
            return Err(Error::SelfRedelegation.into());
        }
        let amount = proto::stake(msg.amount)?;
        Ok(Self { delegator: msg.delegator_address.parse()?, from, to, amount })
    }
}

impl Message for BeginRedelegate {
    type Proto = pb::MsgBeginRedelegate;
    type Response = pb::MsgBeginRedelegateResponse;

    fn signer(&self) -> Address {
        self.delegator
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { delegator, from, to, amount } = self;
        let shares = shares_worth(ctx, &delegator, &from, amount)?;
        validator(ctx, &to).ok_or(Error::UnknownDestination(to.into()))?;
        if has_redelegation_to(ctx, &delegator, &from) {
            return Err(Error::TransitiveRedelegation(delegator, from.into()).into());
        }
        let found = redelegation(ctx, &delegator, &from, &to);
        let mut under_way = found.unwrap_or_else(|| Redelegation::new(&delegator, &from, &to));
        let most = params(ctx).max_entries;
        if u32::try_from(under_way.entries.len()).is_ok_and(|count| count >= most) {
            return Err(Error::TooManyRedelegations(most).into());
        }
        // Read before the shares leave: it may be gone with them.
        let answers = answers_until(ctx, &existing(ctx, &from)?);
        let amount = unbond(ctx, &delegator, &from, shares);
        if amount.is_zero() {
            return Err(Error::TinyRedelegation.into());
        }
        let shares = delegate(ctx, &delegator, &to, amount, Source::Staking)?;
        if let Some((height, completes_at)) = answers {
            let entry = RedelegationEntry { height, completes_at, initial: amount, shares };
            under_way.entries.push(entry);
            put_redelegation(ctx, &under_way);
        }
        let completes_at = answers.map_or(ctx.now(), |(_, completes_at)| completes_at);
        let event = Event::new("redelegate")
            .with("source_validator", ValAddress::from(from))
            .with("destination_validator", ValAddress::from(to))
            .with("amount", Coin::new(Denom::stake(), amount))
            .with("completion_time", rfc3339(completes_at));
        ctx.emit(event);
        Ok(pb::MsgBeginRedelegateResponse { completion_time: Some(timestamp(completes_at)) })
    }
}

/// For which height on and until when stake that leaves now answers for the
/// validator; none where its stake is free already.
fn answers_until(ctx: &Ctx<'_>, from: &Validator) -> Option<(u64, u64)> {
    match from.status {
        Status::Bonded => {
            Some((ctx.height(), ctx.now().saturating_add(params(ctx).unbonding_time)))
        }
        Status::Unbonding { height, completes_at } => {
            Some((height, completes_at)).filter(|_| completes_at > ctx.now())
        }
        Status::Unbonded => None,
    }
}
