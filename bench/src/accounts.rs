//! Keys and accounts that a bench begins with.

use std::collections::BTreeMap;

use anyhow::Result;
use stoa_chain::genesis::Genesis;
use stoa_chain::modules::auth::{Account, GenesisAccount};
use stoa_chain::modules::consensus;
use stoa_chain::modules::provider::Provider;
use stoa_chain::types::{Address, Amount, Coins, Denom};
use stoa_client::keys::{Algorithm, SecretKey};
use stoa_client::tx::{self, SignInput};
use stoa_proto::Any;

/// The chain's name in benches.
pub const CHAIN_ID: &str = "stoa-bench";
/// What every account holds.
pub const FUNDS: u128 = 1_000_000_000_000_000;
/// When benches begin.
pub const NOW: u64 = 1_800_000_000;
/// Gas limit of every transaction.
pub const GAS: u64 = 500_000;

/// A key that is the same in every run.
pub fn key(number: u32) -> Result<SecretKey> {
    let mut seed = [7u8; 32];
    seed[28..].copy_from_slice(&(number + 1).to_be_bytes());
    Ok(SecretKey::from_bytes(Algorithm::Secp256k1, &seed)?)
}

/// The address of key `number`.
pub fn address(number: u32) -> Result<Address> {
    Ok(key(number)?.address().to_string().parse()?)
}

/// Accounts of the keys below `accounts`; those below `providers` are
/// registered as providers too.
pub fn genesis(accounts: u32, providers: u32) -> Result<Genesis> {
    let denom = Denom::try_from("ustoa")?;
    let mut balances = Coins::new();
    balances.set(denom.clone(), Amount::from_raw(FUNDS));
    let mut by_address = BTreeMap::new();
    for number in 0..accounts {
        by_address.insert(address(number)?, u64::from(number));
    }
    let mut genesis = Genesis::default();
    for (address, number) in by_address {
        let account = Account::new(number, balances.clone());
        genesis.auth.accounts.push(GenesisAccount { address, account });
    }
    genesis.auth.next_number = u64::from(accounts);
    // Benches execute more in a block than a network would.
    genesis.consensus.params =
        Some(consensus::Params { max_block_gas: None, ..consensus::Params::default() });
    genesis.bank.supply.set(denom, Amount::from_raw(FUNDS * u128::from(accounts)));
    for number in 0..providers {
        genesis.provider.providers.push(provider(number)?);
    }
    genesis.provider.providers.sort_by_key(|provider| provider.owner);
    Ok(genesis)
}

/// The same with `more` accounts for which there is no key: a state of a wanted size.
pub fn padded_genesis(accounts: u32, providers: u32, more: u64) -> Result<Genesis> {
    let mut genesis = genesis(accounts, providers)?;
    let denom = Denom::try_from("ustoa")?;
    let mut balances = Coins::new();
    balances.set(denom.clone(), Amount::from_raw(1));
    for number in 0..more {
        let mut address = [0x11; 20];
        address[12..].copy_from_slice(&number.to_be_bytes());
        let account = Account::new(u64::from(accounts) + number, balances.clone());
        genesis.auth.accounts.push(GenesisAccount { address: Address::new(address), account });
    }
    genesis.auth.accounts.sort_by_key(|entry| entry.address);
    genesis.auth.next_number = u64::from(accounts) + more;
    let supply = FUNDS * u128::from(accounts) + u128::from(more);
    genesis.bank.supply.set(denom, Amount::from_raw(supply));
    Ok(genesis)
}

fn provider(number: u32) -> Result<Provider> {
    let owner = address(number)?;
    let root = stoa_client::tls::provider_root(&owner.to_string(), 365)?;
    Ok(Provider {
        owner,
        host_uri: "https://provider.example:8443".to_owned(),
        attributes: Vec::new(),
        email: String::new(),
        website: String::new(),
        root_certificate: root.certificate().to_vec(),
        earlier_root: None,
        jailed: false,
        created_at: NOW,
        stake: Amount::ZERO,
    })
}

/// Messages signed by key `number`, whose account has that number too.
pub fn sign(number: u32, sequence: u64, messages: Vec<Any>) -> Result<Vec<u8>> {
    let input = SignInput {
        chain_id: CHAIN_ID,
        account_number: u64::from(number),
        sequence,
        gas: GAS,
        fee: 1_000,
        fee_denom: "ustoa",
        memo: "",
        timeout_height: 0,
    };
    Ok(tx::sign(&key(number)?, messages, &input)?.bytes)
}
