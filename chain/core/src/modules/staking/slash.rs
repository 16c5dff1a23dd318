//! Punishment: tokens burned, validators jailed.
//!
//! Rules of the Cosmos SDK's `x/staking/keeper/slash.go`: a fraction of what
//! the validator's power was worth at the infraction. What has left since pays
//! its own part (unbondings, redelegations), the validator's tokens the rest.

use super::book::{put_unbonding, put_validator};
use super::delegate::unbond;
use super::{
    keys, redelegation, unbonding, validator, validator_by_consensus, Redelegation,
    RedelegationEntry, Status, Unbonding, UnbondingEntry, UNITS_PER_POWER,
};
use crate::ctx::Ctx;
use crate::modules::{bank, distribution};
use crate::types::{
    mul_div_floor, mul_div_rem, Address, Amount, Coin, ConsAddress, Dec, Denom, ONE,
};

/// An infraction of which something pays a part.
#[derive(Clone, Copy)]
struct Infraction {
    height: u64,
    fraction: Dec,
}

/// Takes `fraction` of what `power` was worth at `infraction_height` from the
/// validator's tokens and from what left it since, and burns it. Answers what
/// was burned in all.
///
/// Nothing where the validator is gone or UNBONDED: its stake is free. The
/// work is one record for each unbonding and redelegation from it under way.
pub fn slash(
    ctx: &mut Ctx<'_>,
    consensus: &ConsAddress,
    infraction_height: u64,
    power: u64,
    fraction: Dec,
) -> Amount {
    let Some(slashed) = validator_by_consensus(ctx, consensus) else { return Amount::ZERO };
    if slashed.status == Status::Unbonded {
        return Amount::ZERO;
    }
    let operator = slashed.operator;
    let fraction = fraction.min(Dec::ONE);
    let stake = Amount::from_raw(u128::from(power).saturating_mul(UNITS_PER_POWER));
    let mut left = fraction.of(stake);
    let mut burned = Amount::ZERO;
    // What has left in this block or later contributed; what had left before
    // did not, and of an infraction in this block nothing has left.
    if infraction_height < ctx.height() {
        let infraction = Infraction { height: infraction_height, fraction };
        for part in slash_unbondings(ctx, &operator, infraction)
            .into_iter()
            .chain(slash_redelegations(ctx, &operator, infraction))
        {
            left = left.saturating_sub(part.due);
            burned = burned.saturating_add(part.burned);
        }
    }
    burned.saturating_add(slash_tokens(ctx, &operator, left))
}

/// What something owes for an infraction, and what could be burned of it.
struct Part {
    due: Amount,
    burned: Amount,
}

/// Burns so much of the validator's tokens, or all.
fn slash_tokens(ctx: &mut Ctx<'_>, operator: &Address, amount: Amount) -> Amount {
    let Some(mut slashed) = validator(ctx, operator) else { return Amount::ZERO };
    let amount = amount.min(slashed.tokens);
    if amount.is_zero() {
        return Amount::ZERO;
    }
    distribution::before_validator_slashed(ctx, operator, fraction_up(amount, slashed.tokens));
    slashed.tokens = slashed.tokens.saturating_sub(amount);
    put_validator(ctx, &slashed);
    burn(ctx, amount);
    amount
}

/// `part / whole`, rounded up, at most the whole.
fn fraction_up(part: Amount, whole: Amount) -> Dec {
    let Some((floor, rest)) = mul_div_rem(part.raw(), ONE, whole.raw()) else { return Dec::ONE };
    let up = if rest == 0 { floor } else { floor.saturating_add(1) };
    Dec::from_raw(up).min(Dec::ONE)
}

fn burn(ctx: &mut Ctx<'_>, amount: Amount) {
    bank::burn(ctx, &Coin::new(Denom::stake(), amount));
}

fn slash_unbondings(ctx: &mut Ctx<'_>, operator: &Address, infraction: Infraction) -> Vec<Part> {
    let entries = ctx.prefix(&keys::unbondings_from(operator));
    let delegators: Vec<[Address; 2]> =
        entries.filter_map(|(key, _)| keys::validator_and_delegator(&key)).collect();
    let found = delegators.into_iter().filter_map(|[from, who]| unbonding(ctx, &who, &from));
    let found: Vec<Unbonding> = found.collect();
    found.into_iter().map(|unbonding| slash_unbonding(ctx, unbonding, infraction)).collect()
}

fn slash_unbonding(ctx: &mut Ctx<'_>, mut unbonding: Unbonding, infraction: Infraction) -> Part {
    let mut part = Part { due: Amount::ZERO, burned: Amount::ZERO };
    let now = ctx.now();
    for entry in unbonding.entries.iter_mut().filter(|entry| entry.answers(infraction, now)) {
        let due = infraction.fraction.of(entry.initial);
        // Less, where it was slashed before.
        let burned = due.min(entry.balance);
        entry.balance = entry.balance.saturating_sub(burned);
        part.due = part.due.saturating_add(due);
        part.burned = part.burned.saturating_add(burned);
    }
    if !part.burned.is_zero() {
        put_unbonding(ctx, &unbonding);
        burn(ctx, part.burned);
    }
    part
}

fn slash_redelegations(ctx: &mut Ctx<'_>, operator: &Address, infraction: Infraction) -> Vec<Part> {
    let entries = ctx.prefix(&keys::redelegations_from(operator));
    let parts: Vec<[Address; 3]> =
        entries.filter_map(|(key, _)| keys::redelegation_from_parts(&key)).collect();
    let found = parts.into_iter().filter_map(|[from, who, to]| redelegation(ctx, &who, &from, &to));
    let found: Vec<Redelegation> = found.collect();
    found.into_iter().map(|found| slash_redelegation(ctx, &found, infraction)).collect()
}

/// Burns the part of stake that has moved on: first of what its delegator is
/// unbonding from the destination, then of the delegation there.
fn slash_redelegation(ctx: &mut Ctx<'_>, moved: &Redelegation, infraction: Infraction) -> Part {
    let mut part = Part { due: Amount::ZERO, burned: Amount::ZERO };
    let now = ctx.now();
    for entry in moved.entries.iter().filter(|entry| entry.answers(infraction, now)) {
        let due = infraction.fraction.of(entry.initial);
        let unbonding = slash_moved_on(ctx, moved, due, infraction);
        let left = due.saturating_sub(unbonding);
        // The shares for what is left, in proportion.
        let shares = infraction.fraction.checked_mul(entry.shares).unwrap_or(entry.shares);
        let shares = mul_div_floor(shares.raw(), left.raw(), due.raw()).unwrap_or_default();
        let delegation = if shares == 0 {
            Amount::ZERO
        } else {
            unbond(ctx, &moved.delegator, &moved.to, Dec::from_raw(shares))
        };
        burn(ctx, delegation);
        part.due = part.due.saturating_add(due);
        part.burned = part.burned.saturating_add(unbonding).saturating_add(delegation);
    }
    part
}

/// Burns at most `due` of what the delegator is unbonding from the destination.
fn slash_moved_on(
    ctx: &mut Ctx<'_>,
    moved: &Redelegation,
    due: Amount,
    infraction: Infraction,
) -> Amount {
    let Some(mut unbonding) = unbonding(ctx, &moved.delegator, &moved.to) else {
        return Amount::ZERO;
    };
    let (now, mut left) = (ctx.now(), due);
    for entry in unbonding.entries.iter_mut().filter(|entry| entry.answers(infraction, now)) {
        let burned = left.min(entry.balance);
        entry.balance = entry.balance.saturating_sub(burned);
        left = left.saturating_sub(burned);
    }
    let burned = due.saturating_sub(left);
    if !burned.is_zero() {
        put_unbonding(ctx, &unbonding);
        burn(ctx, burned);
    }
    burned
}

impl UnbondingEntry {
    /// Whether it was stake at the infraction and is not free yet.
    fn answers(&self, infraction: Infraction, now: u64) -> bool {
        self.height >= infraction.height && self.completes_at > now
    }
}

impl RedelegationEntry {
    /// Whether it was stake at the infraction and is not free yet.
    fn answers(&self, infraction: Infraction, now: u64) -> bool {
        self.height >= infraction.height && self.completes_at > now
    }
}

/// Takes the validator out of the active set until it is unjailed. Nothing
/// where it is jailed already.
pub fn jail(ctx: &mut Ctx<'_>, consensus: &ConsAddress) {
    set_jailed(ctx, consensus, true);
}

/// Lets a jailed validator compete for the active set again.
pub fn unjail(ctx: &mut Ctx<'_>, consensus: &ConsAddress) {
    set_jailed(ctx, consensus, false);
}

fn set_jailed(ctx: &mut Ctx<'_>, consensus: &ConsAddress, jailed: bool) {
    let Some(mut validator) = validator_by_consensus(ctx, consensus) else { return };
    if validator.jailed != jailed {
        validator.jailed = jailed;
        put_validator(ctx, &validator);
    }
}
