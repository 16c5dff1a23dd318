//! Feegrant: one account pays another's fees, within an allowance.
//!
//! Owns: allowances, at most one from an account to another. An allowance of
//! which nothing is left is removed at once, one that has expired some time
//! after, a bounded number a block.
//!
//! Invariants: nobody has an allowance from itself; the indexes by granter and
//! by expiration are what the allowances say.

mod allowance;
mod error;
mod genesis;
mod keys;
mod msgs;
mod query;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use allowance::{Allowance, Basic, Periodic};
pub use error::FeegrantError;
pub use genesis::{export, init, Genesis, GenesisAllowance};
pub use msgs::{GrantAllowance, PruneAllowances, RevokeAllowance};
pub use query::routes;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::types::{Address, Coins};

/// Most expired allowances that a block's end removes.
const PRUNED_A_BLOCK: usize = 200;

/// What `granter` pays of `grantee`'s fees.
pub fn find(ctx: &Ctx<'_>, granter: &Address, grantee: &Address) -> Option<Allowance> {
    ctx.get(&keys::allowance(granter, grantee))
}

/// Uses the allowance for the fee of a transaction of these messages (type
/// URLs). The fee itself is then taken from the granter.
///
/// # Errors
/// There is none, or it does not allow that.
pub fn spend(
    ctx: &mut Ctx<'_>,
    granter: &Address,
    grantee: &Address,
    fee: &Coins,
    messages: &[String],
) -> Result<(), Failure> {
    let refused = |why: Failure| Failure {
        message: format!("{granter} does not allow to pay fees for {grantee}: {}", why.message),
        ..why
    };
    let found = find(ctx, granter, grantee).ok_or_else(|| msgs::none(granter, grantee));
    let mut allowance = found.map_err(|why| refused(why.into()))?;
    let spent = allowance.spend(ctx.now(), fee, messages);
    let used_up = spent.map_err(|why| refused(why.into()))?;
    ctx.emit(msgs::about("use_feegrant", granter, grantee));
    if used_up {
        remove(ctx, granter, grantee, &allowance);
        ctx.emit(msgs::about("revoke_feegrant", granter, grantee));
    } else {
        ctx.put(keys::allowance(granter, grantee), &allowance);
        ctx.emit(msgs::about("update_feegrant", granter, grantee));
    }
    Ok(())
}

/// Removes allowances that have expired, a bounded number a block.
pub fn end_block(ctx: &mut Ctx<'_>) {
    prune(ctx, PRUNED_A_BLOCK);
}

/// Removes at most so many allowances whose last second is over.
fn prune(ctx: &mut Ctx<'_>, most: usize) {
    let (from, to) = (keys::expirations(), keys::expiring_from(ctx.now()));
    let expired: Vec<_> = ctx.range(&from, &to).take(most).map(|(key, _)| key).collect();
    for (granter, grantee) in expired.iter().filter_map(|key| keys::expiring_parties(key)) {
        if let Some(allowance) = find(ctx, &granter, &grantee) {
            remove(ctx, &granter, &grantee, &allowance);
        }
    }
}

/// Writes a new allowance and its entries in the indexes.
fn write(ctx: &mut Ctx<'_>, granter: &Address, grantee: &Address, allowance: &Allowance) {
    ctx.put(keys::allowance(granter, grantee), allowance);
    for entry in entries(granter, grantee, allowance) {
        ctx.put_raw(entry, Vec::new());
    }
}

fn remove(ctx: &mut Ctx<'_>, granter: &Address, grantee: &Address, allowance: &Allowance) {
    ctx.remove(keys::allowance(granter, grantee));
    for entry in entries(granter, grantee, allowance) {
        ctx.remove(entry);
    }
}

/// Where an allowance stands in the indexes. Spending does not move it.
fn entries(
    granter: &Address,
    grantee: &Address,
    allowance: &Allowance,
) -> impl Iterator<Item = Vec<u8>> {
    let expiring = allowance.basic.expiration;
    let expiring = expiring.map(|time| keys::expiring(time, granter, grantee));
    std::iter::once(keys::by_granter(granter, grantee)).chain(expiring)
}

/// All allowances with granter and grantee, by grantee.
fn all<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Address, Address, Allowance)> + 'a {
    ctx.prefix(&keys::allowances()).filter_map(|(key, value)| {
        let (granter, grantee) = keys::allowance_parties(&key)?;
        Some((granter, grantee, crate::state::decode(&key, &value)))
    })
}

/// What is wrong with the allowances.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let mut wanted = BTreeSet::new();
    for (granter, grantee, allowance) in all(ctx) {
        if granter == grantee {
            broken.push(format!("{granter} has a fee allowance from itself"));
        }
        wanted.extend(entries(&granter, &grantee, &allowance));
    }
    let by_granter = ctx.prefix(&keys::by_granters()).map(|(key, _)| key);
    let expiring = ctx.prefix(&keys::expirations()).map(|(key, _)| key);
    if by_granter.chain(expiring).collect::<BTreeSet<_>>() != wanted {
        broken.push("feegrant's indexes are not what its allowances say".to_owned());
    }
}
