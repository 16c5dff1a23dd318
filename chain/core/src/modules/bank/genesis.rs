//! Supply, collected fees and what denoms are called, at genesis and in an
//! export.

use serde::{Deserialize, Serialize};

use super::{all_metadata, collected_fees, keys, params, supplies, Metadata, Params};
use crate::ctx::Ctx;
use crate::types::{Amount, Coins};

/// Bank's part of the genesis document. Balances stand in auth's accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// What governance sets.
    pub params: Params,
    /// All that exists, in accounts and in every module's care.
    pub supply: Coins,
    /// Fees not distributed yet.
    pub collected_fees: Coins,
    /// What denoms are called. Sorted by base.
    pub metadata: Vec<Metadata>,
}

/// Writes the supply. That it is the sum of all there is, the invariants say.
///
/// # Errors
/// More of a denom than may exist; parameters or metadata that are wrong in
/// themselves.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    ctx.put(keys::params(), &genesis.params);
    for coin in genesis.supply.iter() {
        if coin.amount > Amount::MAX_SUPPLY {
            return Err(format!("supply {coin} is over the bound of {}", Amount::MAX_SUPPLY));
        }
        ctx.put(keys::supply(&coin.denom), &coin.amount);
    }
    if !genesis.collected_fees.is_empty() {
        ctx.put(keys::collected_fees(), &genesis.collected_fees);
    }
    for metadata in &genesis.metadata {
        metadata.validate()?;
        if ctx.has(&keys::metadata(&metadata.base)) {
            return Err(format!("metadata of {} is listed twice", metadata.base));
        }
        ctx.put(keys::metadata(&metadata.base), metadata);
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    Genesis {
        params: params(ctx),
        supply: supplies(ctx).collect(),
        collected_fees: collected_fees(ctx),
        metadata: all_metadata(ctx).collect(),
    }
}
