//! Distribution: fees and new coins to validators and their delegators by F1
//! periods, exact and at a constant cost for each delegation.
//!
//! Owns: each validator's outstanding rewards, commission and running period,
//! each delegation's start, fractions of units not paid yet, withdraw
//! addresses. The community pool is escrow's ([`crate::modules::escrow::pool`]).
//!
//! F1: a validator sums up what one share of it has earned by the end of each
//! period; a delegation gets its shares times what that sum has grown since
//! its start. The Cosmos SDK does it by tokens, which slashing takes, so that
//! it must go through a delegation's slashes and keep the sums of old periods
//! with counts of who refers to them. Of shares slashing takes none, and a
//! start holds the sum itself: there is nothing to go through or to count.
//!
//! Source: "F1 Fee Distribution", Ojha and Tonetti, 2019.
//!
//! Invariants: what is outstanding of a validator suffices for its commission
//! and all that its delegations have earned; each delegation has a start.

mod allocate;
mod coins;
mod delegations;
mod error;
mod genesis;
mod invariants;
mod keys;
mod msgs;
mod params;
mod query;
mod ratio;
mod records;
#[cfg(test)]
mod tests;
mod validators;

pub use allocate::{add_to_pool, allocate, begin_block};
pub use coins::FineCoins;
pub use delegations::{
    after_delegation_changed, before_delegation_changed, pending, withdraw, withdraw_address,
};
pub use error::DistributionError;
pub use genesis::{export, init, Genesis};
pub use invariants::{add_holdings, check_invariants};
pub use msgs::{
    CommunityPoolSpend, DepositValidatorRewardsPool, FundCommunityPool, SetWithdrawAddress,
    UpdateParams, WithdrawDelegatorReward, WithdrawValidatorCommission,
};
pub use params::{params, Params};
pub use query::routes;
pub use ratio::{Ratio, Ratios};
pub use records::{Slash, Start, ValidatorRewards};
pub use validators::{
    after_validator_created, after_validator_removed, before_validator_slashed, MAX_SLASHES,
};

use crate::ctx::Ctx;
use crate::types::Address;

/// What a validator has earned; nothing of one that is not known.
pub fn rewards(ctx: &Ctx<'_>, validator: &Address) -> ValidatorRewards {
    ctx.get(&keys::validator(validator)).unwrap_or_default()
}

/// Fractions of units that a delegator has earned and was not paid yet.
pub fn remainder(ctx: &Ctx<'_>, delegator: &Address) -> FineCoins {
    ctx.get(&keys::remainder(delegator)).unwrap_or_default()
}

fn put_rewards(ctx: &mut Ctx<'_>, validator: &Address, rewards: &ValidatorRewards) {
    ctx.put(keys::validator(validator), rewards);
}

fn all_rewards<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Address, ValidatorRewards)> + 'a {
    ctx.prefix(&keys::validators())
        .filter_map(|(key, value)| Some((keys::account(&key)?, crate::state::decode(&key, &value))))
}

/// Delegator, validator, start.
fn all_starts<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Address, Address, Start)> + 'a {
    ctx.prefix(&keys::starts()).filter_map(|(key, value)| {
        let (delegator, validator) = keys::start_parts(&key)?;
        Some((delegator, validator, crate::state::decode(&key, &value)))
    })
}

/// Validator, height, period, slash.
fn all_slashes<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Address, u64, u64, Slash)> + 'a {
    ctx.prefix(&keys::all_slashes()).filter_map(|(key, value)| {
        let (validator, height, period) = keys::slash_parts(&key)?;
        Some((validator, height, period, crate::state::decode(&key, &value)))
    })
}

fn all_remainders<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Address, FineCoins)> + 'a {
    ctx.prefix(&keys::remainders())
        .filter_map(|(key, value)| Some((keys::account(&key)?, crate::state::decode(&key, &value))))
}

fn withdraw_addresses<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Address, Address)> + 'a {
    ctx.prefix(&keys::withdraw_addresses())
        .filter_map(|(key, value)| Some((keys::account(&key)?, crate::state::decode(&key, &value))))
}
