//! Mint at genesis and in an export.

use serde::{Deserialize, Serialize};

use crate::ctx::Ctx;

/// Mint's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {}

/// Writes it.
///
/// # Errors
/// What is wrong with it.
pub fn init(_ctx: &mut Ctx<'_>, _genesis: &Genesis) -> Result<(), String> {
    Ok(())
}

/// As it is.
pub fn export(_ctx: &Ctx<'_>) -> Genesis {
    Genesis {}
}
