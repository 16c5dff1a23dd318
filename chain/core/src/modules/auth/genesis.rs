//! Accounts at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::unordered::{self, Used};
use super::{accounts, keys, params, Account, Params};
use crate::ctx::Ctx;
use crate::types::Address;

/// Auth's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Bounds on transactions.
    pub params: Params,
    /// Number that the next new account gets.
    pub next_number: u64,
    /// Accounts with their balances. Sorted by address.
    pub accounts: Vec<GenesisAccount>,
    /// Times of timeout that unordered transactions have used.
    pub unordered: Vec<Used>,
}

/// An account with its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Whose.
    pub address: Address,
    /// The rest.
    #[serde(flatten)]
    pub account: Account,
}

/// Writes the accounts.
///
/// # Errors
/// An account listed twice, or a number that is not below the next.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    ctx.put(keys::params(), &genesis.params);
    ctx.put(keys::next_number(), &genesis.next_number);
    for GenesisAccount { address, account } in &genesis.accounts {
        if ctx.has(&keys::account(address)) {
            return Err(format!("account {address} is listed twice"));
        }
        if account.number >= genesis.next_number {
            let (number, next) = (account.number, genesis.next_number);
            return Err(format!("account {address} has number {number}; the next is {next}"));
        }
        if account.public_key.as_ref().is_some_and(|key| key.address() != *address) {
            return Err(format!("the public key of account {address} is another account's"));
        }
        if let Some(vesting) = &account.vesting {
            vesting.validate().map_err(|wrong| format!("account {address}: {wrong}"))?;
        }
        if ctx.has(&keys::by_number(account.number)) {
            return Err(format!("number {} is that of two accounts", account.number));
        }
        ctx.put(keys::by_number(account.number), address);
        ctx.put(keys::account(address), account);
    }
    genesis.unordered.iter().for_each(|used| unordered::put(ctx, used));
    Ok(())
}

/// The accounts as they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let accounts = accounts(ctx).map(|(address, account)| GenesisAccount { address, account });
    Genesis {
        params: params(ctx),
        next_number: ctx.get(&keys::next_number()).unwrap_or_default(),
        accounts: accounts.collect(),
        unordered: unordered::all(ctx).collect(),
    }
}
