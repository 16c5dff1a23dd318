//! Auditors' records at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{is_sound, keys, records, Record};
use crate::ctx::Ctx;

/// Audit's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Sorted by provider, then auditor.
    pub records: Vec<Record>,
}

/// Writes the records.
///
/// # Errors
/// A record listed twice, empty, or not sorted.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    for Record { auditor, provider, attributes } in &genesis.records {
        let key = keys::record(provider, auditor);
        let named = format!("the record of {auditor} about {provider}");
        if ctx.has(&key) {
            return Err(format!("{named} is listed twice"));
        }
        if !is_sound(attributes) {
            return Err(format!("{named} is empty, or not sorted by distinct keys"));
        }
        ctx.put(key, attributes);
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    Genesis { records: records(ctx).collect() }
}
