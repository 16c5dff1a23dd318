//! Upgrade at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{keys, plan, state_version, Plan, STATE_VERSION};
use crate::ctx::Ctx;

/// Upgrade's part of the genesis document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Of the whole document: only a program of this version reads it.
    pub state_version: u64,
    /// What is planned.
    pub plan: Option<Plan>,
    /// Sorted by name.
    pub applied: Vec<Applied>,
}

impl Default for Genesis {
    fn default() -> Self {
        Self { state_version: STATE_VERSION, plan: None, applied: Vec::new() }
    }
}

/// An upgrade that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// The plan's name.
    pub name: String,
    /// First height of the program.
    pub height: u64,
}

/// Writes it.
///
/// # Errors
/// Another version than this program's, or a plan that is wrong in itself.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    if genesis.state_version != STATE_VERSION {
        let version = genesis.state_version;
        return Err(format!(
            "the document is of state version {version}, this program's is {STATE_VERSION}"
        ));
    }
    ctx.put(keys::state_version(), &genesis.state_version);
    if let Some(plan) = &genesis.plan {
        plan.validate().map_err(|error| error.to_string())?;
        ctx.put(keys::plan(), plan);
    }
    for Applied { name, height } in &genesis.applied {
        if ctx.has(&keys::applied(name)) {
            return Err(format!("applied upgrade {name:?} is listed twice"));
        }
        ctx.put(keys::applied(name), height);
    }
    Ok(())
}

/// As it is.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let applied = ctx.prefix(&keys::all_applied()).filter_map(|(key, value)| {
        let name = keys::applied_name(&key)?;
        Some(Applied { name, height: crate::state::decode(&key, &value) })
    });
    Genesis { state_version: state_version(ctx), plan: plan(ctx), applied: applied.collect() }
}
