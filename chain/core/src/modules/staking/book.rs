//! Writing records. What is derived from a record (sums, indexes, its place in
//! the queue) is written with it, here and nowhere else.

use std::collections::BTreeSet;

use super::keys::{self, Due};
use super::{
    delegation, redelegation, unbonding, validator, Delegation, Redelegation, Status, Unbonding,
    Validator,
};
use crate::ctx::Ctx;
use crate::types::{Address, Amount};

/// Writes a validator.
pub(super) fn put_validator(ctx: &mut Ctx<'_>, new: &Validator) {
    let old = validator(ctx, &new.operator);
    if old.is_none() {
        ctx.put(keys::by_consensus(&new.consensus()), &new.operator);
    }
    put_derived(ctx, old.as_ref(), Some(new));
    ctx.put(keys::validator(&new.operator), new);
}

/// Removes a validator without delegations.
pub(super) fn remove_validator(ctx: &mut Ctx<'_>, old: &Validator) {
    put_derived(ctx, Some(old), None);
    ctx.remove(keys::by_consensus(&old.consensus()));
    ctx.remove(keys::validator(&old.operator));
}

fn put_derived(ctx: &mut Ctx<'_>, old: Option<&Validator>, new: Option<&Validator>) {
    move_entry(ctx, old.and_then(rank_key), new.and_then(rank_key), true);
    move_entry(ctx, old.and_then(queue_key), new.and_then(queue_key), false);
    let sum = |of: Option<&Validator>, bonded: bool| {
        of.filter(|v| v.is_bonded() == bonded).map_or(Amount::ZERO, |v| v.tokens)
    };
    add_to_sum(ctx, keys::bonded_tokens(), sum(old, true), sum(new, true));
    add_to_sum(ctx, keys::not_bonded_tokens(), sum(old, false), sum(new, false));
}

/// Replaces an index entry; one of the order by power changes that order.
fn move_entry(ctx: &mut Ctx<'_>, old: Option<Vec<u8>>, new: Option<Vec<u8>>, ranks: bool) {
    if old == new {
        return;
    }
    if let Some(key) = old {
        ctx.remove(key);
    }
    if let Some(key) = new {
        ctx.put(key, &());
    }
    if ranks {
        ctx.put(keys::reordered(), &());
    }
}

/// Where a validator stands in the order by power.
pub(super) fn rank_key(validator: &Validator) -> Option<Vec<u8>> {
    validator.competes_with().map(|power| keys::rank(power, &validator.operator))
}

/// Where a validator stands in the queue of completions.
pub(super) fn queue_key(validator: &Validator) -> Option<Vec<u8>> {
    match validator.status {
        Status::Unbonding { completes_at, .. } => {
            Some(keys::queued(completes_at, &Due::Validator(validator.operator)))
        }
        Status::Unbonded | Status::Bonded => None,
    }
}

/// Takes `old` out of a sum and adds `new`. It fits: the supply is bounded. A
/// sum of nothing is none, so that a state has one form.
fn add_to_sum(ctx: &mut Ctx<'_>, key: Vec<u8>, old: Amount, new: Amount) {
    if old == new {
        return;
    }
    let sum: Amount = ctx.get(&key).unwrap_or_default();
    let sum = sum.saturating_add(new).saturating_sub(old);
    if sum.is_zero() {
        ctx.remove(key);
    } else {
        ctx.put(key, &sum);
    }
}

/// Writes a delegation, or removes it where it has no shares left.
pub(super) fn put_delegation(ctx: &mut Ctx<'_>, new: &Delegation) {
    let Delegation { delegator, validator, shares } = new;
    let key = keys::delegation(delegator, validator);
    if shares.is_zero() {
        ctx.remove(key);
        ctx.remove(keys::delegator_of(validator, delegator));
        return;
    }
    if delegation(ctx, delegator, validator).is_none() {
        ctx.put(keys::delegator_of(validator, delegator), &());
    }
    ctx.put(key, new);
}

/// Writes an unbonding, or removes it where it has no entries left.
pub(super) fn put_unbonding(ctx: &mut Ctx<'_>, new: &Unbonding) {
    let Unbonding { delegator, validator, .. } = new;
    let old = unbonding(ctx, delegator, validator);
    let due = Due::Unbonding(*delegator, *validator);
    let times = |of: &Unbonding| of.entries.iter().map(|e| e.completes_at).collect();
    requeue(ctx, &due, old.as_ref().map(times).unwrap_or_default(), times(new));
    let before = old.as_ref().map_or(Amount::ZERO, Unbonding::balance);
    add_to_sum(ctx, keys::not_bonded_tokens(), before, new.balance());
    let (key, index) =
        (keys::unbonding(delegator, validator), keys::unbonding_from(validator, delegator));
    if new.entries.is_empty() {
        ctx.remove(key);
        ctx.remove(index);
        return;
    }
    if old.is_none() {
        ctx.put(index, &());
    }
    ctx.put(key, new);
}

/// Writes a redelegation, or removes it where it has no entries left.
pub(super) fn put_redelegation(ctx: &mut Ctx<'_>, new: &Redelegation) {
    let Redelegation { delegator, from, to, .. } = new;
    let old = redelegation(ctx, delegator, from, to);
    let due = Due::Redelegation(*delegator, *from, *to);
    let times = |of: &Redelegation| of.entries.iter().map(|e| e.completes_at).collect();
    requeue(ctx, &due, old.as_ref().map(times).unwrap_or_default(), times(new));
    let key = keys::redelegation(delegator, from, to);
    let indexes =
        [keys::redelegation_from(from, delegator, to), keys::redelegation_to(to, delegator, from)];
    if new.entries.is_empty() {
        ctx.remove(key);
        indexes.into_iter().for_each(|index| ctx.remove(index));
        return;
    }
    if old.is_none() {
        indexes.into_iter().for_each(|index| ctx.put(index, &()));
    }
    ctx.put(key, new);
}

/// Puts into the queue what came, takes out what went.
fn requeue(ctx: &mut Ctx<'_>, due: &Due, old: BTreeSet<u64>, new: BTreeSet<u64>) {
    for time in old.difference(&new) {
        ctx.remove(keys::queued(*time, due));
    }
    for time in new.difference(&old) {
        ctx.put(keys::queued(*time, due), &());
    }
}

impl Unbonding {
    /// Without entries yet.
    pub(super) fn new(delegator: &Address, validator: &Address) -> Self {
        Self { delegator: *delegator, validator: *validator, entries: Vec::new() }
    }

    /// What returns in all.
    pub fn balance(&self) -> Amount {
        let add = |sum: Amount, entry: &super::UnbondingEntry| sum.saturating_add(entry.balance);
        self.entries.iter().fold(Amount::ZERO, add)
    }
}

impl Redelegation {
    /// Without entries yet.
    pub(super) fn new(delegator: &Address, from: &Address, to: &Address) -> Self {
        Self { delegator: *delegator, from: *from, to: *to, entries: Vec::new() }
    }
}
