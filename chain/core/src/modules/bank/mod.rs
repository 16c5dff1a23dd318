//! Bank: moves balances, knows the supply, holds collected fees.
//!
//! Balances stand in auth's accounts. What another module holds (a deposit, an
//! escrow) stands in that module's records: [`take`] moves coins out of an
//! account into a module's care, [`give`] moves them back.
//!
//! Invariant: no coin appears or vanishes but by genesis, [`mint`] and [`burn`].

mod error;
mod genesis;
mod governed;
mod keys;
mod metadata;
mod msgs;
mod params;
mod query;
#[cfg(test)]
mod tests;

pub use error::BankError;
pub use genesis::{export, init, Genesis};
pub use governed::{SetSendEnabled, UpdateParams};
pub use metadata::{all_metadata, metadata, Metadata, Unit};
pub use msgs::{MultiSend, Send};
pub use params::{check_may_send, params, set_params, Params, SendEnabled};
pub use query::routes;

use crate::ctx::Ctx;
use crate::error::SdkError;
use crate::event::Event;
use crate::modules::auth;
use crate::types::{Address, Amount, Coin, Coins, Denom};

/// What the account at `address` has of `denom`.
pub fn balance(ctx: &Ctx<'_>, address: &Address, denom: &Denom) -> Amount {
    auth::account(ctx, address).map_or(Amount::ZERO, |account| account.balances.of(denom))
}

/// What the account at `address` may send of `denom` now: its balance less what
/// is vesting.
pub fn spendable(ctx: &Ctx<'_>, address: &Address, denom: &Denom) -> Amount {
    let account = auth::account(ctx, address);
    account.map_or(Amount::ZERO, |account| account.spendable(denom, ctx.now()))
}

/// Moves a coin from an account into the calling module's care.
///
/// # Errors
/// The account may spend less.
pub fn take(ctx: &mut Ctx<'_>, from: &Address, coin: &Coin) -> Result<(), SdkError> {
    if coin.amount.is_zero() {
        return Ok(());
    }
    let mut account = auth::account(ctx, from).ok_or_else(|| lacking(from, coin, Amount::ZERO))?;
    let free = account.spendable(&coin.denom, ctx.now());
    if free < coin.amount {
        return Err(lacking(from, coin, free));
    }
    account.balances.checked_sub(coin).ok_or_else(|| lacking(from, coin, free))?;
    auth::put_account(ctx, from, &account);
    ctx.emit(Event::new("coin_spent").with("spender", from).with("amount", coin));
    Ok(())
}

/// Moves a coin from the calling module's care to an account, which begins
/// with it where there was none. The sum fits, for supply is bounded.
pub fn give(ctx: &mut Ctx<'_>, to: &Address, coin: &Coin) {
    if coin.amount.is_zero() {
        return;
    }
    let mut account = auth::account_or_new(ctx, to);
    let sum = account.balances.of(&coin.denom).saturating_add(coin.amount);
    account.balances.set(coin.denom.clone(), sum);
    auth::put_account(ctx, to, &account);
    ctx.emit(Event::new("coin_received").with("receiver", to).with("amount", coin));
}

/// Takes a transaction's fee.
///
/// # Errors
/// The payer has less.
pub fn collect_fee(ctx: &mut Ctx<'_>, payer: &Address, fee: &Coins) -> Result<(), SdkError> {
    if fee.is_empty() {
        return Ok(());
    }
    let mut collected = collected_fees(ctx);
    for coin in fee.iter() {
        take(ctx, payer, &coin)?;
        let sum = collected.of(&coin.denom).saturating_add(coin.amount);
        collected.set(coin.denom, sum);
    }
    ctx.put(keys::collected_fees(), &collected);
    ctx.emit(Event::new("tx").with("fee", fee).with("fee_payer", payer));
    Ok(())
}

/// Moves a coin from an account into staking's care. A vesting account may
/// delegate what it cannot spend yet.
///
/// # Errors
/// The account has less.
pub fn delegate(ctx: &mut Ctx<'_>, from: &Address, coin: &Coin) -> Result<(), SdkError> {
    let mut account = auth::account(ctx, from).ok_or_else(|| lacking(from, coin, Amount::ZERO))?;
    let has = account.balances.of(&coin.denom);
    account.balances.checked_sub(coin).ok_or_else(|| lacking(from, coin, has))?;
    let now = ctx.now();
    if let Some(vesting) = &mut account.vesting {
        vesting.track_delegation(coin, now);
    }
    auth::put_account(ctx, from, &account);
    ctx.emit(Event::new("coin_spent").with("spender", from).with("amount", coin));
    Ok(())
}

/// Moves a coin from staking's care back to its account.
pub fn undelegate(ctx: &mut Ctx<'_>, to: &Address, coin: &Coin) {
    give(ctx, to, coin);
    let Some(mut account) = auth::account(ctx, to) else { return };
    if let Some(vesting) = &mut account.vesting {
        vesting.track_undelegation(coin);
        auth::put_account(ctx, to, &account);
    }
}

/// Makes a coin, which is then in the calling module's care. Answers what was
/// made: less, where more would exist than may.
pub fn mint(ctx: &mut Ctx<'_>, coin: &Coin) -> Coin {
    let exists = supply(ctx, &coin.denom);
    let room = Amount::MAX_SUPPLY.saturating_sub(exists);
    let made = coin.amount.min(room);
    if !made.is_zero() {
        ctx.put(keys::supply(&coin.denom), &exists.saturating_add(made));
        let made = Coin::new(coin.denom.clone(), made);
        ctx.emit(Event::new("coinbase").with("amount", &made));
    }
    Coin::new(coin.denom.clone(), made)
}

/// Destroys a coin of the calling module's care.
pub fn burn(ctx: &mut Ctx<'_>, coin: &Coin) {
    if coin.amount.is_zero() {
        return;
    }
    // What is in a module's care is part of the supply.
    let left = supply(ctx, &coin.denom).saturating_sub(coin.amount);
    ctx.put(keys::supply(&coin.denom), &left);
    ctx.emit(Event::new("burn").with("amount", coin));
}

/// Adds a coin of the calling module's care to the collected fees.
pub fn add_collected_fee(ctx: &mut Ctx<'_>, coin: &Coin) {
    if coin.amount.is_zero() {
        return;
    }
    let mut collected = collected_fees(ctx);
    let sum = collected.of(&coin.denom).saturating_add(coin.amount);
    collected.set(coin.denom.clone(), sum);
    ctx.put(keys::collected_fees(), &collected);
}

/// Moves all collected fees into the calling module's care.
pub fn take_collected_fees(ctx: &mut Ctx<'_>) -> Coins {
    let collected = collected_fees(ctx);
    if !collected.is_empty() {
        ctx.remove(keys::collected_fees());
    }
    collected
}

/// Fees of transactions that are not distributed yet.
pub fn collected_fees(ctx: &Ctx<'_>) -> Coins {
    ctx.get(&keys::collected_fees()).unwrap_or_default()
}

/// All of `denom` that exists.
pub fn supply(ctx: &Ctx<'_>, denom: &Denom) -> Amount {
    ctx.get(&keys::supply(denom)).unwrap_or_default()
}

/// All that exists, by denom.
pub fn supplies<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Coin> + 'a {
    ctx.prefix(&keys::supplies()).filter_map(|(key, value)| {
        let denom = keys::supply_denom(&key)?;
        Some(Coin::new(denom, crate::state::decode(&key, &value)))
    })
}

fn lacking(address: &Address, coin: &Coin, has: Amount) -> SdkError {
    SdkError::InsufficientFunds(format!(
        "spendable balance {has}{} of {address} is smaller than {coin}",
        coin.denom
    ))
}
