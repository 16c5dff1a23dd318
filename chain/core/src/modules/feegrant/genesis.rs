//! Feegrant at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{all, find, write, Allowance};
use crate::ctx::Ctx;
use crate::types::Address;

/// Feegrant's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Sorted by grantee, then granter.
    pub allowances: Vec<GenesisAllowance>,
}

/// An allowance with its parties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAllowance {
    /// Who pays.
    pub granter: Address,
    /// Whose fees.
    pub grantee: Address,
    /// Within what.
    pub allowance: Allowance,
}

/// Writes the allowances, which may have expired.
///
/// # Errors
/// One listed twice, or what is wrong with one.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    for GenesisAllowance { granter, grantee, allowance } in &genesis.allowances {
        let wrong = |why: &str| format!("the allowance from {granter} to {grantee}: {why}");
        if find(ctx, granter, grantee).is_some() {
            return Err(wrong("it is listed twice"));
        }
        allowance.check().map_err(|why| wrong(&why.message))?;
        write(ctx, granter, grantee, allowance);
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let one = |(granter, grantee, allowance)| GenesisAllowance { granter, grantee, allowance };
    Genesis { allowances: all(ctx).map(one).collect() }
}
