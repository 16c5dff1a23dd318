//! Accounts: number, sequence, public key, and (one leaf for both, as each
//! transaction changes both) the balances that bank moves. Index: accounts by
//! number.
//!
//! Invariants: an account's number is its own and never changes; its sequence
//! only rises; its public key, once set, gives its address.

mod account_key;
mod admit;
mod genesis;
mod keys;
mod module_accounts;
mod msgs;
mod public_key;
mod query;
mod unordered;
mod vesting;

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

pub use account_key::{AccountKey, Multisig, MAX_MULTISIG_KEYS};
pub use admit::{admit, signature_checks, Admission};
pub use genesis::{export, init, Genesis, GenesisAccount};
pub use module_accounts::is_module_account;
pub use msgs::UpdateParams;
pub use public_key::{PublicKey, SignatureCheck, Signatures, VerifyEach};
pub use query::{pages, routes};
pub use unordered::{prune as begin_block, Used, MAX_PRUNED};
pub use vesting::{Period, Schedule, Vesting};

use crate::ctx::Ctx;
use crate::types::{Address, Amount, Coins, Denom};

/// Most that [`Params::max_memo_bytes`] may be.
const MAX_MEMO_BYTES: u32 = 65_536;
/// Most that [`Params::max_signers`] may be.
const MAX_SIGNERS: u32 = 256;

/// Most that [`Params::max_unordered_seconds`] may be: what is used until then
/// is remembered.
const MAX_UNORDERED_SECONDS: u32 = 86_400;

/// Bounds on transactions.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Bytes of a memo.
    pub max_memo_bytes: u32,
    /// Signers of one transaction.
    pub max_signers: u32,
    /// How far ahead an unordered transaction's timeout may lie.
    pub max_unordered_seconds: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_memo_bytes: 256, max_signers: 8, max_unordered_seconds: 600 }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// Bounds in which no transaction fits.
    pub fn validate(&self) -> Result<(), String> {
        if self.max_signers == 0 {
            return Err("max_signers is over 0, or no transaction fits".to_owned());
        }
        if !(1..=MAX_UNORDERED_SECONDS).contains(&self.max_unordered_seconds) {
            let most = MAX_UNORDERED_SECONDS;
            return Err(format!("max_unordered_seconds is over 0 and at most {most}"));
        }
        if self.max_memo_bytes > MAX_MEMO_BYTES || self.max_signers > MAX_SIGNERS {
            return Err(format!(
                "max_memo_bytes is at most {MAX_MEMO_BYTES}, max_signers at most {MAX_SIGNERS}"
            ));
        }
        Ok(())
    }
}

/// Writes other bounds; see [`Params::validate`].
pub fn set_params(ctx: &mut Ctx<'_>, params: &Params) {
    ctx.put(keys::params(), params);
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Account {
    /// Part of what is signed; given out in order of creation.
    pub number: u64,
    /// Of the next transaction.
    pub sequence: u64,
    /// Known from the first transaction on.
    pub public_key: Option<AccountKey>,
    /// What bank moves.
    pub balances: Coins,
    /// What of it is locked, and until when; none for most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vesting: Option<Vesting>,
}

impl Account {
    /// An account that has not signed yet.
    pub fn new(number: u64, balances: Coins) -> Self {
        Self { number, sequence: 0, public_key: None, balances, vesting: None }
    }

    /// What it may send of `denom` at `now`: the balance less what is locked.
    pub fn spendable(&self, denom: &Denom, now: u64) -> Amount {
        let locked = self.vesting.as_ref().map(|vesting| vesting.locked(denom, now));
        self.balances.of(denom).saturating_sub(locked.unwrap_or_default())
    }
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
    ctx.put(keys::by_number(number), address);
    Account::new(number, Coins::new())
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

/// What is wrong with the accounts' index by number.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let wanted: BTreeMap<u64, Address> =
        accounts(ctx).map(|(address, account)| (account.number, address)).collect();
    let found: BTreeMap<u64, Address> = ctx
        .prefix(&keys::by_numbers())
        .filter_map(|(key, value)| Some((keys::number(&key)?, crate::state::decode(&key, &value))))
        .collect();
    if wanted != found || wanted.len() != accounts(ctx).count() {
        broken.push("the index of accounts by number is not what the accounts say".to_owned());
    }
}
