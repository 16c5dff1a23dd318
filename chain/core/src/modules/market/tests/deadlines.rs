//! The queue of deadlines at a block's end.

use super::*;
use crate::modules::deadlines::between;

#[test]
fn work_over_the_bound_follows_in_the_next_block() {
    let mut genesis = genesis();
    genesis.market.params.max_end_block_work = 2;
    let mut ctx = ctx_from(&genesis);
    let orders: Vec<_> = (1..=3).map(|dseq| post(&mut ctx, dseq)).collect();
    let ctx = pass(ctx, 20);
    let states =
        |ctx: &Ctx<'_>| orders.iter().map(|id| order_of(ctx, *id).state).collect::<Vec<_>>();
    use OrderState::{Open, Unmatched};
    assert_eq!(states(&ctx), [Unmatched, Unmatched, Open]);
    let ctx = pass(ctx, 1);
    assert_eq!(states(&ctx), [Unmatched; 3]);
}

#[test]
fn after_a_gap_deadlines_that_fell_into_it_move() {
    let mut ctx = market();
    crate::testing::begin_block(&mut ctx);
    let order = post(&mut ctx, 1);
    place(&mut ctx, order, 1, 100).unwrap();
    let ctx = pass(ctx, 500);
    assert_eq!(order_of(&ctx, order).state, OrderState::Open);
    assert_eq!(order_of(&ctx, order).closes_at, ctx.now() + GAP);
    let mut ctx = later(ctx, 59);
    place(&mut ctx, order, 2, 90).unwrap();
    let ctx = pass(ctx, 1);
    assert!(lease(&ctx, order.lease(provider(2))).is_some());
}

#[test]
fn closed_records_leave_the_state_when_their_time_is_over() {
    let (mut ctx, lease_id) = active(1);
    let msg = deployment_pb::MsgCloseDeployment { owner: tenant().to_string(), dseq: 1 };
    send::<crate::modules::deployment::CloseDeployment>(&mut ctx, msg).unwrap();
    let ctx = pass_in_blocks(ctx, 30 * 86_400 - 60);
    assert!(lease(&ctx, lease_id).is_some());
    let ctx = pass(ctx, 60);
    assert!(lease(&ctx, lease_id).is_none());
    assert!(order(&ctx, lease_id.order).is_none());
    assert!(escrow::get(&ctx, id(1)).is_none());
    assert!(crate::modules::deployment::group(&ctx, lease_id.order.group).is_none());
    assert_eq!(between(&ctx, 0, u64::MAX - 1), []);
    assert_eq!(counters::get(&ctx, Role::Provider, &provider(1)).won, 1);
}

#[test]
fn a_state_with_everything_in_it_exports_whole() {
    let mut ctx = market();
    crate::testing::begin_block(&mut ctx);
    let order = post(&mut ctx, 1);
    place(&mut ctx, order, 1, 100).unwrap();
    let mut ctx = pass(ctx, 20);
    start(&mut ctx, order.lease(provider(1))).unwrap();
    let open = post(&mut ctx, 2);
    place(&mut ctx, open, 2, 70).unwrap();
    let mut ctx = later(ctx, 7);
    withdraw(&mut ctx, order.lease(provider(1))).unwrap();
    assert_export_is_whole(ctx);
}

#[test]
fn a_group_that_is_pruned_a_block_after_its_deployment_exports_whole() {
    let mut genesis = genesis();
    genesis.market.params.max_end_block_work = 1;
    let mut ctx = ctx_from(&genesis);
    post(&mut ctx, 1);
    let msg = deployment_pb::MsgCloseDeployment { owner: tenant().to_string(), dseq: 1 };
    send::<crate::modules::deployment::CloseDeployment>(&mut ctx, msg).unwrap();
    let ctx = pass_in_blocks(ctx, 30 * 86_400);
    assert!(crate::modules::deployment::get(&ctx, id(1)).is_none());
    assert!(crate::modules::deployment::group(&ctx, id(1).group(1)).is_some());
    assert_export_is_whole(ctx);
}
