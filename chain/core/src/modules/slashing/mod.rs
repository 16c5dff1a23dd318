//! Slashing: who missed too many blocks, and who signed two for one height.
//!
//! Owns: for each validator that votes or has voted a record of when it began
//! and which of the last blocks it missed.
//!
//! Invariants: who votes has a record; it counts as many misses as are noted;
//! a double signer is jailed.

mod error;
mod genesis;
mod keys;
mod liveness;
mod misbehavior;
mod msgs;
mod params;
mod query;
mod records;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use genesis::{export, init, Genesis, GenesisSigningInfo};
pub use misbehavior::FOREVER;
pub use msgs::{Unjail, UpdateParams};
pub use params::{params, Params, MAX_JAIL_DURATION, MAX_WINDOW};
pub use query::routes;
pub use records::{signing_info, signing_infos, SigningInfo};

use crate::ctx::Ctx;
use crate::input::BlockInput;
use crate::modules::staking;
use crate::types::ConsAddress;

/// Counts the votes on the last block, and punishes misbehavior.
pub fn begin_block(ctx: &mut Ctx<'_>, input: &BlockInput) {
    if input.votes.is_empty() && input.misbehavior.is_empty() {
        return;
    }
    let params = params(ctx);
    input.votes.iter().for_each(|vote| liveness::count(ctx, &params, vote));
    input.misbehavior.iter().for_each(|shown| misbehavior::punish(ctx, &params, shown));
}

/// Hook: a validator begins to vote, for the first time or again. Its votes
/// are counted anew.
pub fn after_validator_bonded(ctx: &mut Ctx<'_>, validator: &ConsAddress) {
    let mut info = signing_info(ctx, validator).unwrap_or_default();
    liveness::start_over(ctx, validator, &mut info);
    records::put_info(ctx, validator, &info);
}

/// Hook: a validator leaves the state. Of a double signer the record stays, so
/// that its key stays out.
pub fn after_validator_removed(ctx: &mut Ctx<'_>, validator: &ConsAddress) {
    records::clear_missed(ctx, validator);
    match signing_info(ctx, validator) {
        Some(info) if info.tombstoned => {
            records::put_info(ctx, validator, &SigningInfo { missed: 0, ..info });
        }
        Some(_) => ctx.remove(keys::signing_info(validator)),
        None => {}
    }
}

/// Whether the key signed two blocks of one height: it validates no more.
pub fn is_tombstoned(ctx: &Ctx<'_>, validator: &ConsAddress) -> bool {
    signing_info(ctx, validator).is_some_and(|info| info.tombstoned)
}

/// What is wrong with slashing's records.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    for (validator, info) in signing_infos(ctx) {
        let places = records::missed_places(ctx, &validator);
        let outside = places.last().is_some_and(|place| *place >= info.window);
        if u64::try_from(places.len()) != Ok(info.missed) || outside {
            broken.push(format!(
                "{validator} missed {} blocks of {}; noted are {places:?}",
                info.missed, info.window
            ));
        }
        let free = staking::validator_by_consensus(ctx, &validator).is_some_and(|v| !v.jailed);
        if info.tombstoned && free {
            broken.push(format!("{validator} is tombstoned, but not jailed"));
        }
    }
    for (key, _) in ctx.prefix(&keys::missed()) {
        let whose = keys::missed_chunk_parts(&key).map(|(validator, _)| validator);
        if whose.is_none_or(|validator| signing_info(ctx, &validator).is_none()) {
            broken.push(format!("missed blocks of nobody: {}", hex::encode(key)));
        }
    }
    for validator in staking::validators(ctx).filter(staking::Validator::is_bonded) {
        let consensus = validator.consensus();
        if signing_info(ctx, &consensus).is_none() {
            broken.push(format!("the votes of {consensus} are not counted"));
        }
    }
}
