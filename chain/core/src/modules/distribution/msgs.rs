//! Withdrawals, the community pool, parameters.

use cosmos_sdk_proto::cosmos::distribution::v1beta1 as pb;

use super::{add_to_pool, allocate, delegations, keys, params, validators, withdraw_address};
use super::{DistributionError, Params};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::modules::update_params::update_params;
use crate::modules::{auth, bank, escrow, gov, staking};
use crate::tx::Message;
use crate::types::{Address, Coins, ValAddress};

/// Has an account's rewards paid to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetWithdrawAddress {
    delegator: Address,
    address: Address,
}

impl TryFrom<pb::MsgSetWithdrawAddress> for SetWithdrawAddress {
    type Error = Failure;

    fn try_from(msg: pb::MsgSetWithdrawAddress) -> Result<Self, Failure> {
        Ok(Self {
            delegator: msg.delegator_address.parse()?,
            address: receiver(&msg.withdraw_address)?,
        })
    }
}

impl Message for SetWithdrawAddress {
    type Proto = pb::MsgSetWithdrawAddress;
    type Response = pb::MsgSetWithdrawAddressResponse;

    fn signer(&self) -> Address {
        self.delegator
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        if !params(ctx).withdraw_addr_enabled {
            return Err(DistributionError::WithdrawAddressDisabled.into());
        }
        let key = keys::withdraw_address(&self.delegator);
        if self.address != self.delegator {
            ctx.put(key, &self.address);
        } else if withdraw_address(ctx, &self.delegator) != self.delegator {
            ctx.remove(key);
        }
        let event = Event::new("set_withdraw_address");
        ctx.emit(event.with("withdraw_address", self.address));
        Ok(pb::MsgSetWithdrawAddressResponse {})
    }
}

/// Pays what a delegation has earned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawDelegatorReward {
    delegator: Address,
    validator: ValAddress,
}

impl TryFrom<pb::MsgWithdrawDelegatorReward> for WithdrawDelegatorReward {
    type Error = Failure;

    fn try_from(msg: pb::MsgWithdrawDelegatorReward) -> Result<Self, Failure> {
        Ok(Self {
            delegator: msg.delegator_address.parse()?,
            validator: msg.validator_address.parse()?,
        })
    }
}

impl Message for WithdrawDelegatorReward {
    type Proto = pb::MsgWithdrawDelegatorReward;
    type Response = pb::MsgWithdrawDelegatorRewardResponse;

    fn signer(&self) -> Address {
        self.delegator
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { delegator, validator } = self;
        let paid = delegations::withdraw(ctx, &delegator, &validator.account())
            .ok_or(DistributionError::NoDelegation { delegator, validator })?;
        Ok(pb::MsgWithdrawDelegatorRewardResponse { amount: paid.to_proto() })
    }
}

/// Pays a validator's commission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawValidatorCommission {
    validator: ValAddress,
}

impl TryFrom<pb::MsgWithdrawValidatorCommission> for WithdrawValidatorCommission {
    type Error = Failure;

    fn try_from(msg: pb::MsgWithdrawValidatorCommission) -> Result<Self, Failure> {
        Ok(Self { validator: msg.validator_address.parse()? })
    }
}

impl Message for WithdrawValidatorCommission {
    type Proto = pb::MsgWithdrawValidatorCommission;
    type Response = pb::MsgWithdrawValidatorCommissionResponse;

    fn signer(&self) -> Address {
        self.validator.account()
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let paid = validators::withdraw_commission(ctx, &self.validator.account());
        if paid.is_empty() {
            return Err(DistributionError::NoCommission(self.validator).into());
        }
        Ok(pb::MsgWithdrawValidatorCommissionResponse { amount: paid.to_proto() })
    }
}

/// Coins from an account to the community pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundCommunityPool {
    depositor: Address,
    coins: Coins,
}

impl TryFrom<pb::MsgFundCommunityPool> for FundCommunityPool {
    type Error = Failure;

    fn try_from(msg: pb::MsgFundCommunityPool) -> Result<Self, Failure> {
        Ok(Self { depositor: msg.depositor.parse()?, coins: some_coins(msg.amount)? })
    }
}

impl Message for FundCommunityPool {
    type Proto = pb::MsgFundCommunityPool;
    type Response = pb::MsgFundCommunityPoolResponse;

    fn signer(&self) -> Address {
        self.depositor
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        take_all(ctx, &self.depositor, &self.coins)?;
        add_to_pool(ctx, &(&self.coins).into());
        Ok(pb::MsgFundCommunityPoolResponse {})
    }
}

/// Coins from the community pool to an account, as governance has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommunityPoolSpend {
    authority: Address,
    recipient: Address,
    coins: Coins,
}

impl TryFrom<pb::MsgCommunityPoolSpend> for CommunityPoolSpend {
    type Error = Failure;

    fn try_from(msg: pb::MsgCommunityPoolSpend) -> Result<Self, Failure> {
        Ok(Self {
            authority: msg.authority.parse()?,
            recipient: receiver(&msg.recipient)?,
            coins: some_coins(msg.amount)?,
        })
    }
}

impl Message for CommunityPoolSpend {
    type Proto = pb::MsgCommunityPoolSpend;
    type Response = pb::MsgCommunityPoolSpendResponse;

    fn signer(&self) -> Address {
        self.authority
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        gov::check_authority(&self.authority)?;
        for coin in self.coins.iter() {
            escrow::take_from_pool(ctx, &coin).map_err(|_| {
                let pool: super::FineCoins = escrow::pool(ctx).collect();
                let has = pool.to_string();
                DistributionError::PoolTooSmall { wanted: self.coins.clone(), has }
            })?;
            bank::give(ctx, &self.recipient, &coin);
        }
        Ok(pb::MsgCommunityPoolSpendResponse {})
    }
}

/// Coins from an account to a validator and its delegators, as if it had
/// earned them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositValidatorRewardsPool {
    depositor: Address,
    validator: ValAddress,
    coins: Coins,
}

impl TryFrom<pb::MsgDepositValidatorRewardsPool> for DepositValidatorRewardsPool {
    type Error = Failure;

    fn try_from(msg: pb::MsgDepositValidatorRewardsPool) -> Result<Self, Failure> {
        Ok(Self {
            depositor: msg.depositor.parse()?,
            validator: msg.validator_address.parse()?,
            coins: some_coins(msg.amount)?,
        })
    }
}

impl Message for DepositValidatorRewardsPool {
    type Proto = pb::MsgDepositValidatorRewardsPool;
    type Response = pb::MsgDepositValidatorRewardsPoolResponse;

    fn signer(&self) -> Address {
        self.depositor
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let validator = staking::validator(ctx, &self.validator.account())
            .ok_or(DistributionError::NoValidator(self.validator))?;
        take_all(ctx, &self.depositor, &self.coins)?;
        allocate(ctx, &validator, &(&self.coins).into());
        Ok(pb::MsgDepositValidatorRewardsPoolResponse {})
    }
}

update_params! {
    /// Sets the parameters, as governance has decided.
    pb, Params, keys::params
}

fn some_coins(
    coins: Vec<cosmos_sdk_proto::cosmos::base::v1beta1::Coin>,
) -> Result<Coins, SdkError> {
    let coins = Coins::from_proto(coins)?;
    if coins.is_empty() {
        return Err(SdkError::InvalidCoins("none are named".to_owned()));
    }
    Ok(coins)
}

/// An account to which coins may go.
fn receiver(address: &str) -> Result<Address, SdkError> {
    let address = address.parse()?;
    if auth::is_module_account(&address) {
        return Err(SdkError::Unauthorized(format!(
            "{address} is not allowed to receive funds: it is a module's, without a key"
        )));
    }
    Ok(address)
}

fn take_all(ctx: &mut Ctx<'_>, from: &Address, coins: &Coins) -> Result<(), SdkError> {
    coins.iter().try_for_each(|coin| bank::take(ctx, from, &coin))
}
