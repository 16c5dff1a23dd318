//! Delegating, undelegating, and cancelling that.

use super::*;
use crate::testing::{assert_export_is_whole, balance, refusal};
use crate::types::Amount;

#[test]
fn delegated_coins_count_from_the_blocks_end_on() {
    let mut ctx = chain_of(&[5 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 2 * VOTE)).unwrap();
    assert_eq!(shares(&ctx, 7, 1), 2 * VOTE);
    assert_eq!(balance(&ctx, &address(7)), FUNDS - 2 * VOTE);
    assert_eq!(end(&mut ctx), [(1, 7)]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 1)).unwrap();
    assert_eq!(end(&mut ctx), [], "a part of a vote is none");
}

#[test]
fn wrong_delegations_are_refused() {
    let mut ctx = chain_of(&[VOTE]);
    assert_eq!(refusal::<Delegate>(&mut ctx, delegate(7, 2, 1), "staking"), 3);
    assert_eq!(refusal::<Delegate>(&mut ctx, delegate(7, 1, FUNDS + 1), "sdk"), 5);
    assert_eq!(refusal::<Delegate>(&mut ctx, delegate(7, 1, 0), "sdk"), 18);
    assert_eq!(refusal::<Undelegate>(&mut ctx, undelegate(7, 1, 1), "staking"), 19);
    send::<Delegate>(&mut ctx, delegate(7, 1, 50)).unwrap();
    assert_eq!(refusal::<Undelegate>(&mut ctx, undelegate(7, 1, 51), "staking"), 24);
}

#[test]
fn undelegated_coins_return_after_the_unbonding_time() {
    let mut ctx = chain_of(&[5 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 2 * VOTE)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 10);
    let response = send::<Undelegate>(&mut ctx, undelegate(7, 1, VOTE)).unwrap();
    let completes_at = ctx.now() + UNBONDING;
    assert_eq!(response.completion_time, Some(timestamp(completes_at)));
    assert_eq!(response.amount, Some(coin(VOTE).into()));
    assert_eq!(end(&mut ctx), [(1, 6)]);
    assert_eq!(not_bonded_tokens(&ctx).raw(), VOTE);
    let mut ctx = later(ctx, UNBONDING - 1);
    end(&mut ctx);
    assert_eq!(balance(&ctx, &address(7)), FUNDS - 2 * VOTE);
    let mut ctx = later(ctx, 1);
    end(&mut ctx);
    assert_eq!(balance(&ctx, &address(7)), FUNDS - VOTE);
    assert_eq!(unbonding(&ctx, &address(7), &address(1)), None);
}

#[test]
fn so_many_unbondings_are_under_way_as_the_parameter_allows() {
    let mut ctx = chain_of(&[5 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 100)).unwrap();
    send::<Undelegate>(&mut ctx, undelegate(7, 1, 10)).unwrap();
    send::<Undelegate>(&mut ctx, undelegate(7, 1, 10)).unwrap();
    let entries = |ctx: &Ctx<'_>| unbonding(ctx, &address(7), &address(1)).unwrap().entries;
    assert_eq!(entries(&ctx).len(), 1, "of one block they are one");
    assert_eq!(entries(&ctx)[0].initial.raw(), 20);
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    send::<Undelegate>(&mut ctx, undelegate(7, 1, 10)).unwrap();
    assert_eq!(refusal::<Undelegate>(&mut ctx, undelegate(7, 1, 10), "staking"), 27);
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING - 1);
    end(&mut ctx);
    send::<Undelegate>(&mut ctx, undelegate(7, 1, 10)).unwrap();
    end(&mut ctx);
    assert_export_is_whole(ctx);
}

#[test]
fn a_block_pays_a_bounded_number_and_the_next_the_rest_in_full() {
    let mut document = document();
    let many: Vec<Address> = (0..1_005u32)
        .map(|number| {
            let mut bytes = [0xee; 20];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            Address::new(bytes)
        })
        .collect();
    let completes_at = crate::testing::NOW + 5;
    for delegator in &many {
        let amount = Amount::from_raw(7);
        let entry = UnbondingEntry { height: 1, completes_at, initial: amount, balance: amount };
        document.staking.unbondings.push(Unbonding {
            delegator: *delegator,
            validator: address(1),
            entries: vec![entry],
        });
    }
    let held = crate::types::Coins::from_iter([coin(12 * FUNDS + 7 * 1_005)]);
    document.bank.supply = held;
    let mut ctx = later(ctx_from(&document), 5);
    end(&mut ctx);
    assert_eq!(unbondings(&ctx).count(), 1_005 - MAX_PER_BLOCK);
    let mut ctx = later(ctx, 1);
    end(&mut ctx);
    assert_eq!(unbondings(&ctx).count(), 0);
    assert!(many.iter().all(|who| balance(&ctx, who) == 7));
}

#[test]
fn an_unbonding_is_cancelled_in_part_or_whole() {
    let mut ctx = chain_of(&[5 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 2 * VOTE)).unwrap();
    send::<Undelegate>(&mut ctx, undelegate(7, 1, VOTE)).unwrap();
    let height = ctx.height();
    end(&mut ctx);
    let mut ctx = later(ctx, 10);
    type Cancel = CancelUnbonding;
    assert_eq!(refusal::<Cancel>(&mut ctx, cancel(7, 1, 1, height + 1), "sdk"), 38);
    assert_eq!(refusal::<Cancel>(&mut ctx, cancel(8, 1, 1, height), "sdk"), 38);
    assert_eq!(refusal::<Cancel>(&mut ctx, cancel(7, 1, VOTE + 1, height), "sdk"), 18);
    assert_eq!(refusal::<Cancel>(&mut ctx, cancel(7, 1, 1, 0), "sdk"), 18);
    send::<Cancel>(&mut ctx, cancel(7, 1, 400_000, height)).unwrap();
    let left = unbonding(&ctx, &address(7), &address(1)).unwrap().entries;
    assert_eq!((left[0].initial.raw(), left[0].balance.raw()), (600_000, 600_000));
    assert_eq!(shares(&ctx, 7, 1), VOTE + 400_000);
    send::<Cancel>(&mut ctx, cancel(7, 1, 600_000, height)).unwrap();
    assert_eq!(unbonding(&ctx, &address(7), &address(1)), None);
    assert_eq!(end(&mut ctx), [(1, 7)]);
}

#[test]
fn what_is_due_or_unbonds_from_a_jailed_validator_is_not_cancelled() {
    let mut ctx = chain_of(&[5 * VOTE, VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, VOTE)).unwrap();
    send::<Undelegate>(&mut ctx, undelegate(7, 1, VOTE)).unwrap();
    let height = ctx.height();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    jail(&mut ctx, &consensus(1));
    assert_eq!(refusal::<CancelUnbonding>(&mut ctx, cancel(7, 1, VOTE, height), "staking"), 7);
    unjail(&mut ctx, &consensus(1));
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING - 1);
    assert_eq!(refusal::<CancelUnbonding>(&mut ctx, cancel(7, 1, VOTE, height), "sdk"), 38);
}

#[test]
fn after_a_slash_a_delegator_takes_out_exactly_what_it_asks_for() {
    let mut ctx = chain_of(&[10 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 3 * VOTE)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    // A third of the tokens, so that no share is worth a round number.
    let third: Dec = "0.333333333333333333".parse().unwrap();
    let height = ctx.height();
    let burned = slash(&mut ctx, &consensus(1), height, 13, third);
    assert_eq!(burned.raw(), 4_333_333);
    for amount in [1, 7, 333_333, 999_999] {
        let response = send::<Undelegate>(&mut ctx, undelegate(7, 1, amount)).unwrap();
        assert_eq!(response.amount, Some(coin(amount).into()));
    }
    // Those who come get what they give, but for less than a unit.
    send::<Delegate>(&mut ctx, delegate(8, 1, 1_000)).unwrap();
    let found = delegation(&ctx, &address(8), &address(1)).unwrap();
    let worth = of(&ctx, 1).worth(found.shares);
    assert!(worth.raw() <= 1_000 * ONE && worth.raw() > 1_000 * ONE - 10, "{worth}");
    end(&mut ctx);
}

#[test]
fn a_validator_whose_tokens_are_all_gone_takes_no_delegation() {
    let mut ctx = chain_of(&[10 * VOTE, VOTE]);
    let height = ctx.height();
    slash(&mut ctx, &consensus(1), height, 10, Dec::ONE);
    assert_eq!(of(&ctx, 1).tokens.raw(), 0);
    assert_eq!(refusal::<Delegate>(&mut ctx, delegate(7, 1, 1), "staking"), 34);
    assert_eq!(end(&mut ctx), [(1, 0)]);
}
