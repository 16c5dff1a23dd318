//! Supply and collected fees at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{collected_fees, keys, supplies};
use crate::ctx::Ctx;
use crate::types::{Amount, Coins};

/// Bank's part of the genesis document. Balances stand in auth's accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// All that exists, in accounts and in every module's care.
    pub supply: Coins,
    /// Fees not distributed yet.
    pub collected_fees: Coins,
}

/// Writes the supply. That it is the sum of all there is, the invariants say.
///
/// # Errors
/// More of a denom than may exist.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    for coin in genesis.supply.iter() {
        if coin.amount > Amount::MAX_SUPPLY {
            return Err(format!("supply {coin} is over the bound of {}", Amount::MAX_SUPPLY));
        }
        ctx.put(keys::supply(&coin.denom), &coin.amount);
    }
    if !genesis.collected_fees.is_empty() {
        ctx.put(keys::collected_fees(), &genesis.collected_fees);
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    Genesis { supply: supplies(ctx).collect(), collected_fees: collected_fees(ctx) }
}
