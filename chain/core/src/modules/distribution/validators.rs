//! A validator's beginning, its slashes, its commission and its end.

use super::{add_to_pool, delegations, keys, put_rewards, rewards, withdraw_address};
use super::{Slash, ValidatorRewards};
use crate::ctx::Ctx;
use crate::event::Event;
use crate::modules::bank;
use crate::types::{Address, Coins, Dec};

/// Most slashes of a validator that are kept for those who ask; the oldest
/// make room.
pub const MAX_SLASHES: usize = 100;

/// Hook: a validator begins.
pub fn after_validator_created(ctx: &mut Ctx<'_>, validator: &Address) {
    put_rewards(ctx, validator, &ValidatorRewards::default());
}

/// Hook: a validator without delegations leaves the state; what is left of its
/// rewards goes to the community pool, its commission to its operator.
pub fn after_validator_removed(ctx: &mut Ctx<'_>, validator: &Address) {
    let mut rewards = rewards(ctx, validator);
    pay_commission(ctx, validator, &mut rewards);
    add_to_pool(ctx, &rewards.outstanding);
    ctx.remove(keys::validator(validator));
    let slashes: Vec<_> = ctx.prefix(&keys::slashes(validator)).map(|(key, _)| key).collect();
    slashes.into_iter().for_each(|key| ctx.remove(key));
}

/// Hook: before `fraction` of a validator's tokens is taken. Rewards are not
/// touched by it, for they go by shares.
pub fn before_validator_slashed(ctx: &mut Ctx<'_>, validator: &Address, fraction: Dec) {
    let mut rewards = rewards(ctx, validator);
    delegations::end_period(ctx, validator, &mut rewards);
    put_rewards(ctx, validator, &rewards);
    let kept: Vec<_> = ctx.prefix(&keys::slashes(validator)).map(|(key, _)| key).collect();
    let surplus = kept.len().saturating_add(1).saturating_sub(MAX_SLASHES);
    kept.into_iter().take(surplus).for_each(|key| ctx.remove(key));
    ctx.put(keys::slash(validator, ctx.height(), rewards.period), &Slash { fraction });
}

/// Pays a validator's commission in whole units; the fraction stays.
pub fn withdraw_commission(ctx: &mut Ctx<'_>, validator: &Address) -> Coins {
    let mut rewards = rewards(ctx, validator);
    let paid = pay_commission(ctx, validator, &mut rewards);
    if !paid.is_empty() {
        put_rewards(ctx, validator, &rewards);
    }
    paid
}

fn pay_commission(ctx: &mut Ctx<'_>, validator: &Address, rewards: &mut ValidatorRewards) -> Coins {
    let whole = rewards.commission.take_whole();
    if whole.is_empty() {
        return whole;
    }
    rewards.outstanding.take_all(&(&whole).into());
    let to = withdraw_address(ctx, validator);
    whole.iter().for_each(|coin| bank::give(ctx, &to, &coin));
    ctx.emit(Event::new("withdraw_commission").with("amount", &whole));
    whole
}
