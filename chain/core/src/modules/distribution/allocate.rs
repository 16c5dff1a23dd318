//! Who gets what of fees and new coins.

use super::{params, put_rewards, rewards, FineCoins};
use crate::ctx::Ctx;
use crate::event::Event;
use crate::input::{BlockInput, Vote};
use crate::modules::{bank, escrow, staking};
use crate::types::{mul_div_floor, Dec, Fine, ValAddress};

/// Allocates the fees collected so far: the community's tax to its pool, the
/// rest to the validators of the last commit by their voting power, whether
/// they signed or not (not signing is slashing's matter), as the Cosmos SDK
/// does since 0.47. What rounding leaves, or a validator that is no more,
/// goes to the pool.
pub fn begin_block(ctx: &mut Ctx<'_>, input: &BlockInput) {
    let fees = FineCoins::from(&bank::take_collected_fees(ctx));
    if fees.is_empty() {
        return;
    }
    let tax = params(ctx).community_tax;
    let shared = fees.map(|_, money| money.saturating_sub(tax.of_fine(money)));
    let total = input.votes.iter().map(|vote| u128::from(vote.power)).fold(0, u128::saturating_add);
    let mut left = fees;
    for vote in &input.votes {
        let reward = part(&shared, vote, total);
        if reward.is_empty() {
            continue;
        }
        if let Some(validator) = staking::validator_by_consensus(ctx, &vote.validator) {
            allocate(ctx, &validator, &reward);
            left.take_all(&reward);
        }
    }
    add_to_pool(ctx, &left);
}

/// Gives coins of this module's care to a validator: its commission, the rest
/// to its delegators.
pub fn allocate(ctx: &mut Ctx<'_>, validator: &staking::Validator, coins: &FineCoins) {
    let rate: Dec = validator.commission.rate.min(Dec::ONE);
    let commission = coins.map(|_, money| rate.of_fine(money));
    let mut shared = coins.clone();
    shared.take_all(&commission);
    let mut rewards = rewards(ctx, &validator.operator);
    rewards.commission.add_all(&commission);
    rewards.current.add_all(&shared);
    rewards.outstanding.add_all(coins);
    put_rewards(ctx, &validator.operator, &rewards);
    let operator = ValAddress::from(validator.operator);
    for (kind, amount) in [("commission", &commission), ("rewards", coins)] {
        ctx.emit(Event::new(kind).with("amount", amount).with("validator", operator));
    }
}

/// Gives coins of this module's care to the community.
pub fn add_to_pool(ctx: &mut Ctx<'_>, coins: &FineCoins) {
    coins.iter().for_each(|(denom, money)| escrow::add_to_pool(ctx, denom, money));
}

/// A vote's part of what is shared, by power, rounded down.
fn part(shared: &FineCoins, vote: &Vote, total: u128) -> FineCoins {
    shared.map(|_, money| {
        let part = mul_div_floor(money.raw(), u128::from(vote.power), total);
        Fine::from_raw(part.unwrap_or_default())
    })
}
