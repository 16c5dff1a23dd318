//! The match at an order's close.

use super::*;

#[test]
fn the_lowest_rate_wins_and_among_equals_the_first_placed() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    place(&mut ctx, order, 1, 300).unwrap();
    place(&mut ctx, order, 2, 200).unwrap();
    place(&mut ctx, order, 3, 200).unwrap();
    let ctx = pass(ctx, 20);
    assert_eq!(order_of(&ctx, order).state, OrderState::Matched);
    let won = lease_of(&ctx, order.lease(provider(2)));
    assert_eq!(won.state, LeaseState::Pending);
    assert_eq!(won.rate.raw(), 200 * ONE);
    assert_eq!(won.provider_rate.raw(), 196 * ONE);
    assert_eq!(won.start_deadline, NOW + 20 + 600);
    assert_eq!(balance(&ctx, &provider(1)), FUNDS);
    assert_eq!(balance(&ctx, &provider(3)), FUNDS);
    assert_eq!(balance(&ctx, &provider(2)), FUNDS - 600_000);
    assert!(bid(&ctx, order.lease(provider(3))).is_none());
}

#[test]
fn the_next_takes_the_place_of_one_that_is_no_longer_eligible() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    place(&mut ctx, order, 1, 100).unwrap();
    place(&mut ctx, order, 2, 200).unwrap();
    crate::modules::provider::set_jailed(&mut ctx, &provider(1), true).unwrap();
    let ctx = pass(ctx, 20);
    assert!(lease(&ctx, order.lease(provider(1))).is_none());
    assert!(lease(&ctx, order.lease(provider(2))).is_some());
    assert_eq!(balance(&ctx, &provider(1)), FUNDS);
}

#[test]
fn without_an_eligible_bid_the_order_is_unmatched_and_can_be_reopened() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    let mut ctx = pass(
        {
            ctx.take_events();
            ctx
        },
        20,
    );
    assert_eq!(order_of(&ctx, order).state, OrderState::Unmatched);
    assert_eq!(reopened_order(&ctx, 1, 1), None);
    let msg = deployment_pb::MsgReopenGroup {
        owner: tenant().to_string(),
        dseq: 1,
        gseq: 1,
        max_rates: vec![per_second(2_000).unwrap()],
    };
    send::<crate::modules::deployment::ReopenGroup>(&mut ctx, msg).unwrap();
    let second = id(1).group(1).order(2);
    assert_eq!(order_of(&ctx, second).max_rate.raw(), 2_000 * ONE);
    assert_eq!(order_of(&ctx, order).max_rate.raw(), 1_000 * ONE);
    place(&mut ctx, second, 1, 1_500).unwrap();
}

#[test]
fn a_match_that_the_escrow_cannot_cover_is_unmatched() {
    let mut msg = deployment(1, vec![group("web")]);
    // The least: 1,000/s × 3,600 s. Then two leases spend most of it.
    msg.deposit = Some(coin(7_200_000).into());
    msg.groups = vec![group("a"), group("b")];
    msg.groups[1].resources[0].max_rate = per_second(1_000);
    let mut ctx = market();
    post_with(&mut ctx, msg);
    let (a, b) = (id(1).group(1).order(1), id(1).group(2).order(1));
    place(&mut ctx, a, 1, 1_000).unwrap();
    let mut ctx = pass(ctx, 20);
    start(&mut ctx, a.lease(provider(1))).unwrap();
    assert_eq!(order_of(&ctx, b).state, OrderState::Unmatched);
    // 7,200,000 − 1,000/s × 5,500 s leave less than 2,000/s × 600 s + 600,000.
    let mut ctx = pass_in_blocks(ctx, 5_500);
    let reopen = deployment_pb::MsgReopenGroup {
        owner: tenant().to_string(),
        dseq: 1,
        gseq: 2,
        max_rates: Vec::new(),
    };
    send::<crate::modules::deployment::ReopenGroup>(&mut ctx, reopen).unwrap();
    let again = id(1).group(2).order(2);
    place(&mut ctx, again, 2, 1_000).unwrap();
    let ctx = pass(ctx, 20);
    assert_eq!(order_of(&ctx, again).state, OrderState::Unmatched);
    assert!(order_of(&ctx, again).reason.contains("balance"));
    assert_eq!(balance(&ctx, &provider(2)), FUNDS);
}

#[test]
fn an_order_is_matched_in_the_block_in_which_its_window_ends() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    place(&mut ctx, order, 1, 100).unwrap();
    let ctx = pass(ctx, 19);
    assert_eq!(order_of(&ctx, order).state, OrderState::Open);
    let ctx = pass(ctx, 1);
    assert_eq!(order_of(&ctx, order).state, OrderState::Matched);
}
