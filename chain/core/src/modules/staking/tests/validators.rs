//! Becoming a validator, and ceasing to be one.

use super::*;
use crate::testing::{balance, refusal};

#[test]
fn a_new_validator_votes_from_its_blocks_end_with_what_its_operator_delegated() {
    let mut ctx = chain();
    send::<CreateValidator>(&mut ctx, create(1, 5 * VOTE + 999_999)).unwrap();
    assert_eq!(of(&ctx, 1).status, Status::Unbonded);
    assert_eq!(end(&mut ctx), [(1, 5)]);
    let validator = of(&ctx, 1);
    assert!(validator.is_bonded());
    assert_eq!(validator.tokens.raw(), 5 * VOTE + 999_999);
    assert_eq!(validator.shares.raw(), (5 * VOTE + 999_999) * ONE);
    assert_eq!(validator.commission.updated_at, ctx.now());
    assert_eq!(balance(&ctx, &address(1)), FUNDS - 5 * VOTE - 999_999);
    assert_eq!(bonded_tokens(&ctx).raw(), 5 * VOTE + 999_999);
    assert_eq!(validator_by_consensus(&ctx, &consensus(1)), Some(validator));
}

#[test]
fn an_operator_and_a_key_are_of_one_validator() {
    let mut ctx = chain_of(&[VOTE]);
    assert_eq!(refusal::<CreateValidator>(&mut ctx, create(1, VOTE), "staking"), 4);
    let same_key = pb::MsgCreateValidator { pubkey: create(1, VOTE).pubkey, ..create(2, VOTE) };
    assert_eq!(refusal::<CreateValidator>(&mut ctx, same_key, "staking"), 5);
}

#[test]
fn wrong_requests_are_refused_by_cosmos_codes() {
    type Spoil = fn(&mut pb::MsgCreateValidator);
    let cases: [(Spoil, &str, u32); 15] = [
        (|m| m.pubkey = None, "staking", 39),
        (|m| m.pubkey.as_mut().unwrap().type_url.push('x'), "staking", 6),
        (|m| m.pubkey.as_mut().unwrap().value.push(0), "sdk", 8),
        (|m| m.commission = None, "sdk", 18),
        (|m| m.commission = Some(rates("0.1", "1.1", "0.1")), "staking", 10),
        (|m| m.commission = Some(rates("0.3", "0.2", "0.1")), "staking", 11),
        (|m| m.commission = Some(rates("0.1", "0.2", "0.3")), "staking", 14),
        (|m| m.min_self_delegation = "0".to_owned(), "sdk", 18),
        (|m| m.min_self_delegation = "1000001".to_owned(), "staking", 16),
        (|m| m.description = None, "sdk", 18),
        (|m| m.description.as_mut().unwrap().moniker = "m".repeat(71), "sdk", 18),
        (|m| m.value.as_mut().unwrap().denom = "uother".to_owned(), "sdk", 18),
        (|m| m.value.as_mut().unwrap().amount = "0".to_owned(), "sdk", 18),
        (|m| m.value.as_mut().unwrap().amount = "1000000001".to_owned(), "sdk", 5),
        (|m| m.validator_address = account(1), "sdk", 7),
    ];
    let mut ctx = chain();
    for (index, (spoil, codespace, code)) in cases.into_iter().enumerate() {
        let mut msg = create(1, VOTE);
        spoil(&mut msg);
        assert_eq!(refusal::<CreateValidator>(&mut ctx, msg, codespace), code, "case {index}");
    }
    let mut document = document();
    document.staking.params.min_commission_rate = Dec::percent(11);
    let mut ctx = ctx_from(&document);
    assert_eq!(refusal::<CreateValidator>(&mut ctx, create(1, VOTE), "staking"), 40);
}

#[test]
fn the_deprecated_delegator_is_the_operator_or_empty() {
    let mut ctx = chain();
    let with = |delegator: String| {
        let mut msg = create(1, VOTE);
        #[allow(deprecated)]
        {
            msg.delegator_address = delegator;
        }
        msg
    };
    assert_eq!(refusal::<CreateValidator>(&mut ctx, with(account(2)), "sdk"), 18);
    send::<CreateValidator>(&mut ctx, with(account(1))).unwrap();
}

#[test]
fn a_validator_whose_operator_keeps_less_than_it_promised_is_jailed() {
    let mut ctx = chain_of(&[VOTE, VOTE]);
    let promise = pb::MsgCreateValidator {
        min_self_delegation: (3 * VOTE).to_string(),
        ..create(3, 5 * VOTE)
    };
    send::<CreateValidator>(&mut ctx, promise).unwrap();
    send::<Delegate>(&mut ctx, delegate(4, 3, 5 * VOTE)).unwrap();
    assert_eq!(end(&mut ctx), [(3, 10)]);
    send::<Undelegate>(&mut ctx, undelegate(3, 3, 2 * VOTE)).unwrap();
    assert!(!of(&ctx, 3).jailed);
    send::<Undelegate>(&mut ctx, undelegate(4, 3, 5 * VOTE)).unwrap();
    assert!(!of(&ctx, 3).jailed, "others may go");
    send::<Undelegate>(&mut ctx, undelegate(3, 3, 1)).unwrap();
    assert!(of(&ctx, 3).jailed);
    assert_eq!(end(&mut ctx), [(3, 0)]);
}

#[test]
fn a_validator_without_shares_leaves_when_its_stake_is_free() {
    let mut ctx = chain_of(&[VOTE, VOTE]);
    send::<Undelegate>(&mut ctx, undelegate(2, 2, VOTE)).unwrap();
    assert_eq!(end(&mut ctx), [(2, 0)]);
    let completes_at = ctx.now() + UNBONDING;
    assert_eq!(of(&ctx, 2).status, Status::Unbonding { height: ctx.height(), completes_at });
    let mut ctx = later(ctx, UNBONDING - 1);
    end(&mut ctx);
    assert!(validator(&ctx, &address(2)).is_some());
    let mut ctx = later(ctx, 1);
    assert_eq!(end(&mut ctx), []);
    assert_eq!(validator(&ctx, &address(2)), None);
    assert_eq!(validator_by_consensus(&ctx, &consensus(2)), None);
    send::<CreateValidator>(&mut ctx, create(2, VOTE)).unwrap();
    assert_eq!(end(&mut ctx), [(2, 1)]);
}

#[test]
fn an_unbonded_validator_leaves_with_its_last_share() {
    let mut ctx = chain_of(&[2 * VOTE]);
    send::<CreateValidator>(&mut ctx, create(2, VOTE - 1)).unwrap();
    send::<Delegate>(&mut ctx, delegate(5, 2, 10)).unwrap();
    send::<Undelegate>(&mut ctx, undelegate(2, 2, VOTE - 1)).unwrap();
    assert!(of(&ctx, 2).jailed);
    assert_eq!(of(&ctx, 2).tokens.raw(), 10);
    send::<Undelegate>(&mut ctx, undelegate(5, 2, 10)).unwrap();
    assert_eq!(validator(&ctx, &address(2)), None);
    // What is unbonding is paid all the same.
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    assert_eq!(balance(&ctx, &address(5)), FUNDS);
    assert_eq!(balance(&ctx, &address(2)), FUNDS);
}
