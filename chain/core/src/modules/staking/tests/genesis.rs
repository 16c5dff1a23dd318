//! How a chain begins, and what an export must hold.

use super::*;
use crate::testing::empty_at;
use crate::types::{Amount, Coins};

fn genesis_validator(number: u8, tokens: u128) -> Validator {
    Validator {
        operator: address(number),
        consensus_key: key(number),
        jailed: false,
        status: Status::Bonded,
        tokens: Amount::from_raw(tokens),
        shares: Dec::from_raw(Amount::from_raw(tokens).to_fine().raw()),
        description: Description { moniker: "one".to_owned(), ..Default::default() },
        commission: Commission {
            rate: Dec::percent(5),
            max_rate: Dec::percent(10),
            max_change_rate: Dec::percent(1),
            updated_at: 0,
        },
        min_self_delegation: Amount::from_raw(1),
    }
}

fn with(validators: &[Validator]) -> Document {
    let mut document = document();
    let mut staked = 0;
    for validator in validators {
        staked += validator.tokens.raw();
        document.staking.delegations.push(Delegation {
            delegator: validator.operator,
            validator: validator.operator,
            shares: validator.shares,
        });
    }
    document.staking.validators = validators.to_vec();
    document.bank.supply = Coins::from_iter([coin(12 * FUNDS + staked)]);
    document
}

fn refused(document: &Document) -> String {
    crate::genesis::init(&mut empty_at(crate::testing::NOW), document).unwrap_err()
}

#[test]
fn bonded_validators_of_a_beginning_chain_vote_with_what_they_have() {
    let document = with(&[genesis_validator(1, 2 * VOTE), genesis_validator(2, 3 * VOTE)]);
    let mut ctx = ctx_from(&document);
    let set: Vec<_> = validator_set(&ctx).iter().map(|u| (u.consensus_key, u.power)).collect();
    assert_eq!(set, [(key(2), 3), (key(1), 2)]);
    assert_eq!(bonded_tokens(&ctx).raw(), 5 * VOTE);
    assert_eq!(end(&mut ctx), []);
    crate::testing::assert_export_is_whole(ctx);
}

#[test]
fn a_document_that_does_not_go_together_is_refused() {
    type Spoil = fn(&mut Document);
    let cases: [(Spoil, &str); 12] = [
        (|d| d.staking.validators.push(genesis_validator(1, 1)), "listed twice"),
        (|d| d.staking.validators[1].consensus_key = key(1), "another's too"),
        (|d| d.staking.validators[0].jailed = true, "bonded, but jailed"),
        (|d| d.staking.validators[0].commission.rate = Dec::percent(20), "maximum"),
        (|d| d.staking.validators[0].tokens = Amount::from_raw(7), "too few tokens"),
        (|d| d.staking.params.max_validators = 1, "max_validators is 1"),
        (|d| d.staking.params.unbonding_time = 0, "unbonding_time"),
        (|d| d.staking.delegations[0].shares = Dec::ONE, "delegated are"),
        (|d| d.staking.delegations[1].validator = address(9), "not there"),
        (|d| d.staking.validators[0].status = Status::Unbonded, "the strongest are"),
        (
            |d| d.staking.last_powers.push(LastPower { operator: address(1), power: 2 }),
            "powers are known",
        ),
        (|d| d.bank.supply = Coins::new(), "no supply"),
    ];
    for (spoil, wanted) in cases {
        let mut document = with(&[genesis_validator(1, 2 * VOTE), genesis_validator(2, 3 * VOTE)]);
        spoil(&mut document);
        let error = refused(&document);
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
}
