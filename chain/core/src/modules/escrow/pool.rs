//! The community pool: what takes, fees and forfeits have brought together.

use super::keys;
use crate::ctx::Ctx;
use crate::types::{Denom, Fine};

/// Adds to the pool.
pub fn add(ctx: &mut Ctx<'_>, denom: &Denom, money: Fine) {
    if money.is_zero() {
        return;
    }
    let key = keys::pool(denom);
    let pool: Fine = ctx.get(&key).unwrap_or_default();
    ctx.put(key, &pool.saturating_add(money));
}

/// What is in it, by denom.
pub fn all<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Denom, Fine)> + 'a {
    ctx.prefix(&keys::pools()).filter_map(|(key, value)| {
        Some((keys::pool_denom(&key)?, crate::state::decode(&key, &value)))
    })
}
