//! Distribution on a small stage: two validators, two delegators.
#![allow(deprecated, reason = "proposers' rewards are part of the parameters' message")]

mod messages;
mod queries;
mod rewards;

use super::*;
use crate::input::{BlockInput, Vote};
use crate::modules::staking::{self, Commission, Delegation, Description, Status, Validator};
use crate::modules::{bank, escrow};
use crate::testing::{self, address, balance, coin, ustoa};
use crate::types::{Amount, Coins, Dec, Fine, ONE};

/// Operators: the first takes 10% commission, the second none.
const V1: Address = Address::new([11; 20]);
const V2: Address = Address::new([12; 20]);
/// Delegators.
const D1: Address = Address::new([21; 20]);
const D2: Address = Address::new([22; 20]);
/// Pays what is allocated.
const PAYER: Address = Address::new([31; 20]);

fn validator(operator: Address, tokens: u128, rate: Dec) -> Validator {
    Validator {
        operator,
        consensus_key: [operator.as_bytes()[0]; 32],
        jailed: false,
        status: Status::Bonded,
        tokens: Amount::from_raw(tokens),
        shares: Dec::from_raw(tokens * ONE),
        description: Description::default(),
        commission: Commission {
            rate,
            max_rate: Dec::ONE,
            max_change_rate: Dec::ONE,
            updated_at: 0,
        },
        min_self_delegation: Amount::from_raw(1),
    }
}

/// Each validator has 3,000,000: of the first 1,000,000 is its operator's, D1
/// has 2,000,000; of the second all is its operator's.
fn stage() -> Ctx<'static> {
    let mut genesis = testing::genesis_with(&[(PAYER, 1_000_000_000), (D1, 5_000_000)]);
    genesis.bank.supply = [coin(1_000_000_000 + 5_000_000 + 6_000_000)].into_iter().collect();
    genesis.staking.validators =
        vec![validator(V1, 3_000_000, Dec::percent(10)), validator(V2, 3_000_000, Dec::ZERO)];
    let delegation = |delegator, validator, tokens: u128| Delegation {
        delegator,
        validator,
        shares: Dec::from_raw(tokens * ONE),
    };
    genesis.staking.delegations = vec![
        delegation(V1, V1, 1_000_000),
        delegation(V2, V2, 3_000_000),
        delegation(D1, V1, 2_000_000),
    ];
    testing::ctx_from(&genesis)
}

/// Has so much collected, as fees are.
fn collect(ctx: &mut Ctx<'_>, amount: u128) {
    let fee: Coins = [coin(amount)].into_iter().collect();
    bank::collect_fee(ctx, &PAYER, &fee).unwrap();
}

fn votes(ctx: &Ctx<'_>, powers: &[(Address, u64, bool)]) -> BlockInput {
    let vote = |(operator, power, signed): &(Address, u64, bool)| {
        let validator = staking::validator(ctx, operator).unwrap().consensus();
        Vote { validator, power: *power, signed: *signed }
    };
    let votes = powers.iter().map(vote).collect();
    BlockInput { votes, ..ctx.block().clone().into() }
}

/// Allocates so much to the first validator alone.
fn earn(ctx: &mut Ctx<'_>, amount: u128) {
    collect(ctx, amount);
    let input = votes(ctx, &[(V1, 3, true)]);
    begin_block(ctx, &input);
}

fn no_tax(ctx: &mut Ctx<'_>) {
    ctx.put(keys::params(), &Params { community_tax: Dec::ZERO, ..Params::default() });
}

fn outstanding(ctx: &Ctx<'_>, validator: &Address) -> u128 {
    rewards(ctx, validator).outstanding.of(&ustoa()).raw()
}

fn pool(ctx: &Ctx<'_>) -> u128 {
    escrow::pool(ctx).map(|(_, money)| money.raw()).sum()
}

fn assert_sound(ctx: &Ctx<'_>) {
    assert_eq!(crate::modules::check_invariants(ctx), Vec::<String>::new());
}

/// At most so many 10^-18 units under what is exact: ratios round down.
fn assert_just_under(found: u128, exact: u128, periods: u128) {
    assert!(found <= exact && exact - found <= periods, "{found}, not {exact}");
}
