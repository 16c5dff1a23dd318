//! Stake on its way back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{keys, params, Error};
use crate::ctx::Ctx;
use crate::modules::bank;
use crate::types::{Address, Amount, Coin, Denom};

/// Most unbondings that one block pays out; the rest follows in the next.
pub const MAX_PER_BLOCK: usize = 1_000;

/// Stake that returns to its provider's account when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unbonding {
    /// Whose.
    pub provider: Address,
    /// Unix second from which on it is paid out.
    pub completes_at: u64,
    /// In [`crate::types::STAKE_DENOM`].
    pub amount: Amount,
}

/// Begins one, and answers when it completes. Those that complete at the same
/// second are one.
pub(super) fn begin(ctx: &mut Ctx<'_>, owner: &Address, amount: Amount) -> Result<u64, Error> {
    let params = params(ctx);
    let completes_at = ctx.now().saturating_add(params.unbonding);
    let same: Option<Amount> = ctx.get(&keys::unbonding(completes_at, owner));
    if same.is_none() {
        check_room(ctx, owner, params.max_unbondings)?;
    }
    let amount = same.unwrap_or_default().saturating_add(amount);
    put(ctx, &Unbonding { provider: *owner, completes_at, amount });
    Ok(completes_at)
}

fn check_room(ctx: &Ctx<'_>, owner: &Address, max: u32) -> Result<(), Error> {
    let most = usize::try_from(max).unwrap_or(usize::MAX);
    let under_way: Vec<u64> = times(ctx, owner).take(most).collect();
    if under_way.len() >= most {
        let next = under_way.first().copied().unwrap_or_default();
        return Err(Error::TooManyUnbondings { max, next });
    }
    Ok(())
}

/// Writes one with its place in the index.
pub(super) fn put(ctx: &mut Ctx<'_>, unbonding: &Unbonding) {
    let Unbonding { provider, completes_at, amount } = unbonding;
    ctx.put(keys::unbonding(*completes_at, provider), amount);
    ctx.put(keys::unbonding_of(provider, *completes_at), &());
}

/// All that are under way, the first to complete first.
pub fn unbondings<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Unbonding> + 'a {
    ctx.prefix(&keys::unbondings()).filter_map(|(key, value)| read(&key, &value))
}

/// Those of one provider, the first to complete first.
pub fn unbondings_of<'a>(
    ctx: &'a Ctx<'_>,
    owner: &'a Address,
) -> impl Iterator<Item = Unbonding> + 'a {
    times(ctx, owner).filter_map(|completes_at| {
        let amount = ctx.get(&keys::unbonding(completes_at, owner))?;
        Some(Unbonding { provider: *owner, completes_at, amount })
    })
}

fn times<'a>(ctx: &'a Ctx<'_>, owner: &Address) -> impl Iterator<Item = u64> + 'a {
    let entries = ctx.prefix(&keys::unbondings_of(owner));
    entries.filter_map(|(key, _)| keys::unbonding_of_parts(&key).map(|(_, time)| time))
}

fn read(key: &[u8], value: &[u8]) -> Option<Unbonding> {
    let (completes_at, provider) = keys::unbonding_parts(key)?;
    Some(Unbonding { provider, completes_at, amount: crate::state::decode(key, value) })
}

/// Pays what is due, at most [`MAX_PER_BLOCK`]. Cannot fail.
pub fn end_block(ctx: &mut Ctx<'_>) {
    let until = keys::unbondings_after(ctx.now());
    let due: Vec<Unbonding> = ctx
        .range(&keys::unbondings(), &until)
        .take(MAX_PER_BLOCK)
        .filter_map(|(key, value)| read(&key, &value))
        .collect();
    for Unbonding { provider, completes_at, amount } in due {
        ctx.remove(keys::unbonding(completes_at, &provider));
        ctx.remove(keys::unbonding_of(&provider, completes_at));
        bank::give(ctx, &provider, &Coin::new(Denom::stake(), amount));
    }
}

/// Where the index differs from what it is derived from.
pub(super) fn check_index(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let derived: BTreeSet<(Address, u64)> =
        unbondings(ctx).map(|found| (found.provider, found.completes_at)).collect();
    let entries = ctx.prefix(&keys::unbondings_by_provider());
    let stored: BTreeSet<(Address, u64)> =
        entries.filter_map(|(key, _)| keys::unbonding_of_parts(&key)).collect();
    for (provider, time) in derived.symmetric_difference(&stored) {
        broken.push(format!("unbonding of {provider} at {time} and its index differ"));
    }
}
