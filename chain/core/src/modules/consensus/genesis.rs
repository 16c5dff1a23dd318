//! Consensus at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{keys, params, Params};
use crate::ctx::Ctx;

/// Consensus' part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// None: those that the document gives the engine, in `consensus_params`.
    pub params: Option<Params>,
}

/// Writes it.
///
/// # Errors
/// What is wrong with it.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    let params = genesis.params.clone().unwrap_or_default();
    params.validate()?;
    ctx.put(keys::params(), &params);
    Ok(())
}

/// As it is.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    Genesis { params: Some(params(ctx)) }
}
