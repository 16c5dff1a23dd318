//! Authz: one account lets another send certain messages in its name.
//!
//! Owns: grants, at most one from an account to another for a type URL. A
//! grant of which nothing is left is removed at once, one that has expired
//! some time after, a bounded number a block.
//!
//! A message within `MsgExec` is executed as its granter's own: by the same
//! code, for gas, and counted among the transaction's messages. None of them
//! is a `MsgExec`.
//!
//! Invariants: nobody has a grant from itself; a grant is named by its
//! authorization's type URL; the indexes by grantee and by last second are
//! what the grants say.

mod action;
mod authorization;
mod deployment;
mod error;
mod exec;
mod genesis;
mod keys;
mod msgs;
mod query;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::authz::v1beta1::MsgExec;
use prost::Name;
use serde::{Deserialize, Serialize};

pub use authorization::{Authorization, SendLimits, StakeKind, StakeLimits, Validators};
pub use deployment::{Limits, MaxRate};
pub use error::AuthzError;
pub use exec::Exec;
pub use genesis::{export, init, Genesis, GenesisGrant};
pub use msgs::{Grant as GrantMessage, Revoke};
pub use query::routes;

use crate::ctx::Ctx;
use keys::Subject;

/// Most expired grants that a block's beginning removes.
const PRUNED_A_BLOCK: usize = 200;

/// What was granted, until when.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What the grantee may do.
    pub authorization: Authorization,
    /// Its last Unix second; none: no end.
    pub expiration: Option<u64>,
}

impl Grant {
    /// Last second at which it allows something; none: no end.
    fn last_second(&self) -> Option<u64> {
        let its_own = self.authorization.last_second();
        self.expiration.into_iter().chain(its_own).min()
    }
}

/// Whether messages of this type hold others.
fn is_exec(url: &str) -> bool {
    url == MsgExec::type_url()
}

fn find(ctx: &Ctx<'_>, subject: &Subject) -> Option<Grant> {
    ctx.get(&keys::grant(subject))
}

/// Writes a grant and its entries in the indexes.
fn write(ctx: &mut Ctx<'_>, subject: &Subject, grant: &Grant) {
    ctx.put(keys::grant(subject), grant);
    for entry in entries(subject, grant) {
        ctx.put_raw(entry, Vec::new());
    }
}

fn remove(ctx: &mut Ctx<'_>, subject: &Subject, grant: &Grant) {
    ctx.remove(keys::grant(subject));
    for entry in entries(subject, grant) {
        ctx.remove(entry);
    }
}

/// Where a grant stands in the indexes. Using it does not move it.
fn entries(subject: &Subject, grant: &Grant) -> impl Iterator<Item = Vec<u8>> {
    let expiring = grant.last_second().map(|time| keys::expiring(time, subject));
    std::iter::once(keys::by_grantee(subject)).chain(expiring)
}

/// All grants, by granter, grantee and type.
fn all<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Subject, Grant)> + 'a {
    ctx.prefix(&keys::grants()).filter_map(|(key, value)| {
        Some((keys::grant_subject(&key)?, crate::state::decode(&key, &value)))
    })
}

/// Removes grants that have expired, a bounded number a block.
pub fn begin_block(ctx: &mut Ctx<'_>) {
    let (from, to) = (keys::expirations(), keys::expiring_from(ctx.now()));
    let expired: Vec<_> = ctx.range(&from, &to).take(PRUNED_A_BLOCK).map(|(key, _)| key).collect();
    for subject in expired.iter().filter_map(|key| keys::expiring_subject(key)) {
        if let Some(grant) = find(ctx, &subject) {
            remove(ctx, &subject, &grant);
        }
    }
}

/// What is wrong with the grants.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let mut wanted = BTreeSet::new();
    for (subject, grant) in all(ctx) {
        let Subject { granter, grantee, url } = &subject;
        if granter == grantee {
            broken.push(format!("{granter} has granted {url} to itself"));
        }
        if *url != grant.authorization.url() {
            broken
                .push(format!("the grant of {url} by {granter} to {grantee} is for another type"));
        }
        wanted.extend(entries(&subject, &grant));
    }
    let by_grantee = ctx.prefix(&keys::by_grantees()).map(|(key, _)| key);
    let expiring = ctx.prefix(&keys::expirations()).map(|(key, _)| key);
    if by_grantee.chain(expiring).collect::<BTreeSet<_>>() != wanted {
        broken.push("authz' indexes are not what its grants say".to_owned());
    }
}
