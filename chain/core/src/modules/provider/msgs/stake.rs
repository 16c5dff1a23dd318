//! Bonding stake, and beginning its way back.

use cosmos_sdk_proto::cosmos::base::v1beta1::Coin as PbCoin;
use stoa_proto::provider::v1 as pb;

use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event;
use crate::modules::bank;
use crate::modules::provider::{existing, put, rests, unbonding, Error, Provider};
use crate::tx::Message;
use crate::types::{Address, Amount, Coin, Denom};

/// Bonds coins from the owner's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stake {
    owner: Address,
    amount: Amount,
}

/// Takes bonded coins out; they return after the unbonding time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstake {
    owner: Address,
    amount: Amount,
}

impl TryFrom<pb::MsgStakeProvider> for Stake {
    type Error = Failure;

    fn try_from(msg: pb::MsgStakeProvider) -> Result<Self, Failure> {
        Ok(Self { owner: msg.owner.parse()?, amount: amount(msg.amount)? })
    }
}

impl TryFrom<pb::MsgUnstakeProvider> for Unstake {
    type Error = Failure;

    fn try_from(msg: pb::MsgUnstakeProvider) -> Result<Self, Failure> {
        Ok(Self { owner: msg.owner.parse()?, amount: amount(msg.amount)? })
    }
}

fn amount(coin: Option<PbCoin>) -> Result<Amount, Failure> {
    let missing = || SdkError::InvalidRequest("the amount is missing".to_owned());
    let coin = Coin::try_from(coin.ok_or_else(missing)?)?;
    if coin.denom != Denom::stake() {
        return Err(Error::StakeDenom(coin.denom.into()).into());
    }
    if coin.amount.is_zero() {
        return Err(Error::NoAmount.into());
    }
    Ok(coin.amount)
}

impl Message for Stake {
    type Proto = pb::MsgStakeProvider;
    type Response = pb::MsgStakeProviderResponse;

    fn signer(&self) -> Address {
        self.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let mut provider = existing(ctx, &self.owner)?;
        bank::take(ctx, &self.owner, &Coin::new(Denom::stake(), self.amount))?;
        // It fits: the supply is bounded.
        provider.stake = provider.stake.saturating_add(self.amount);
        put_stake(ctx, &provider);
        Ok(pb::MsgStakeProviderResponse {})
    }
}

impl Message for Unstake {
    type Proto = pb::MsgUnstakeProvider;
    type Response = pb::MsgUnstakeProviderResponse;

    fn signer(&self) -> Address {
        self.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let mut provider = existing(ctx, &self.owner)?;
        let (asked, bonded) = (self.amount, provider.stake);
        let left = bonded.checked_sub(asked).ok_or(Error::StakeTooSmall { asked, bonded })?;
        rests::check_stake(ctx, &self.owner, left)?;
        let completes_at = unbonding::begin(ctx, &self.owner, asked)?;
        provider.stake = left;
        put_stake(ctx, &provider);
        Ok(pb::MsgUnstakeProviderResponse { completes_at })
    }
}

fn put_stake(ctx: &mut Ctx<'_>, provider: &Provider) {
    put(ctx, provider);
    let stake = Coin::new(Denom::stake(), provider.stake);
    ctx.emit(event!(pb::EventProviderStake { provider: provider.owner, stake: stake }));
}
