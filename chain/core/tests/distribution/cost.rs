//! What an operation costs is the same with few delegators and with many.

use cosmos_sdk_proto::cosmos::distribution::v1beta1 as dist;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;
use prost::{Message, Name};
use stoa_chain::gas::Meter;
use stoa_chain::modules::{bank, staking};
use stoa_chain::types::{Address, Amount, Coins, Dec, ValAddress, ONE};

use crate::chain::{coin, execute, genesis, stake, Chain};
use crate::generate::{account, key};

/// A chain with one validator and so many delegators of 1,000,000 each.
fn chain_with(delegators: u32) -> Chain {
    let mut document = genesis(&[account(0), delegator(0)]);
    let count = u128::from(delegators);
    let bonded = count * 1_000_000;
    let minted = coin("ustoa", bonded);
    document.bank.supply.checked_add(&minted).unwrap();
    document.staking.validators.push(staking::Validator {
        operator: delegator(0),
        consensus_key: key(0),
        jailed: false,
        status: staking::Status::Bonded,
        tokens: Amount::from_raw(bonded),
        shares: Dec::from_raw(bonded * ONE),
        description: staking::Description { moniker: "only".to_owned(), ..Default::default() },
        commission: staking::Commission {
            rate: Dec::percent(5),
            max_rate: Dec::ONE,
            max_change_rate: Dec::ONE,
            updated_at: 0,
        },
        min_self_delegation: Amount::from_raw(1),
    });
    document.staking.delegations = (0..delegators)
        .map(|number| staking::Delegation {
            delegator: delegator(number),
            validator: delegator(0),
            shares: Dec::from_raw(1_000_000 * ONE),
        })
        .collect();
    Chain::new(&document)
}

fn delegator(number: u32) -> Address {
    let mut bytes = [77; 20];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Address::new(bytes)
}

/// Gas of a withdrawal, of more delegated, of less, and of an allocation with
/// all that a block's beginning does, after blocks in which fees came in.
fn costs(delegators: u32) -> [u64; 4] {
    let mut chain = chain_with(delegators);
    for _ in 0..3 {
        let input = chain.next(5, || true);
        let mut ctx = chain.open(&input);
        let fee: Coins = [coin("ustoa", 123_456_789), coin("uaaa", 1)].into_iter().collect();
        bank::collect_fee(&mut ctx, &account(0), &fee).unwrap();
        let (_, set) = Chain::end(&mut ctx);
        let changes = ctx.into_changes();
        chain.commit(input.block, &changes, set);
    }
    let who = delegator(delegators - 1).to_string();
    let validator = ValAddress::from(delegator(0)).to_string();
    let withdraw = dist::MsgWithdrawDelegatorReward {
        delegator_address: who.clone(),
        validator_address: validator.clone(),
    };
    let delegate = pb::MsgDelegate {
        delegator_address: delegator(0).to_string(),
        validator_address: validator.clone(),
        amount: stake(5),
    };
    let undelegate = pb::MsgUndelegate {
        delegator_address: who,
        validator_address: validator,
        amount: stake(5),
    };
    [
        gas(&chain, &withdraw),
        gas(&chain, &delegate),
        gas(&chain, &undelegate),
        gas_of_beginning(&chain),
    ]
}

fn gas<M: Message + Name>(chain: &Chain, message: &M) -> u64 {
    let input = chain.next(5, || true);
    let mut ctx = chain.open(&input);
    ctx.set_meter(Meter::with_limit(u64::MAX));
    execute(&mut ctx, message).unwrap();
    ctx.meter().used()
}

fn gas_of_beginning(chain: &Chain) -> u64 {
    chain.open(&chain.next(5, || true)).meter().used()
}

#[test]
fn an_operation_costs_the_same_with_ten_delegators_and_with_ten_thousand() {
    let few = costs(10);
    println!("gas of withdrawing, delegating, undelegating, beginning a block: {few:?}");
    assert!(few.iter().all(|gas| *gas > 1_000));
    assert_eq!(few, costs(10_000));
}
