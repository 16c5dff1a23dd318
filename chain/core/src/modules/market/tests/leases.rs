//! Leases from their start to their end.

use super::*;
use crate::modules::deployment::{CloseDeployment, PauseGroup};

fn with_window(dseq: u64) -> deployment_pb::MsgCreateDeployment {
    let mut group = group("web");
    group.reclamation = 3_600;
    deployment(dseq, vec![group])
}

fn reopening(dseq: u64) -> deployment_pb::MsgCreateDeployment {
    deployment_pb::MsgCreateDeployment { reopen: true, ..deployment(dseq, vec![group("web")]) }
}

#[test]
fn a_lease_is_paid_from_its_start_and_the_take_goes_to_the_pool() {
    let (ctx, id) = active(1);
    let mut ctx = pass_in_blocks(ctx, 100);
    withdraw(&mut ctx, id).unwrap();
    // 100 s × 100/s, of which 2% are the pool's.
    assert_eq!(balance(&ctx, &provider(1)), FUNDS - 600_000 + 9_800);
    assert_eq!(pool_of(&ctx), 200 * ONE);
    assert_eq!(escrow_of(&ctx, 1).balance().raw(), (DEPOSIT - 10_000) * ONE);
    assert_eq!(lease_of(&ctx, id).withdrawn.raw(), 9_800);
}

#[test]
fn only_its_provider_starts_a_pending_lease_once() {
    let (mut ctx, id) = leased(1);
    let lease = Some(id.into());
    let msg = pb::MsgStartLease { provider: provider(2).to_string(), lease };
    assert_eq!(refusal::<StartLease>(&mut ctx, msg, "market"), 30);
    assert_eq!(code(start(&mut ctx, id.order.lease(provider(3)))), ("market", 4));
    assert_eq!(code(withdraw(&mut ctx, id)), ("market", 29));
    start(&mut ctx, id).unwrap();
    assert_eq!(code(start(&mut ctx, id)), ("market", 29));
}

#[test]
fn a_lease_starts_up_to_the_block_of_its_deadline() {
    let (ctx, id) = leased(1);
    let ctx = pass_in_blocks(ctx, 599);
    let mut ctx = later(ctx, 1);
    start(&mut ctx, id).unwrap();
    end_block(&mut ctx);
    assert_eq!(lease_of(&ctx, id).state, LeaseState::Active);
}

#[test]
fn a_lease_that_is_not_started_costs_the_whole_deposit_on_both_sides() {
    let (ctx, id) = leased(1);
    let ctx = pass_in_blocks(ctx, 600);
    let lease = lease_of(&ctx, id);
    assert_eq!(lease.reason, Some(CloseReason::NotStarted));
    assert_eq!(balance(&ctx, &provider(1)), FUNDS - 600_000);
    assert_eq!(escrow_of(&ctx, 1).balance().raw(), (DEPOSIT - 600_000) * ONE);
    assert_eq!(pool_of(&ctx), 1_200_000 * ONE);
    let counters = counters::get(&ctx, Role::Provider, &provider(1));
    assert_eq!((counters.won, counters.not_started, counters.failed_weeks), (1, 1, 1));
}

#[test]
fn a_pending_lease_ends_at_once_at_a_tenth_of_the_deposit_whoever_ends_it() {
    let (mut ctx, id) = leased(1);
    close_by_tenant(&mut ctx, id, false, false).unwrap();
    assert_eq!(balance(&ctx, &provider(1)), FUNDS - 60_000);
    assert_eq!(pool_of(&ctx), 120_000 * ONE);
    let (mut ctx, id) = leased(1);
    close_by_provider(&mut ctx, id).unwrap();
    assert_eq!(pool_of(&ctx), 120_000 * ONE);
    let failed = counters::get(&ctx, Role::Provider, &provider(1)).failed_weeks;
    assert_eq!((failed, id.owner()), (1, tenant()));
}

#[test]
fn an_active_lease_without_window_ends_at_once_and_its_deposit_returns() {
    let (ctx, id) = active(1);
    let mut ctx = pass(ctx, 50);
    let now = ctx.now();
    assert_eq!(close_by_provider(&mut ctx, id).unwrap(), now);
    assert_eq!(lease_of(&ctx, id).reason, Some(CloseReason::ByProvider));
    assert_eq!(balance(&ctx, &provider(1)), FUNDS + 4_900);
    assert_eq!(code(close_by_tenant(&mut ctx, id, false, false)), ("market", 29));
}

#[test]
fn a_reclamation_window_is_served_and_paid_to_its_end() {
    let (mut ctx, id) = active_with(with_window(1));
    let ends_at = ctx.now() + 3_600;
    assert_eq!(close_by_provider(&mut ctx, id).unwrap(), ends_at);
    assert_eq!(lease_of(&ctx, id).state, LeaseState::Reclaiming);
    assert_eq!(code(close_by_provider(&mut ctx, id)), ("market", 29));
    let ctx = pass_in_blocks(ctx, 3_590);
    // The last block comes late: nothing is paid past the window's end.
    let ctx = pass(ctx, 45);
    let lease = lease_of(&ctx, id);
    assert_eq!((lease.closed_at, lease.reason), (ends_at, Some(CloseReason::ByProvider)));
    assert_eq!(balance(&ctx, &provider(1)), FUNDS + 98 * 3_600);
}

#[test]
fn the_tenant_may_close_a_reclaiming_lease_at_once() {
    let (mut ctx, id) = active_with(with_window(1));
    close_by_provider(&mut ctx, id).unwrap();
    let now = ctx.now();
    assert_eq!(close_by_tenant(&mut ctx, id, false, false).unwrap(), now);
    assert_eq!(lease_of(&ctx, id).reason, Some(CloseReason::ByTenant));
}

#[test]
fn a_duration_ends_the_lease_and_nothing_is_paid_past_it() {
    let mut short = group("web");
    short.duration = 100;
    let (ctx, id) = active_with(deployment(1, vec![short]));
    let expires = ctx.now() + 100;
    let mut ctx = later(pass_in_blocks(ctx, 60), 59);
    // A withdrawal after the end, before the end was worked, pays up to it.
    withdraw(&mut ctx, id).unwrap();
    end_block(&mut ctx);
    let lease = lease_of(&ctx, id);
    assert_eq!((lease.closed_at, lease.reason), (expires, Some(CloseReason::Expired)));
    assert_eq!(balance(&ctx, &provider(1)), FUNDS + 9_800);
}

#[test]
fn a_lease_that_the_provider_ends_reopens_closed_to_that_provider() {
    let (mut ctx, id) = active_with(reopening(1));
    close_by_provider(&mut ctx, id).unwrap();
    let order = reopened_order(&ctx, 1, 1).unwrap();
    assert_eq!(order, id.order.group.order(2));
    assert_eq!(code(place(&mut ctx, order, 1, 5)), ("market", 23));
    place(&mut ctx, order, 2, 5).unwrap();
}

#[test]
fn the_tenant_says_whether_a_closed_lease_reopens_and_for_whom() {
    let (mut ctx, id) = active(1);
    close_by_tenant(&mut ctx, id, true, false).unwrap();
    let order = reopened_order(&ctx, 1, 1).unwrap();
    place(&mut ctx, order, 1, 5).unwrap();
    let (mut ctx, id) = active_with(reopening(1));
    close_by_tenant(&mut ctx, id, false, true).unwrap();
    assert_eq!(reopened_order(&ctx, 1, 1), None);
}

#[test]
fn a_group_reopens_so_often_a_day_and_no_more() {
    let mut genesis = genesis();
    genesis.market.params.max_reopens = 1;
    let mut ctx = ctx_from(&genesis);
    post_with(&mut ctx, reopening(1));
    let mut order = first_order(1);
    for (number, reopens) in [(1, true), (2, false)] {
        place(&mut ctx, order, number, 100).unwrap();
        ctx = pass(ctx, 20);
        let lease = order.lease(provider(number));
        if !reopens {
            assert_eq!(code(close_by_tenant(&mut ctx, lease, true, false)), ("market", 32));
        }
        close_by_provider(&mut ctx, lease).unwrap();
        assert_eq!(reopened_order(&ctx, 1, 1).is_some(), reopens);
        order = id(1).group(1).order(2);
    }
}

#[test]
fn a_provider_that_the_tenant_excludes_stays_out_though_no_order_opens() {
    let (mut ctx, id) = active_with(with_window(1));
    close_by_tenant(&mut ctx, id, true, true).unwrap();
    ctx.put(keys::params(), &Params { max_reopens: 0, ..params(&ctx) });
    let ctx = pass_in_blocks(ctx, 3_600);
    assert_eq!(reopened_order(&ctx, 1, 1), None);
    let group = crate::modules::deployment::group(&ctx, id.order.group).unwrap();
    assert_eq!(group.excluded, [provider(1)]);
}

#[test]
fn jailing_closes_each_live_lease_at_the_blocks_end_and_pays_no_further() {
    let (ctx, id) = active(1);
    let mut ctx = later(ctx, 30);
    crate::modules::provider::set_jailed(&mut ctx, &provider(1), true).unwrap();
    end_block(&mut ctx);
    assert_eq!(lease_of(&ctx, id).reason, Some(CloseReason::ProviderJailed));
    assert_eq!(balance(&ctx, &provider(1)), FUNDS + 30 * 98);
}

#[test]
fn only_the_tenant_closes_its_lease_and_only_the_provider_its_bid() {
    let (mut ctx, id) = active(1);
    let lease = Some(id.into());
    let msg = pb::MsgCloseLease { owner: provider(1).to_string(), lease, ..Default::default() };
    assert_eq!(refusal::<CloseLease>(&mut ctx, msg, "market"), 30);
    let msg = pb::MsgCloseBid { provider: tenant().to_string(), lease: Some(id.into()) };
    assert_eq!(refusal::<CloseBid>(&mut ctx, msg, "market"), 30);
}

#[test]
fn a_withdrawal_names_one_to_a_hundred_leases() {
    let (mut ctx, id) = active(1);
    let provider = provider(1).to_string();
    for leases in [vec![], vec![id.into(); 101]] {
        let msg = pb::MsgWithdrawLease { provider: provider.clone(), leases };
        assert_eq!(refusal::<WithdrawLease>(&mut ctx, msg, "market"), 31);
    }
}

#[test]
fn closing_the_deployment_pays_what_is_owed_and_returns_the_rest() {
    let (ctx, id) = active(1);
    let mut ctx = later(ctx, 33);
    let msg = deployment_pb::MsgCloseDeployment { owner: tenant().to_string(), dseq: 1 };
    let response = send::<CloseDeployment>(&mut ctx, msg.clone()).unwrap();
    let left = DEPOSIT - 3_300;
    assert_eq!(response.refunded, Some(coin(left).into()));
    assert_eq!(balance(&ctx, &tenant()), FUNDS - 3_300);
    // 33 × 98 = 3,234 to the provider, 66 to the pool.
    assert_eq!(balance(&ctx, &provider(1)), FUNDS + 3_234);
    assert_eq!(pool_of(&ctx), 66 * ONE);
    assert_eq!(lease_of(&ctx, id).reason, Some(CloseReason::DeploymentClosed));
    let closed = crate::modules::deployment::get(&ctx, id.deployment()).unwrap();
    assert_eq!(closed.state, DeploymentState::Closed);
    assert_eq!(code(send::<CloseDeployment>(&mut ctx, msg)), ("deployment", 5));
}

#[test]
fn pausing_a_group_closes_its_lease_and_reopens_nothing() {
    let (mut ctx, id) = active_with(reopening(1));
    let msg = deployment_pb::MsgPauseGroup { owner: tenant().to_string(), dseq: 1, gseq: 1 };
    send::<PauseGroup>(&mut ctx, msg).unwrap();
    assert_eq!(lease_of(&ctx, id).reason, Some(CloseReason::Paused));
    assert_eq!(reopened_order(&ctx, 1, 1), None);
}

#[test]
fn a_week_that_pays_enough_counts_once_for_each_tenant() {
    let (ctx, id) = active(1);
    // 98/s reach 1,000,000 after 10,205 s.
    let mut ctx = pass_in_blocks(ctx, 10_300);
    assert_eq!(reputation(&ctx, &provider(1)), 0);
    withdraw(&mut ctx, id).unwrap();
    let mut ctx = pass_in_blocks(ctx, 10_300);
    withdraw(&mut ctx, id).unwrap();
    assert_eq!(counters::get(&ctx, Role::Provider, &provider(1)).good_weeks, 1);
    assert_eq!(reputation(&ctx, &provider(1)), 8_000 / 11);
}
