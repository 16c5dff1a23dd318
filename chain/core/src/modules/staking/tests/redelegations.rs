//! Moving stake from one validator to another.

use super::*;
use crate::testing::{assert_export_is_whole, balance, refusal};

#[test]
fn redelegated_stake_counts_at_once_for_the_other_validator() {
    let mut ctx = chain_of(&[5 * VOTE, 4 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 3 * VOTE)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    let response = send::<BeginRedelegate>(&mut ctx, redelegate(7, 1, 2, 2 * VOTE)).unwrap();
    let completes_at = ctx.now() + UNBONDING;
    assert_eq!(response.completion_time, Some(timestamp(completes_at)));
    assert_eq!((shares(&ctx, 7, 1), shares(&ctx, 7, 2)), (VOTE, 2 * VOTE));
    assert_eq!(end(&mut ctx), [(1, 6), (2, 6)]);
    assert_eq!(balance(&ctx, &address(7)), FUNDS - 3 * VOTE);
    let mut ctx = later(ctx, UNBONDING);
    assert_eq!(redelegations(&ctx).count(), 1);
    end(&mut ctx);
    assert_eq!(redelegations(&ctx).count(), 0);
    assert_eq!(shares(&ctx, 7, 2), 2 * VOTE, "the stake stays where it is");
}

#[test]
fn what_came_by_redelegation_does_not_go_on_before_it_is_free() {
    let mut ctx = chain_of(&[5 * VOTE, 4 * VOTE, 3 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 100)).unwrap();
    send::<Delegate>(&mut ctx, delegate(7, 2, 100)).unwrap();
    send::<BeginRedelegate>(&mut ctx, redelegate(7, 1, 2, 50)).unwrap();
    assert_eq!(refusal::<BeginRedelegate>(&mut ctx, redelegate(7, 2, 3, 10), "staking"), 32);
    // From elsewhere it may, and others may.
    send::<BeginRedelegate>(&mut ctx, redelegate(7, 1, 3, 10)).unwrap();
    send::<BeginRedelegate>(&mut ctx, redelegate(2, 2, 3, 10)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    send::<BeginRedelegate>(&mut ctx, redelegate(7, 2, 3, 10)).unwrap();
    end(&mut ctx);
    assert_export_is_whole(ctx);
}

#[test]
fn wrong_redelegations_are_refused() {
    let mut ctx = chain_of(&[5 * VOTE, 4 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 100)).unwrap();
    type Redelegate = BeginRedelegate;
    assert_eq!(refusal::<Redelegate>(&mut ctx, redelegate(7, 1, 1, 10), "staking"), 29);
    assert_eq!(refusal::<Redelegate>(&mut ctx, redelegate(7, 1, 3, 10), "staking"), 31);
    assert_eq!(refusal::<Redelegate>(&mut ctx, redelegate(7, 3, 1, 10), "staking"), 3);
    assert_eq!(refusal::<Redelegate>(&mut ctx, redelegate(7, 2, 1, 10), "staking"), 19);
    assert_eq!(refusal::<Redelegate>(&mut ctx, redelegate(7, 1, 2, 101), "staking"), 24);
    send::<Redelegate>(&mut ctx, redelegate(7, 1, 2, 10)).unwrap();
    send::<Redelegate>(&mut ctx, redelegate(7, 1, 2, 10)).unwrap();
    assert_eq!(refusal::<Redelegate>(&mut ctx, redelegate(7, 1, 2, 10), "staking"), 33);
    end(&mut ctx);
}

#[test]
fn stake_of_a_validator_that_left_the_set_answers_until_that_ones_time_is_over() {
    let mut ctx = chain_of(&[5 * VOTE, 4 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 2, 100)).unwrap();
    jail(&mut ctx, &consensus(2));
    let (left_at, height) = (ctx.now(), ctx.height());
    assert_eq!(end(&mut ctx), [(2, 0)]);
    let mut ctx = later(ctx, 300);
    send::<BeginRedelegate>(&mut ctx, redelegate(7, 2, 1, 10)).unwrap();
    let found = redelegations(&ctx).next().unwrap().entries;
    assert_eq!((found[0].height, found[0].completes_at), (height, left_at + UNBONDING));
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING - 300);
    end(&mut ctx);
    assert_eq!(of(&ctx, 2).status, Status::Unbonded);
    assert_eq!(redelegations(&ctx).count(), 0);
    // Free stake answers for nothing.
    let response = send::<BeginRedelegate>(&mut ctx, redelegate(7, 2, 1, 10)).unwrap();
    assert_eq!(response.completion_time, Some(timestamp(ctx.now())));
    assert_eq!(redelegations(&ctx).count(), 0);
    end(&mut ctx);
}
