//! Staking at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::book::{put_delegation, put_redelegation, put_unbonding, put_validator};
use super::{
    active_set, delegation, delegations, keys, msgs, params, redelegation, redelegations,
    unbonding, unbondings, validator, validator_by_consensus, validators, Delegation, Params,
    Redelegation, Unbonding, Validator,
};
use crate::ctx::Ctx;
use crate::types::Address;

/// Staking's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Bounds and times.
    pub params: Params,
    /// Sorted by operator.
    pub validators: Vec<Validator>,
    /// Sorted by delegator, then validator.
    pub delegations: Vec<Delegation>,
    /// Sorted by delegator, then validator.
    pub unbondings: Vec<Unbonding>,
    /// Sorted by delegator, then source, then destination.
    pub redelegations: Vec<Redelegation>,
    /// Powers of which the engine was told last, by operator. Left empty where
    /// a chain begins: then bonded validators vote with what they have.
    pub last_powers: Vec<LastPower>,
}

/// The power with which a validator votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastPower {
    /// Whose.
    pub operator: Address,
    /// Units of 10^6 tokens.
    pub power: u64,
}

/// Writes all; the invariants, of which the whole document is asked, say
/// whether it goes together.
///
/// # Errors
/// What is wrong with a parameter or a record, or what is listed twice.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    ctx.put(keys::params(), &genesis.params);
    for validator in &genesis.validators {
        let whose = |error: String| format!("validator of {}: {error}", validator.operator);
        add_validator(ctx, validator).map_err(whose)?;
    }
    for new in &genesis.delegations {
        let Delegation { delegator, validator, .. } = new;
        let known = delegation(ctx, delegator, validator).is_some();
        refuse(known, || format!("the delegation of {delegator} to {validator} is listed twice"))?;
        put_delegation(ctx, new);
    }
    for new in &genesis.unbondings {
        let Unbonding { delegator, validator, .. } = new;
        let known = unbonding(ctx, delegator, validator).is_some();
        refuse(known, || format!("the unbonding of {delegator} from {validator} is listed twice"))?;
        put_unbonding(ctx, new);
    }
    for new in &genesis.redelegations {
        let Redelegation { delegator, from, to, .. } = new;
        let known = redelegation(ctx, delegator, from, to).is_some();
        refuse(known, || {
            format!("the redelegation of {delegator} from {from} to {to} is listed twice")
        })?;
        put_redelegation(ctx, new);
    }
    if genesis.last_powers.is_empty() {
        begin(ctx, genesis)?;
    }
    for LastPower { operator, power } in &genesis.last_powers {
        ctx.put(keys::last_power(operator), power);
    }
    // Bonded or not: that is what the document says.
    ctx.remove(keys::reordered());
    Ok(())
}

fn refuse(wrong: bool, why: impl Fn() -> String) -> Result<(), String> {
    if wrong {
        return Err(why());
    }
    Ok(())
}

fn add_validator(ctx: &mut Ctx<'_>, new: &Validator) -> Result<(), String> {
    refuse(validator(ctx, &new.operator).is_some(), || "it is listed twice".to_owned())?;
    let key = validator_by_consensus(ctx, &new.consensus());
    refuse(key.is_some(), || "its consensus key is another's too".to_owned())?;
    new.commission.validate().map_err(|error| error.to_string())?;
    msgs::check_description(new.description.clone()).map_err(|error| error.to_string())?;
    put_validator(ctx, new);
    Ok(())
}

/// A chain begins: bonded validators vote with what they have.
fn begin(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    let bonded = || genesis.validators.iter().filter(|validator| validator.is_bonded());
    let max = genesis.params.max_validators;
    refuse(u32::try_from(bonded().count()).is_ok_and(|count| count > max), || {
        format!("{} validators are bonded; max_validators is {max}", bonded().count())
    })?;
    for validator in bonded() {
        let operator = validator.operator;
        let power = validator.competes_with().ok_or_else(|| {
            format!("validator of {operator}: it is bonded, but jailed or with too few tokens")
        })?;
        ctx.put(keys::last_power(&operator), &power);
    }
    Ok(())
}

/// As they are, after a block's end.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let last_powers = active_set::last_powers(ctx);
    Genesis {
        params: params(ctx),
        validators: validators(ctx).collect(),
        delegations: delegations(ctx).collect(),
        unbondings: unbondings(ctx).collect(),
        redelegations: redelegations(ctx).collect(),
        last_powers: last_powers.map(|(operator, power)| LastPower { operator, power }).collect(),
    }
}
