//! What must hold of distribution's records.

use std::collections::{BTreeMap, BTreeSet};

use super::{all_remainders, all_rewards, all_slashes, all_starts, withdraw_addresses};
use super::{FineCoins, ValidatorRewards, MAX_SLASHES};
use crate::ctx::Ctx;
use crate::modules::{staking, Holdings};
use crate::types::{Address, Dec, ValAddress};

/// Adds rewards that were not withdrawn to what is held.
pub fn add_holdings(ctx: &Ctx<'_>, held: &mut Holdings) {
    let outstanding = all_rewards(ctx).map(|(_, rewards)| rewards.outstanding);
    let remainders = all_remainders(ctx).map(|(_, remainder)| remainder);
    for coins in outstanding.chain(remainders) {
        coins.iter().for_each(|(denom, money)| held.add(denom, money));
    }
}

/// What is wrong with distribution's records.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let rewards: BTreeMap<Address, ValidatorRewards> = all_rewards(ctx).collect();
    let validators: BTreeSet<_> = staking::validators(ctx).map(|v| v.operator).collect();
    if !rewards.keys().eq(validators.iter()) {
        broken.push("rewards are not kept of each validator and of no other".to_owned());
    }
    check_owed(ctx, rewards, broken);
    check_slashes(ctx, &validators, broken);
    for (delegator, mut remainder) in all_remainders(ctx) {
        if remainder.is_empty() || !remainder.take_whole().is_empty() {
            broken.push(format!("the remainder of {delegator} is nothing, or a unit and more"));
        }
    }
    for (delegator, address) in withdraw_addresses(ctx) {
        if delegator == address {
            broken.push(format!("the withdraw address of {delegator} is its own"));
        }
    }
}

/// Each delegation has a start, and each can be paid what it has earned.
fn check_owed(
    ctx: &Ctx<'_>,
    mut rewards: BTreeMap<Address, ValidatorRewards>,
    broken: &mut Vec<String>,
) {
    let mut shares: BTreeMap<_, Dec> = staking::delegations(ctx)
        .map(|delegation| ((delegation.delegator, delegation.validator), delegation.shares))
        .collect();
    for (delegator, validator, start) in all_starts(ctx) {
        let (Some(shares), Some(rewards)) =
            (shares.remove(&(delegator, validator)), rewards.get_mut(&validator))
        else {
            broken.push(format!("{delegator} earns with {validator} without a delegation"));
            continue;
        };
        if !rewards.earned.is_at_least(&start.earned) {
            broken.push(format!("{delegator} begins with {validator} after now"));
        }
        let earned = rewards.earned_since(&start, shares);
        take_owed(&mut rewards.outstanding, &earned, &validator, broken);
    }
    for (delegator, validator) in shares.keys() {
        broken.push(format!("the delegation of {delegator} to {validator} earns nothing"));
    }
    for (validator, mut rewards) in rewards {
        take_owed(&mut rewards.outstanding, &rewards.commission, &validator, broken);
        take_owed(&mut rewards.outstanding, &rewards.current, &validator, broken);
    }
}

fn take_owed(
    left: &mut FineCoins,
    owed: &FineCoins,
    validator: &Address,
    broken: &mut Vec<String>,
) {
    for (denom, money) in owed.iter() {
        if left.of(denom) < money {
            let validator = ValAddress::from(*validator);
            broken.push(format!("{validator} owes more {denom} than it has outstanding"));
        }
    }
    left.take_all(owed);
}

fn check_slashes(ctx: &Ctx<'_>, validators: &BTreeSet<Address>, broken: &mut Vec<String>) {
    let mut count: BTreeMap<Address, usize> = BTreeMap::new();
    for (validator, ..) in all_slashes(ctx) {
        let count = count.entry(validator).or_default();
        *count = count.saturating_add(1);
    }
    for (validator, count) in count {
        if !validators.contains(&validator) || count > MAX_SLASHES {
            broken.push(format!("{count} slashes are kept of {validator}"));
        }
    }
}
