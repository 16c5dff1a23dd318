//! What completes when its time has come.

use super::book::{put_redelegation, put_unbonding, put_validator};
use super::delegate::remove_if_over;
use super::keys::{self, Due};
use super::{redelegation, unbonding, validator, Status};
use crate::ctx::Ctx;
use crate::event::Event;
use crate::modules::bank;
use crate::types::{Address, Amount, Coin, Denom, ValAddress};

/// Most completions that one block works off; the rest follows in the next, and
/// loses nothing by it.
pub const MAX_PER_BLOCK: usize = 1_000;

/// Works off what is due, first what was due first.
pub(super) fn complete_due(ctx: &mut Ctx<'_>) {
    let until = keys::queue_after(ctx.now());
    let due: Vec<(u64, Due)> = ctx
        .range(&keys::queue(), &until)
        .take(MAX_PER_BLOCK)
        .filter_map(|(key, _)| keys::queued_parts(&key))
        .collect();
    for (time, due) in due {
        match due {
            Due::Validator(operator) => complete_validator(ctx, &operator),
            Due::Unbonding(delegator, from) => complete_unbonding(ctx, &delegator, &from, time),
            Due::Redelegation(delegator, from, to) => {
                complete_redelegation(ctx, [&delegator, &from, &to], time);
            }
        }
    }
}

fn complete_validator(ctx: &mut Ctx<'_>, operator: &Address) {
    let Some(mut validator) = validator(ctx, operator) else { return };
    validator.status = Status::Unbonded;
    put_validator(ctx, &validator);
    remove_if_over(ctx, &validator);
}

fn complete_unbonding(ctx: &mut Ctx<'_>, delegator: &Address, from: &Address, time: u64) {
    let Some(mut unbonding) = unbonding(ctx, delegator, from) else { return };
    let is_due = |entry: &super::UnbondingEntry| entry.completes_at == time;
    let due = unbonding.entries.iter().filter(|entry| is_due(entry));
    let amount = due.fold(Amount::ZERO, |sum, entry| sum.saturating_add(entry.balance));
    unbonding.entries.retain(|entry| !is_due(entry));
    put_unbonding(ctx, &unbonding);
    let coin = Coin::new(Denom::stake(), amount);
    bank::undelegate(ctx, delegator, &coin);
    let event = Event::new("complete_unbonding").with("amount", &coin);
    ctx.emit(event.with("validator", ValAddress::from(*from)).with("delegator", delegator));
}

fn complete_redelegation(ctx: &mut Ctx<'_>, who: [&Address; 3], time: u64) {
    let [delegator, from, to] = who;
    let Some(mut redelegation) = redelegation(ctx, delegator, from, to) else { return };
    let is_due = |entry: &super::RedelegationEntry| entry.completes_at == time;
    let due = redelegation.entries.iter().filter(|entry| is_due(entry));
    let amount = due.fold(Amount::ZERO, |sum, entry| sum.saturating_add(entry.initial));
    redelegation.entries.retain(|entry| !is_due(entry));
    put_redelegation(ctx, &redelegation);
    let event = Event::new("complete_redelegation")
        .with("amount", Coin::new(Denom::stake(), amount))
        .with("delegator", delegator)
        .with("source_validator", ValAddress::from(*from))
        .with("destination_validator", ValAddress::from(*to));
    ctx.emit(event);
}
