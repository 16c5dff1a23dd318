//! Parameters that governance changes, and what stands when it does.

use super::*;
use crate::modules::deployment as deployments;
use crate::modules::gov;
use crate::types::Denom;
use stoa_proto::escrow::v1 as escrow_pb;

/// A parameter's name, and how it is set wrong.
type Case<P> = (&'static str, fn(&mut P));

fn governance() -> String {
    gov::authority().to_string()
}

fn set(ctx: &mut Ctx<'_>, change: impl FnOnce(&mut Params)) {
    send::<UpdateParams>(ctx, message(ctx_params(ctx, change))).unwrap();
}

fn ctx_params(ctx: &Ctx<'_>, change: impl FnOnce(&mut Params)) -> Params {
    let mut params = params(ctx);
    change(&mut params);
    params
}

fn message(params: Params) -> pb::MsgUpdateParams {
    pb::MsgUpdateParams { authority: governance(), params: Some(params.into()) }
}

fn set_escrow(ctx: &mut Ctx<'_>, change: impl FnOnce(&mut escrow::Params)) {
    let mut params = escrow::params(ctx);
    change(&mut params);
    let msg = escrow_pb::MsgUpdateParams { authority: governance(), params: Some(params.into()) };
    send::<escrow::UpdateParams>(ctx, msg).unwrap();
}

fn set_bounds(ctx: &mut Ctx<'_>, change: impl FnOnce(&mut deployments::Params)) {
    let mut params = deployments::params(ctx);
    change(&mut params);
    let params = Some(params.into());
    let msg = deployment_pb::MsgUpdateParams { authority: governance(), params };
    send::<deployments::UpdateParams>(ctx, msg).unwrap();
}

#[test]
fn market_parameters_out_of_bounds_are_refused_by_name() {
    let mut ctx = market();
    let ten_years = 315_360_000;
    let cases: [Case<Params>; 15] = [
        ("min_bid_window", |p| p.min_bid_window = 0),
        ("min_bid_window", |p| p.min_bid_window = p.max_bid_window + 1),
        ("default_bid_window", |p| p.default_bid_window = p.min_bid_window - 1),
        ("bid_step", |p| p.bid_step = 10_000),
        ("second_price_fee_cap", |p| p.second_price_fee_cap = 10_001),
        ("max_bids_per_order", |p| p.max_bids_per_order = 0),
        ("max_bids_per_order", |p| p.max_bids_per_order = 1_025),
        ("lease_start_deadline", |p| p.lease_start_deadline = 0),
        ("reveal_window", |p| p.reveal_window = 0),
        ("max_end_block_work", |p| p.max_end_block_work = 0),
        ("max_end_block_work", |p| p.max_end_block_work = 1_000_001),
        ("max_leases_per_withdrawal", |p| p.max_leases_per_withdrawal = 0),
        ("min_reclamation", |p| p.min_reclamation = p.max_reclamation + 1),
        ("keep_closed", |p| p.keep_closed = 315_360_001),
        ("min_bid_deposit", |p| p.min_bid_deposit = Amount::from_raw(u128::MAX)),
    ];
    for (name, change) in cases {
        let msg = message(ctx_params(&ctx, change));
        let Err(failure) = send::<UpdateParams>(&mut ctx, msg) else { panic!("{name}") };
        assert_eq!((failure.codespace, failure.code), ("sdk", 18));
        assert!(failure.message.contains(name), "{failure}");
    }
    set(&mut ctx, |p| p.keep_closed = ten_years);
    let missing = pb::MsgUpdateParams { params: None, ..message(params(&ctx)) };
    assert_eq!(refusal::<UpdateParams>(&mut ctx, missing, "sdk"), 18);
    let authority = tenant().to_string();
    let stranger = pb::MsgUpdateParams { authority, ..message(params(&ctx)) };
    assert_eq!(refusal::<UpdateParams>(&mut ctx, stranger, "sdk"), 4);
}

#[test]
fn parameters_read_back_from_protobuf() {
    let market = Params { bid_step: 7, ..Params::default() };
    assert_eq!(Params::try_from(pb::Params::from(market.clone())), Ok(market));
    let bounds = deployments::Params { max_count: 7, ..Default::default() };
    let proto = deployment_pb::Params::from(bounds.clone());
    assert_eq!(deployments::Params::try_from(proto), Ok(bounds));
    let escrow = escrow::Params { overdrawn_keep: 7, ..Default::default() };
    let proto = escrow_pb::Params::from(escrow.clone());
    assert_eq!(escrow::Params::try_from(proto), Ok(escrow));
}

#[test]
fn bounds_and_escrow_parameters_that_are_wrong_are_refused_by_name() {
    let mut ctx = market();
    let cases: [Case<deployments::Params>; 6] = [
        ("max_groups", |p| p.max_groups = 0),
        ("max_units_per_group", |p| p.max_units_per_group = 257),
        ("min_cpu", |p| p.min_cpu = p.max_cpu + 1),
        ("min_storage", |p| p.min_storage = 0),
        ("max_attribute_bytes", |p| p.max_attribute_bytes = 129),
        ("max_listed_providers", |p| p.max_listed_providers = 1_025),
    ];
    for (name, change) in cases {
        let mut params = deployments::params(&ctx);
        change(&mut params);
        let params = Some(params.into());
        let msg = deployment_pb::MsgUpdateParams { authority: governance(), params };
        let Err(failure) = send::<deployments::UpdateParams>(&mut ctx, msg) else {
            panic!("{name}")
        };
        assert!(failure.code == 18 && failure.message.contains(name), "{failure}");
    }
    let cases: [Case<escrow::Params>; 5] = [
        ("take_rate", |p| p.market_denoms[0].take_rate = 10_001),
        ("listed twice", |p| p.market_denoms.push(p.market_denoms[0].clone())),
        ("max_depositors", |p| p.max_depositors = 0),
        ("max_depositors", |p| p.max_depositors = 1_025),
        ("overdrawn_keep", |p| p.overdrawn_keep = 315_360_001),
    ];
    for (name, change) in cases {
        let mut params = escrow::params(&ctx);
        change(&mut params);
        let params = Some(params.into());
        let msg = escrow_pb::MsgUpdateParams { authority: governance(), params };
        let Err(failure) = send::<escrow::UpdateParams>(&mut ctx, msg) else { panic!("{name}") };
        assert!(failure.code == 18 && failure.message.contains(name), "{failure}");
    }
    let authority = tenant().to_string();
    let params = Some(escrow::params(&ctx).into());
    let stranger = escrow_pb::MsgUpdateParams { authority: authority.clone(), params };
    assert_eq!(refusal::<escrow::UpdateParams>(&mut ctx, stranger, "sdk"), 4);
    let params = Some(deployments::params(&ctx).into());
    let stranger = deployment_pb::MsgUpdateParams { authority, params };
    assert_eq!(refusal::<deployments::UpdateParams>(&mut ctx, stranger, "sdk"), 4);
}

#[test]
fn a_book_that_is_over_a_lowered_bound_keeps_its_bids_and_is_matched() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    for (number, rate) in [(1, 500), (2, 400), (3, 300), (4, 200)] {
        place(&mut ctx, order, number, rate).unwrap();
    }
    set(&mut ctx, |p| p.max_bids_per_order = 2);
    assert_eq!(code(place(&mut ctx, order, 5, 600)).0, "market");
    assert_eq!(index::bid_count(&ctx, order), 4);
    place(&mut ctx, order, 5, 100).unwrap();
    assert_eq!(index::bid_count(&ctx, order), 4);
    assert!(bid(&ctx, order.lease(provider(1))).is_none(), "the highest is put out");
    let ctx = pass(ctx, 20);
    assert!(lease_of(&ctx, order.lease(provider(5))).is_live());
    assert_eq!(balance(&ctx, &provider(1)), FUNDS);
    assert_export_is_whole(ctx);
}

#[test]
fn an_order_keeps_the_terms_that_it_was_opened_with() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    let before = order_of(&ctx, order);
    set(&mut ctx, |p| {
        p.min_bid_window = 100;
        p.default_bid_window = 100;
        p.reveal_window = 1_000;
        p.min_bid_deposit = Amount::from_raw(FUNDS);
        p.lease_start_deadline = 5;
    });
    assert_eq!(order_of(&ctx, order), before);
    place(&mut ctx, order, 1, 100).unwrap();
    let held = bid(&ctx, order.lease(provider(1))).unwrap().deposit;
    assert_eq!(held, before.bid_deposit);
    let ctx = pass(ctx, 20);
    let lease = lease_of(&ctx, order.lease(provider(1)));
    assert_eq!(lease.start_deadline, ctx.now() + 5);
    let ctx = pass(ctx, 5);
    let lease = lease_of(&ctx, order.lease(provider(1)));
    assert_eq!(lease.reason, Some(CloseReason::NotStarted));
    later(ctx, 1);
}

#[test]
fn a_pending_lease_costs_its_whole_deposit_at_most_whatever_the_deadline_has_become() {
    let (mut ctx, id) = leased(1);
    let deposit = lease_of(&ctx, id).bid_deposit.raw();
    set(&mut ctx, |p| p.lease_start_deadline = 1);
    let mut ctx = later(ctx, 50);
    close_by_provider(&mut ctx, id).unwrap();
    assert_eq!(balance(&ctx, &id.provider), FUNDS - deposit);
    assert_eq!(pool_of(&ctx), 2 * deposit * ONE);
    later(ctx, 1);
}

#[test]
fn a_lease_keeps_the_take_of_its_match() {
    let (mut ctx, id) = active(1);
    set_escrow(&mut ctx, |p| p.market_denoms[0].take_rate = 10_000);
    let mut ctx = later(ctx, 10);
    withdraw(&mut ctx, id).unwrap();
    assert_eq!(lease_of(&ctx, id).withdrawn.raw(), 980);
    let order = post(&mut ctx, 2);
    place(&mut ctx, order, 2, 100).unwrap();
    let ctx = pass(ctx, 20);
    let all = lease_of(&ctx, order.lease(provider(2)));
    assert_eq!((all.cost_rate, all.provider_rate), (all.rate, Rate::ZERO));
    let mut ctx = ctx;
    start(&mut ctx, order.lease(provider(2))).unwrap();
    let mut ctx = later(ctx, 10);
    withdraw(&mut ctx, order.lease(provider(2))).unwrap();
    assert!(lease_of(&ctx, order.lease(provider(2))).withdrawn.is_zero());
    later(ctx, 1);
}

#[test]
fn what_stands_in_a_denom_that_the_market_has_left_goes_on_to_its_end() {
    let (mut ctx, id) = active(1);
    let order = post(&mut ctx, 2);
    place(&mut ctx, order, 2, 100).unwrap();
    set_escrow(&mut ctx, |p| p.market_denoms.clear());
    let next = deployment(3, vec![group("web")]);
    assert_eq!(refusal::<CreateDeployment>(&mut ctx, next, "escrow"), 3);
    let mut ctx = pass(ctx, 20);
    assert!(lease_of(&ctx, order.lease(provider(2))).is_live());
    withdraw(&mut ctx, id).unwrap();
    assert_eq!(lease_of(&ctx, id).withdrawn.raw(), 20 * 98);
    let deposit = escrow_pb::MsgDepositDeployment {
        depositor: tenant().to_string(),
        id: Some(super::id(1).into()),
        amount: Some(coin(500).into()),
    };
    send::<escrow::Deposit>(&mut ctx, deposit).unwrap();
    for dseq in [1, 2] {
        let msg = deployment_pb::MsgCloseDeployment { owner: tenant().to_string(), dseq };
        send::<deployments::CloseDeployment>(&mut ctx, msg).unwrap();
    }
    let ctx = pass(ctx, 1);
    assert_eq!(escrow::held(&ctx).map(|(_, money)| money.raw()).sum::<u128>(), 0);
    assert_export_is_whole(ctx);
}

#[test]
fn an_account_with_more_depositors_than_a_lowered_bound_returns_to_all() {
    let mut ctx = market();
    post(&mut ctx, 1);
    let deposit = |who: Address| escrow_pb::MsgDepositDeployment {
        depositor: who.to_string(),
        id: Some(id(1).into()),
        amount: Some(coin(500).into()),
    };
    for number in 1..=3 {
        send::<escrow::Deposit>(&mut ctx, deposit(provider(number))).unwrap();
    }
    set_escrow(&mut ctx, |p| p.max_depositors = 1);
    send::<escrow::Deposit>(&mut ctx, deposit(provider(2))).unwrap();
    send::<escrow::Deposit>(&mut ctx, deposit(tenant())).unwrap();
    let (codespace, _) = code(send::<escrow::Deposit>(&mut ctx, deposit(provider(4))));
    assert_eq!(codespace, "escrow");
    let msg = deployment_pb::MsgCloseDeployment { owner: tenant().to_string(), dseq: 1 };
    send::<deployments::CloseDeployment>(&mut ctx, msg).unwrap();
    for who in [tenant(), provider(1), provider(2), provider(3)] {
        assert_eq!(balance(&ctx, &who), FUNDS);
    }
    later(ctx, 1);
}

#[test]
fn a_group_over_lowered_bounds_is_served_and_offered_again() {
    let (mut ctx, id) = active(1);
    set_bounds(&mut ctx, |p| {
        p.min_cpu = 10_000;
        p.max_units_per_group = 1;
        p.max_listed_providers = 1;
    });
    let next = deployment(2, vec![group("web")]);
    assert_eq!(refusal::<CreateDeployment>(&mut ctx, next, "deployment"), 6);
    let mut ctx = later(ctx, 5);
    close_by_tenant(&mut ctx, id, true, true).unwrap();
    let order = reopened_order(&ctx, 1, 1).unwrap();
    place(&mut ctx, order, 2, 100).unwrap();
    let mut ctx = pass(ctx, 20);
    let second = order.lease(provider(2));
    start(&mut ctx, second).unwrap();
    // Of those kept out one place is left: the latest takes it.
    close_by_tenant(&mut ctx, second, true, true).unwrap();
    let order = reopened_order(&ctx, 1, 1).unwrap();
    assert_eq!(order_of(&ctx, order).excluded, [provider(2)]);
    later(ctx, 1);
}

#[test]
fn records_that_were_closed_before_stay_as_long_as_they_were_to() {
    let (mut ctx, id) = active(1);
    close_by_tenant(&mut ctx, id, false, false).unwrap();
    let prune_at = lease_of(&ctx, id).prune_at;
    set(&mut ctx, |p| p.keep_closed = 10);
    let mut ctx = pass(ctx, 20);
    assert_eq!(lease_of(&ctx, id).prune_at, prune_at);
    let order = post(&mut ctx, 2);
    let ctx = pass(ctx, 20);
    assert_eq!(order_of(&ctx, order).state, OrderState::Unmatched);
    let ctx = pass(ctx, 10);
    assert_eq!(super::super::order(&ctx, order), None);
    assert_export_is_whole(ctx);
}

#[test]
fn less_work_in_a_block_takes_more_blocks() {
    let mut ctx = market();
    let orders: Vec<OrderId> = (1..=3).map(|dseq| post(&mut ctx, dseq)).collect();
    for order in &orders {
        place(&mut ctx, *order, 1, 100).unwrap();
    }
    set(&mut ctx, |p| p.max_end_block_work = 1);
    let mut ctx = later(ctx, 20);
    for matched in 1..=3 {
        end_block(&mut ctx);
        assert_eq!(live_leases(&ctx).count(), matched);
        ctx = later(ctx, 1);
    }
}

#[test]
fn a_bid_whose_reputation_a_changed_parameter_takes_is_passed_over() {
    let mut ctx = market();
    provider_stakes(&mut ctx, 1, 1_000);
    set(&mut ctx, |p| p.rep_half_stake = Amount::from_raw(1_000));
    let mut spec = group("web");
    let least = types_pb::Requirements { min_reputation: 900, ..Default::default() };
    spec.requirements = Some(least);
    let order = post_with(&mut ctx, deployment(1, vec![spec]));
    place(&mut ctx, order, 1, 100).unwrap();
    set(&mut ctx, |p| p.rep_half_stake = Amount::from_raw(9_000));
    let ctx = pass(ctx, 20);
    assert_eq!(order_of(&ctx, order).state, OrderState::Unmatched);
    assert_eq!(balance(&ctx, &provider(1)), FUNDS - 1_000);
}

fn provider_stakes(ctx: &mut Ctx<'_>, number: u8, amount: u128) {
    crate::modules::provider::tests::stake(ctx, provider(number), amount);
}

#[test]
fn a_new_market_denom_is_traded_in_from_then_on() {
    let mut ctx = market();
    let other = Denom::try_from("uother").unwrap();
    set_escrow(&mut ctx, |p| {
        let mut new = p.market_denoms[0].clone();
        new.denom = other.clone();
        p.market_denoms.push(new);
    });
    let found = escrow::market_denom(&ctx, &other).unwrap();
    assert_eq!(found.min_deposit, Amount::from_raw(1_000_000));
    later(ctx, 1);
}
