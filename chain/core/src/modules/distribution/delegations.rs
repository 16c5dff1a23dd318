//! A delegation's rewards: what they are, and their payment.

use super::{
    add_to_pool, keys, put_rewards, remainder, rewards, FineCoins, Start, ValidatorRewards,
};
use crate::ctx::Ctx;
use crate::event::Event;
use crate::modules::{bank, staking};
use crate::types::{Address, Coins, Dec, ValAddress};

/// Pays what a delegation has earned, and lets it begin anew. None where there
/// is no such delegation.
pub fn withdraw(ctx: &mut Ctx<'_>, delegator: &Address, validator: &Address) -> Option<Coins> {
    let (paid, rewards) = settle(ctx, delegator, validator)?;
    begin(ctx, delegator, validator, &rewards);
    Some(paid)
}

/// Hook: before a delegation is made, changed or removed. Pays what it has
/// earned so far; ends the validator's period.
pub fn before_delegation_changed(ctx: &mut Ctx<'_>, delegator: &Address, validator: &Address) {
    if settle(ctx, delegator, validator).is_some() {
        // It may be about to go; if it is not, it begins anew afterwards.
        ctx.remove(keys::start(delegator, validator));
    } else {
        let mut rewards = rewards(ctx, validator);
        end_period(ctx, validator, &mut rewards);
        put_rewards(ctx, validator, &rewards);
    }
}

/// Hook: after a delegation was made or changed, and not when it was removed.
pub fn after_delegation_changed(ctx: &mut Ctx<'_>, delegator: &Address, validator: &Address) {
    let rewards = rewards(ctx, validator);
    begin(ctx, delegator, validator, &rewards);
}

/// What a delegation would be paid if it were withdrawn now, the delegator's
/// remainder aside. None where there is no such delegation.
pub fn pending(ctx: &Ctx<'_>, delegator: &Address, validator: &Address) -> Option<FineCoins> {
    let start = start(ctx, delegator, validator)?;
    let mut rewards = rewards(ctx, validator);
    rewards.end_period(shares(ctx, validator));
    let delegation = staking::delegation(ctx, delegator, validator)?;
    Some(owed(&rewards, &start, delegation.shares))
}

/// Ends the validator's period. What nobody has a share of goes to the
/// community.
pub fn end_period(ctx: &mut Ctx<'_>, validator: &Address, rewards: &mut ValidatorRewards) {
    let unshared = rewards.end_period(shares(ctx, validator));
    add_to_pool(ctx, &unshared);
}

/// Where the account's rewards are paid.
pub fn withdraw_address(ctx: &Ctx<'_>, delegator: &Address) -> Address {
    ctx.get(&keys::withdraw_address(delegator)).unwrap_or(*delegator)
}

/// Where a delegation's rewards begin.
pub fn start(ctx: &Ctx<'_>, delegator: &Address, validator: &Address) -> Option<Start> {
    ctx.get(&keys::start(delegator, validator))
}

fn begin(ctx: &mut Ctx<'_>, delegator: &Address, validator: &Address, rewards: &ValidatorRewards) {
    let start = Start { earned: rewards.earned.clone(), height: ctx.height() };
    ctx.put(keys::start(delegator, validator), &start);
}

/// Ends the validator's period and pays a delegation what it has earned. The
/// delegation's start is left as it was.
fn settle(
    ctx: &mut Ctx<'_>,
    delegator: &Address,
    validator: &Address,
) -> Option<(Coins, ValidatorRewards)> {
    let start = start(ctx, delegator, validator)?;
    let delegation = staking::delegation(ctx, delegator, validator)?;
    let mut rewards = rewards(ctx, validator);
    end_period(ctx, validator, &mut rewards);
    let earned = owed(&rewards, &start, delegation.shares);
    rewards.outstanding.take_all(&earned);
    put_rewards(ctx, validator, &rewards);
    let paid = pay(ctx, delegator, &earned);
    let event = Event::new("withdraw_rewards").with("amount", &paid);
    ctx.emit(event.with("validator", ValAddress::from(*validator)).with("delegator", delegator));
    Some((paid, rewards))
}

/// What a delegation has earned to the end of the last period. Ratios round
/// down, so there is as much; the validator's own is not touched in any case.
fn owed(rewards: &ValidatorRewards, start: &Start, shares: Dec) -> FineCoins {
    let mut left = rewards.outstanding.clone();
    left.take_all(&rewards.commission);
    rewards.earned_since(start, shares).map(|denom, money| money.min(left.of(denom)))
}

/// Pays whole units. A fraction is not lost to the community as in the Cosmos
/// SDK: the delegator's account of remainders keeps it until, with other
/// rewards, it makes a unit.
fn pay(ctx: &mut Ctx<'_>, delegator: &Address, earned: &FineCoins) -> Coins {
    if earned.is_empty() {
        return Coins::new();
    }
    let key = keys::remainder(delegator);
    let mut remainder = remainder(ctx, delegator);
    remainder.add_all(earned);
    let whole = remainder.take_whole();
    if remainder.is_empty() {
        ctx.remove(key);
    } else {
        ctx.put(key, &remainder);
    }
    let to = withdraw_address(ctx, delegator);
    whole.iter().for_each(|coin| bank::give(ctx, &to, &coin));
    whole
}

fn shares(ctx: &Ctx<'_>, validator: &Address) -> Dec {
    staking::validator(ctx, validator).map_or(Dec::ZERO, |validator| validator.shares)
}
