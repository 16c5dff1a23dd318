//! Who votes: the strongest validators that are not jailed.

use std::collections::BTreeMap;

use super::book::put_validator;
use super::{keys, params, validator, Status, Validator};
use crate::app::ValidatorUpdate;
use crate::ctx::Ctx;
use crate::modules::slashing;
use crate::types::Address;

/// The order by power has to be looked at again at the block's end.
pub(super) fn mark_reordered(ctx: &mut Ctx<'_>) {
    ctx.put(keys::reordered(), &());
}

/// Whether the order by power has changed in this block.
pub(super) fn is_reordered(ctx: &Ctx<'_>) -> bool {
    ctx.has(&keys::reordered())
}

/// The strongest that may vote, at most so many as the parameter allows: the
/// strongest first, equals by operator.
pub(super) fn strongest(ctx: &Ctx<'_>) -> Vec<(Address, u64)> {
    let most = usize::try_from(params(ctx).max_validators).unwrap_or(usize::MAX);
    let ranks = ctx.prefix(&keys::ranks());
    let found = ranks.filter_map(|(key, _)| keys::rank_parts(&key));
    found.map(|(power, operator)| (operator, power)).take(most).collect()
}

/// With which power each validator of the set votes, as the engine was told
/// last; by operator.
pub(super) fn last_powers<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Address, u64)> + 'a {
    ctx.prefix(&keys::last_powers()).filter_map(|(key, value)| {
        Some((keys::last_power_operator(&key)?, crate::state::decode(&key, &value)))
    })
}

/// Makes the set what the order by power says, and answers what the engine has
/// to be told. Costs nothing where that order has not changed.
///
/// The set never gets empty: the engine refuses such a change and would stop.
/// Where nobody may vote (all are jailed or have too little), the last set
/// stays as it is: its validators stay BONDED, with the powers of which the
/// engine knows, and whoever undelegates from them waits as always. Nothing is
/// told. As soon as somebody may vote, the order by power changes, and those
/// leave then.
pub(super) fn update(ctx: &mut Ctx<'_>) -> Vec<ValidatorUpdate> {
    if !is_reordered(ctx) {
        return Vec::new();
    }
    ctx.remove(keys::reordered());
    let strongest = strongest(ctx);
    if strongest.is_empty() {
        return Vec::new();
    }
    let mut leaving: BTreeMap<Address, u64> = last_powers(ctx).collect();
    let mut updates = Vec::new();
    for (operator, power) in strongest {
        let Some(validator) = validator(ctx, &operator) else { continue };
        let consensus_key = validator.consensus_key;
        bond(ctx, validator);
        if leaving.remove(&operator) != Some(power) {
            ctx.put(keys::last_power(&operator), &power);
            updates.push(ValidatorUpdate { consensus_key, power });
        }
    }
    for operator in leaving.into_keys() {
        ctx.remove(keys::last_power(&operator));
        let Some(validator) = validator(ctx, &operator) else { continue };
        updates.push(ValidatorUpdate { consensus_key: validator.consensus_key, power: 0 });
        begin_unbonding(ctx, validator);
    }
    updates
}

fn bond(ctx: &mut Ctx<'_>, mut validator: Validator) {
    if validator.is_bonded() {
        return;
    }
    validator.status = Status::Bonded;
    put_validator(ctx, &validator);
    slashing::after_validator_bonded(ctx, &validator.consensus());
}

fn begin_unbonding(ctx: &mut Ctx<'_>, mut validator: Validator) {
    let completes_at = ctx.now().saturating_add(params(ctx).unbonding_time);
    validator.status = Status::Unbonding { height: ctx.height(), completes_at };
    put_validator(ctx, &validator);
}
