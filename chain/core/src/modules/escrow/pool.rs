//! The community pool: what takes, fees and forfeits have brought together.

use super::keys;
use crate::ctx::Ctx;
use crate::error::SdkError;
use crate::types::{Coin, Denom, Fine};

/// Adds to the pool.
pub fn add(ctx: &mut Ctx<'_>, denom: &Denom, money: Fine) {
    if money.is_zero() {
        return;
    }
    let key = keys::pool(denom);
    let pool: Fine = ctx.get(&key).unwrap_or_default();
    ctx.put(key, &pool.saturating_add(money));
}

/// Takes whole coins out of the pool into the calling module's care.
///
/// # Errors
/// The pool has less.
pub fn take(ctx: &mut Ctx<'_>, coin: &Coin) -> Result<(), SdkError> {
    let key = keys::pool(&coin.denom);
    let pool: Fine = ctx.get(&key).unwrap_or_default();
    let left = pool.checked_sub(coin.amount.to_fine()).ok_or_else(|| {
        SdkError::InsufficientFunds(format!(
            "the community pool has {pool}{}, less than {coin}",
            coin.denom
        ))
    })?;
    if left.is_zero() {
        ctx.remove(key);
    } else {
        ctx.put(key, &left);
    }
    Ok(())
}

/// What is in it, by denom.
pub fn all<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Denom, Fine)> + 'a {
    ctx.prefix(&keys::pools()).filter_map(|(key, value)| {
        Some((keys::pool_denom(&key)?, crate::state::decode(&key, &value)))
    })
}
