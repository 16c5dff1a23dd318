//! Accounts: number, sequence, public key, and (one leaf for both, as each
//! transaction changes both) the balances that bank moves.
//!
//! Invariants: an account's number is its own and never changes; its sequence
//! only rises; its public key, once set, gives its address.

mod admit;
mod genesis;
mod keys;
mod public_key;
mod query;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

pub use admit::{admit, signature_checks, Admission};
pub use genesis::{export, init, Genesis, GenesisAccount};
pub use public_key::{PublicKey, SignatureCheck, Signatures, VerifyEach};
pub use query::routes;

use crate::ctx::Ctx;
use crate::types::{Address, Coins};

/// Bounds on transactions.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Params {
    /// Bytes of a memo.
    pub max_memo_bytes: u32,
    /// Signers of one transaction.
    pub max_signers: u32,
    /// Sum of the gas limits of a block's transactions.
    pub max_block_gas: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_memo_bytes: 256, max_signers: 8, max_block_gas: 200_000_000 }
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Account {
    /// Part of what is signed; given out in order of creation.
    pub number: u64,
    /// Of the next transaction.
    pub sequence: u64,
    /// Known from the first transaction on.
    pub public_key: Option<PublicKey>,
    /// What bank moves.
    pub balances: Coins,
}

/// The account at `address`.
pub fn account(ctx: &Ctx<'_>, address: &Address) -> Option<Account> {
    ctx.get(&keys::account(address))
}

/// The account at `address`, made where there is none.
pub fn account_or_new(ctx: &mut Ctx<'_>, address: &Address) -> Account {
    if let Some(account) = account(ctx, address) {
        return account;
    }
    let number: u64 = ctx.get(&keys::next_number()).unwrap_or_default();
    ctx.put(keys::next_number(), &number.saturating_add(1));
    Account { number, sequence: 0, public_key: None, balances: Coins::new() }
}

/// Writes the account at `address`.
pub fn put_account(ctx: &mut Ctx<'_>, address: &Address, account: &Account) {
    ctx.put(keys::account(address), account);
}

/// All accounts, by address.
pub fn accounts<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Address, Account)> + 'a {
    ctx.prefix(&keys::accounts()).filter_map(|(key, value)| {
        let address = keys::account_address(&key)?;
        Some((address, crate::state::decode(&key, &value)))
    })
}

/// The bounds in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}
