//! Staking's rules one by one.

mod commission;
mod delegations;
mod genesis;
mod queries;
mod redelegations;
mod set;
mod slashes;
mod validators;

use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;
use ed25519_dalek::SigningKey;

use super::*;
use crate::genesis::Genesis as Document;
use crate::testing::{address, coin, ctx_from, genesis_with, later, send};
use crate::types::{timestamp, ConsAddress, Dec, ValAddress, ONE};

/// What each account begins with.
pub(crate) const FUNDS: u128 = 1_000_000_000;
/// One vote in consensus.
pub(crate) const VOTE: u128 = 1_000_000;
/// Seconds.
pub(crate) const UNBONDING: u64 = 1_000;

pub(crate) fn key(number: u8) -> [u8; 32] {
    SigningKey::from_bytes(&[number; 32]).verifying_key().to_bytes()
}

pub(crate) fn consensus(number: u8) -> ConsAddress {
    ConsAddress::of_key(&key(number))
}

pub(crate) fn valoper(number: u8) -> String {
    ValAddress::from(address(number)).to_string()
}

fn account(number: u8) -> String {
    address(number).to_string()
}

/// Accounts 1 to 12, three validators at most, two entries.
pub(crate) fn document() -> Document {
    let accounts: Vec<_> = (1..=12).map(|number| (address(number), FUNDS)).collect();
    let mut document = genesis_with(&accounts);
    document.staking.params.unbonding_time = UNBONDING;
    document.staking.params.max_validators = 3;
    document.staking.params.max_entries = 2;
    document
}

/// A chain without validators.
pub(crate) fn chain() -> Ctx<'static> {
    ctx_from(&document())
}

/// A chain where the operators 1, 2, … vote with so much each.
pub(crate) fn chain_of(stakes: &[u128]) -> Ctx<'static> {
    let mut ctx = chain();
    for (number, stake) in (1..).zip(stakes) {
        send::<CreateValidator>(&mut ctx, create(number, *stake)).unwrap();
    }
    end(&mut ctx);
    later(ctx, 1)
}

pub(crate) fn create(number: u8, amount: u128) -> pb::MsgCreateValidator {
    pb::MsgCreateValidator {
        description: Some(pb::Description {
            moniker: format!("validator {number}"),
            ..Default::default()
        }),
        commission: Some(rates("0.1", "0.2", "0.05")),
        min_self_delegation: "1".to_owned(),
        validator_address: valoper(number),
        pubkey: Some(proto::consensus_key_any(&key(number))),
        value: Some(coin(amount).into()),
        ..Default::default()
    }
}

fn wire(decimal: &str) -> String {
    decimal.parse::<Dec>().unwrap().to_wire()
}

fn rates(rate: &str, max: &str, change: &str) -> pb::CommissionRates {
    let (rate, max_rate, max_change_rate) = (wire(rate), wire(max), wire(change));
    pb::CommissionRates { rate, max_rate, max_change_rate }
}

pub(crate) fn delegate(who: u8, to: u8, amount: u128) -> pb::MsgDelegate {
    pb::MsgDelegate {
        delegator_address: account(who),
        validator_address: valoper(to),
        amount: Some(coin(amount).into()),
    }
}

pub(crate) fn undelegate(who: u8, from: u8, amount: u128) -> pb::MsgUndelegate {
    pb::MsgUndelegate {
        delegator_address: account(who),
        validator_address: valoper(from),
        amount: Some(coin(amount).into()),
    }
}

fn redelegate(who: u8, from: u8, to: u8, amount: u128) -> pb::MsgBeginRedelegate {
    pb::MsgBeginRedelegate {
        delegator_address: account(who),
        validator_src_address: valoper(from),
        validator_dst_address: valoper(to),
        amount: Some(coin(amount).into()),
    }
}

fn cancel(who: u8, from: u8, amount: u128, height: u64) -> pb::MsgCancelUnbondingDelegation {
    pb::MsgCancelUnbondingDelegation {
        delegator_address: account(who),
        validator_address: valoper(from),
        amount: Some(coin(amount).into()),
        creation_height: proto::signed(height),
    }
}

/// Ends the block, and answers whose power changed, by the operators' numbers.
pub(crate) fn end(ctx: &mut Ctx<'_>) -> Vec<(u8, u64)> {
    let updates = crate::modules::end_block(ctx);
    assert_eq!(crate::modules::check_invariants(ctx), Vec::<String>::new());
    let number = |found: [u8; 32]| (1..=250).find(|number| key(*number) == found).unwrap();
    updates.into_iter().map(|update| (number(update.consensus_key), update.power)).collect()
}

/// The validator of an operator that has one.
pub(crate) fn of(ctx: &Ctx<'_>, number: u8) -> Validator {
    validator(ctx, &address(number)).unwrap()
}

/// Shares of a delegation in whole ones; nothing where there is none.
fn shares(ctx: &Ctx<'_>, who: u8, to: u8) -> u128 {
    let found = delegation(ctx, &address(who), &address(to));
    found.map_or(0, |found| found.shares.raw() / ONE)
}

fn supply(ctx: &Ctx<'_>) -> u128 {
    crate::modules::bank::supply(ctx, &crate::testing::ustoa()).raw()
}
