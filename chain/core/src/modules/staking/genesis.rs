//! Staking at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{delegations, keys, params, validators, Delegation, Params, Validator};
use crate::ctx::Ctx;

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
}

/// Writes parameters, validators and delegations.
///
/// # Errors
/// What is wrong with one.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    ctx.put(keys::params(), &genesis.params);
    for validator in &genesis.validators {
        ctx.put(keys::validator(&validator.operator), validator);
        ctx.put(keys::by_consensus(&validator.consensus()), &validator.operator);
    }
    for delegation in &genesis.delegations {
        ctx.put(keys::delegation(&delegation.delegator, &delegation.validator), delegation);
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    Genesis {
        params: params(ctx),
        validators: validators(ctx).collect(),
        delegations: delegations(ctx).collect(),
    }
}
