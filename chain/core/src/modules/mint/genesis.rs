//! Mint at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{keys, minter, params, Minter, Params};
use crate::ctx::Ctx;
use crate::types::{Dec, Fine, ONE};

/// Mint's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// What governance sets.
    pub params: Params,
    /// Inflation as it is.
    pub minter: Minter,
}

/// Writes it.
///
/// # Errors
/// What is wrong with it.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    if genesis.minter.inflation > Dec::ONE {
        return Err(format!("inflation {} is over 1", genesis.minter.inflation));
    }
    if genesis.minter.remainder >= Fine::from_raw(ONE) {
        return Err(format!("the remainder {} is a unit and more", genesis.minter.remainder));
    }
    ctx.put(keys::params(), &genesis.params);
    ctx.put(keys::minter(), &genesis.minter);
    Ok(())
}

/// As it is.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    Genesis { params: params(ctx), minter: minter(ctx) }
}
