//! Staking: validators, who delegates to them, and stake on its way back.
//!
//! Owns: validators, delegations, unbondings and redelegations, the sums of
//! bonded tokens and of those that are not, and the powers of which the engine
//! was told last. A delegation is a number of shares of its validator's tokens,
//! so that slashing touches the validator's record alone.
//!
//! Tells distribution before and after what each delegation is worth changes
//! ([`crate::modules::distribution`], its hooks), governance before a delegation
//! changes, and slashing when a validator begins to vote.
//!
//! Invariants: a validator's shares are the sum of its delegations'; it is
//! BONDED where the engine knows a power of it; the sums are those of the
//! records; the indexes are derived from them.

mod active_set;
mod book;
mod delegate;
mod error;
mod genesis;
mod invariants;
mod keys;
mod msgs;
mod params;
mod proto;
mod query;
mod queue;
mod records;
mod slash;
#[cfg(test)]
pub(crate) mod tests;

pub use error::Error;
pub use genesis::{export, init, Genesis, LastPower};
pub use invariants::check_invariants;
pub use msgs::{
    BeginRedelegate, CancelUnbonding, CreateValidator, Delegate, EditValidator, Undelegate,
    UpdateParams,
};
pub use params::{params, Params, MAX_ENTRIES, MAX_UNBONDING_TIME, MAX_VALIDATORS};
pub(crate) use proto::signed;
pub use query::routes;
pub use queue::MAX_PER_BLOCK;
pub use records::{
    Commission, Delegation, Description, Redelegation, RedelegationEntry, Status, Unbonding,
    UnbondingEntry, Validator, UNITS_PER_POWER,
};
pub use slash::{jail, slash, unjail};

use crate::app::ValidatorUpdate;
use crate::ctx::Ctx;
use crate::modules::Holdings;
use crate::types::{Address, Amount, ConsAddress, Denom};

/// The validator that `operator` runs.
pub fn validator(ctx: &Ctx<'_>, operator: &Address) -> Option<Validator> {
    ctx.get(&keys::validator(operator))
}

/// The validator of a consensus key.
pub fn validator_by_consensus(ctx: &Ctx<'_>, consensus: &ConsAddress) -> Option<Validator> {
    let operator: Address = ctx.get(&keys::by_consensus(consensus))?;
    validator(ctx, &operator)
}

/// All validators, by operator.
pub fn validators<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Validator> + 'a {
    ctx.prefix(&keys::validators()).map(|(key, value)| crate::state::decode(&key, &value))
}

/// Those that vote, by operator: as many as may at most.
pub fn bonded_validators<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Validator> + 'a {
    let operators: Vec<Address> =
        active_set::last_powers(ctx).map(|(operator, _)| operator).collect();
    operators.into_iter().filter_map(|operator| validator(ctx, &operator))
}

/// What `delegator` has with `validator`.
pub fn delegation(ctx: &Ctx<'_>, delegator: &Address, validator: &Address) -> Option<Delegation> {
    ctx.get(&keys::delegation(delegator, validator))
}

/// All that `delegator` has, by validator.
pub fn delegations_of<'a>(
    ctx: &'a Ctx<'_>,
    delegator: &Address,
) -> impl Iterator<Item = Delegation> + 'a {
    let entries = ctx.prefix(&keys::delegations_of(delegator));
    entries.map(|(key, value)| crate::state::decode(&key, &value))
}

/// All delegations, by delegator and validator.
pub fn delegations<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Delegation> + 'a {
    ctx.prefix(&keys::delegations()).map(|(key, value)| crate::state::decode(&key, &value))
}

/// What the operator has with its own validator, in whole units.
pub fn self_delegation(ctx: &Ctx<'_>, validator: &Validator) -> Amount {
    let own = delegation(ctx, &validator.operator, &validator.operator);
    own.map_or(Amount::ZERO, |own| validator.worth(own.shares).whole())
}

/// What `delegator` is unbonding from `validator`.
pub fn unbonding(ctx: &Ctx<'_>, delegator: &Address, validator: &Address) -> Option<Unbonding> {
    ctx.get(&keys::unbonding(delegator, validator))
}

/// All unbondings, by delegator and validator.
pub fn unbondings<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Unbonding> + 'a {
    ctx.prefix(&keys::unbondings()).map(|(key, value)| crate::state::decode(&key, &value))
}

/// What `delegator` has redelegated from one validator to another.
pub fn redelegation(
    ctx: &Ctx<'_>,
    delegator: &Address,
    from: &Address,
    to: &Address,
) -> Option<Redelegation> {
    ctx.get(&keys::redelegation(delegator, from, to))
}

/// All redelegations, by delegator, source and destination.
pub fn redelegations<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Redelegation> + 'a {
    ctx.prefix(&keys::redelegations()).map(|(key, value)| crate::state::decode(&key, &value))
}

/// Whether stake that `delegator` redelegated to `validator` answers for
/// another still.
pub fn has_redelegation_to(ctx: &Ctx<'_>, delegator: &Address, validator: &Address) -> bool {
    ctx.prefix(&keys::redelegations_to(validator, delegator)).next().is_some()
}

/// Tokens of all bonded validators.
pub fn bonded_tokens(ctx: &Ctx<'_>) -> Amount {
    ctx.get(&keys::bonded_tokens()).unwrap_or_default()
}

/// Tokens of all other validators, and what is unbonding.
pub fn not_bonded_tokens(ctx: &Ctx<'_>) -> Amount {
    ctx.get(&keys::not_bonded_tokens()).unwrap_or_default()
}

/// The active set as it stands, for the engine at genesis: by power, the
/// strongest first.
pub fn validator_set(ctx: &Ctx<'_>) -> Vec<ValidatorUpdate> {
    let mut powers: Vec<(Address, u64)> = active_set::last_powers(ctx).collect();
    powers.sort_by_key(|(operator, power)| (std::cmp::Reverse(*power), *operator));
    let found = powers.into_iter().filter_map(|(operator, power)| {
        let consensus_key = validator(ctx, &operator)?.consensus_key;
        Some(ValidatorUpdate { consensus_key, power })
    });
    found.collect()
}

/// Pays what has unbonded, and answers whose voting power has changed.
///
/// The set comes first: who leaves it begins to unbond in this block, and is
/// not free in it.
pub fn end_block(ctx: &mut Ctx<'_>) -> Vec<ValidatorUpdate> {
    let updates = active_set::update(ctx);
    queue::complete_due(ctx);
    updates
}

/// Adds tokens and unbondings to what is held.
pub fn add_holdings(ctx: &Ctx<'_>, held: &mut Holdings) {
    let denom = Denom::stake();
    validators(ctx).for_each(|validator| held.add(&denom, validator.tokens.to_fine()));
    unbondings(ctx).for_each(|unbonding| held.add(&denom, unbonding.balance().to_fine()));
}
