//! Audits: which attributes of a provider which auditor vouches for. Anybody
//! may audit; tenants name the auditors that they trust.
//!
//! Owns: a record for each provider and auditor. A record begins with a
//! provider that is registered, and outlives it, for it is the auditor's word
//! about an account, and the auditor's to take back. Invariants: a record is
//! never empty; its attributes are sorted, their keys distinct.

mod error;
mod genesis;
mod keys;
mod msgs;
mod query;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use genesis::{export, init, Genesis};
pub use msgs::{DeleteAttributes, SignAttributes};
pub use query::routes;

use serde::{Deserialize, Serialize};

use crate::ctx::Ctx;
use crate::types::{Address, Attribute};

/// What an auditor vouches for about a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Who says so.
    pub auditor: Address,
    /// About whom.
    pub provider: Address,
    /// Sorted, keys distinct, at least one.
    pub attributes: Vec<Attribute>,
}

/// Whether the auditor vouches for every required attribute of the provider.
/// An auditor without a record covers nothing, be it that nothing is required.
pub fn covers(
    ctx: &Ctx<'_>,
    auditor: &Address,
    provider: &Address,
    required: &[Attribute],
) -> bool {
    let Some(signed) = attributes(ctx, auditor, provider) else { return false };
    required.iter().all(|required| signed.iter().any(|fact| required.is_met_by(fact)))
}

/// What the auditor has signed about the provider.
pub fn attributes(ctx: &Ctx<'_>, auditor: &Address, provider: &Address) -> Option<Vec<Attribute>> {
    ctx.get(&keys::record(provider, auditor))
}

/// All records, by provider, then auditor.
pub fn records<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Record> + 'a {
    ctx.prefix(&keys::records()).filter_map(|(key, value)| read(&key, &value))
}

/// What is wrong with audit's records.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    for record in records(ctx).filter(|record| !is_sound(&record.attributes)) {
        let Record { auditor, provider, .. } = record;
        broken.push(format!("the record of {auditor} about {provider} is empty or not sorted"));
    }
}

fn is_sound(attributes: &[Attribute]) -> bool {
    !attributes.is_empty() && attributes.is_sorted_by(|a, b| a.key < b.key)
}

fn read(key: &[u8], value: &[u8]) -> Option<Record> {
    let (provider, auditor) = keys::record_parts(key)?;
    Some(Record { auditor, provider, attributes: crate::state::decode(key, value) })
}
