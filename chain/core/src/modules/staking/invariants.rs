//! What holds of staking's records after every block.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{self, Due};
use super::{
    active_set, bonded_tokens, book, delegations, not_bonded_tokens, params, redelegations,
    unbondings, validators, Status, Unbonding, Validator,
};
use crate::ctx::Ctx;
use crate::types::{Address, Amount, Dec, ValAddress};

/// What is wrong with staking's records.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let validators: BTreeMap<Address, Validator> =
        validators(ctx).map(|validator| (validator.operator, validator)).collect();
    check_shares(ctx, &validators, broken);
    check_sums(ctx, &validators, broken);
    check_entries(ctx, broken);
    check_set(ctx, &validators, broken);
    check_indexes(ctx, &validators, broken);
}

/// A validator's shares are the sum of its delegations'; none is of nothing.
fn check_shares(
    ctx: &Ctx<'_>,
    validators: &BTreeMap<Address, Validator>,
    broken: &mut Vec<String>,
) {
    let mut sums: BTreeMap<Address, Dec> = BTreeMap::new();
    for delegation in delegations(ctx) {
        if delegation.shares.is_zero() {
            let to = ValAddress::from(delegation.validator);
            broken.push(format!("{}'s delegation to {to} is of nothing", delegation.delegator));
        }
        let sum = sums.entry(delegation.validator).or_default();
        *sum = sum.saturating_add(delegation.shares);
    }
    for (operator, validator) in validators {
        let sum = sums.remove(operator).unwrap_or_default();
        let whose = ValAddress::from(*operator);
        if sum != validator.shares {
            broken.push(format!("{whose} has {} shares; delegated are {sum}", validator.shares));
        }
        if validator.shares.is_zero() && !validator.tokens.is_zero() {
            broken.push(format!("{whose} has tokens of nobody"));
        }
        if validator.shares.is_zero() && validator.status == Status::Unbonded {
            broken.push(format!("{whose} is UNBONDED without shares, and still there"));
        }
    }
    for operator in sums.into_keys() {
        broken.push(format!(
            "there are delegations to {}, who is not there",
            ValAddress::from(operator)
        ));
    }
}

fn check_sums(ctx: &Ctx<'_>, validators: &BTreeMap<Address, Validator>, broken: &mut Vec<String>) {
    let tokens = |bonded: bool| {
        let of = validators.values().filter(|validator| validator.is_bonded() == bonded);
        of.fold(Amount::ZERO, |sum, validator| sum.saturating_add(validator.tokens))
    };
    let unbonding = unbondings(ctx).map(|unbonding| unbonding.balance());
    let not_bonded = unbonding.fold(tokens(false), Amount::saturating_add);
    let kept = [("bonded", bonded_tokens(ctx)), ("not bonded", not_bonded_tokens(ctx))];
    for ((name, kept), found) in kept.into_iter().zip([tokens(true), not_bonded]) {
        if kept != found {
            broken.push(format!("the sum of {name} tokens is {kept}; found are {found}"));
        }
    }
}

/// An unbonding or redelegation has entries, and none returns more than began.
fn check_entries(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    for Unbonding { delegator, validator, entries } in unbondings(ctx) {
        if entries.is_empty() || entries.iter().any(|entry| entry.balance > entry.initial) {
            let from = ValAddress::from(validator);
            broken.push(format!("the unbonding of {delegator} from {from} is wrong: {entries:?}"));
        }
    }
    for found in redelegations(ctx) {
        let nothing = |entry: &super::RedelegationEntry| entry.initial.is_zero();
        if found.entries.is_empty() || found.entries.iter().any(nothing) {
            broken.push(format!("a redelegation of nothing: {found:?}"));
        }
    }
}

/// Who is BONDED votes, and nobody else does. After a block's end these are the
/// strongest, unless nobody may vote, and vote with what they have.
fn check_set(ctx: &Ctx<'_>, validators: &BTreeMap<Address, Validator>, broken: &mut Vec<String>) {
    let bonded: BTreeSet<Address> =
        validators.values().filter(|v| v.is_bonded()).map(|v| v.operator).collect();
    let powers: BTreeMap<Address, u64> = active_set::last_powers(ctx).collect();
    if powers.keys().copied().collect::<BTreeSet<_>>() != bonded {
        broken.push(format!("bonded are {bonded:?}; powers are known of {:?}", powers.keys()));
    }
    let strongest: BTreeMap<Address, u64> = active_set::strongest(ctx).into_iter().collect();
    if !active_set::is_reordered(ctx) && !strongest.is_empty() && strongest != powers {
        broken.push(format!("the strongest are {strongest:?}, but {powers:?} vote"));
    }
    let most = params(ctx).max_validators;
    if !active_set::is_reordered(ctx) && powers.len() > usize::try_from(most).unwrap_or(usize::MAX)
    {
        broken.push(format!("{} validators vote; at most {most} do", powers.len()));
    }
}

/// Indexes and queue are what the records say.
fn check_indexes(
    ctx: &Ctx<'_>,
    validators: &BTreeMap<Address, Validator>,
    broken: &mut Vec<String>,
) {
    let mut wanted: BTreeSet<Vec<u8>> = BTreeSet::new();
    for validator in validators.values() {
        wanted.insert(keys::by_consensus(&validator.consensus()));
        wanted.extend(book::rank_key(validator));
        wanted.extend(book::queue_key(validator));
    }
    for found in delegations(ctx) {
        wanted.insert(keys::delegator_of(&found.validator, &found.delegator));
    }
    for Unbonding { delegator, validator, entries } in unbondings(ctx) {
        wanted.insert(keys::unbonding_from(&validator, &delegator));
        let due = Due::Unbonding(delegator, validator);
        wanted.extend(entries.iter().map(|entry| keys::queued(entry.completes_at, &due)));
    }
    for super::Redelegation { delegator, from, to, entries } in redelegations(ctx) {
        wanted.insert(keys::redelegation_from(&from, &delegator, &to));
        wanted.insert(keys::redelegation_to(&to, &delegator, &from));
        let due = Due::Redelegation(delegator, from, to);
        wanted.extend(entries.iter().map(|entry| keys::queued(entry.completes_at, &due)));
    }
    let prefixes = [
        keys::consensus_addresses(),
        keys::ranks(),
        keys::delegators(),
        keys::unbondings_by_validator(),
        keys::redelegations_by_source(),
        keys::redelegations_by_destination(),
        keys::queue(),
    ];
    let found: BTreeSet<Vec<u8>> =
        prefixes.iter().flat_map(|prefix| ctx.prefix(prefix)).map(|(key, _)| key).collect();
    for key in wanted.symmetric_difference(&found) {
        let which = if found.contains(key) { "has too many" } else { "lacks" };
        broken.push(format!("staking's indexes: one {which}: {}", hex::encode(key)));
    }
}
