//! Escrow from deposit to exhaustion.

use super::*;
use crate::modules::deployment::{GroupState, StartGroup};
use crate::modules::escrow::{AccountState, Deposit};
use stoa_proto::escrow::v1 as escrow_pb;

/// A deployment whose deposit lasts 3,600 s at the max rate of 1,000/s.
fn poor(dseq: u64) -> deployment_pb::MsgCreateDeployment {
    deployment_pb::MsgCreateDeployment {
        deposit: Some(coin(3_600_000).into()),
        ..deployment(dseq, vec![group("web")])
    }
}

/// Its lease, active at the max rate, since when.
fn exhausting() -> (Ctx<'static>, LeaseId) {
    let mut ctx = market();
    let order = post_with(&mut ctx, poor(1));
    place(&mut ctx, order, 1, 1_000).unwrap();
    let mut ctx = pass(ctx, 20);
    start(&mut ctx, order.lease(provider(1))).unwrap();
    (ctx, order.lease(provider(1)))
}

fn deposit(ctx: &mut Ctx<'_>, from: Address, amount: u128) -> Result<(), Failure> {
    let msg = escrow_pb::MsgDepositDeployment {
        depositor: from.to_string(),
        id: Some(id(1).into()),
        amount: Some(coin(amount).into()),
    };
    send::<Deposit>(ctx, msg).map(|_| ())
}

#[test]
fn an_account_that_is_used_up_pays_its_leases_pauses_and_is_overdrawn() {
    let (ctx, lease) = exhausting();
    let ctx = pass_in_blocks(ctx, 3_599);
    assert_eq!(lease_of(&ctx, lease).state, LeaseState::Active);
    // The block comes late: the lease is paid up to exhaustion, no further.
    let ctx = pass(ctx, 40);
    assert_eq!(lease_of(&ctx, lease).reason, Some(CloseReason::FundsExhausted));
    assert_eq!(balance(&ctx, &provider(1)), FUNDS + 3_528_000);
    let account = escrow_of(&ctx, 1);
    assert_eq!((account.state, account.balance()), (AccountState::Overdrawn, Fine::ZERO));
    let group = crate::modules::deployment::group(&ctx, id(1).group(1)).unwrap();
    assert_eq!(group.state, GroupState::Paused);
}

#[test]
fn a_deposit_in_the_block_of_exhaustion_saves_the_lease() {
    let (ctx, lease) = exhausting();
    let mut ctx = later(pass_in_blocks(ctx, 3_599), 1);
    deposit(&mut ctx, provider(2), 5_000).unwrap();
    end_block(&mut ctx);
    assert_eq!(lease_of(&ctx, lease).state, LeaseState::Active);
    assert_eq!(escrow_of(&ctx, 1).balance().raw(), 5_000 * ONE);
    let ctx = pass(ctx, 5);
    assert_eq!(lease_of(&ctx, lease).reason, Some(CloseReason::FundsExhausted));
}

#[test]
fn an_overdrawn_account_opens_with_the_least_deposit_and_closes_after_its_time() {
    let (ctx, _) = exhausting();
    let mut ctx = pass_in_blocks(ctx, 3_600);
    let start_group =
        deployment_pb::MsgStartGroup { owner: tenant().to_string(), dseq: 1, gseq: 1 };
    assert_eq!(refusal::<StartGroup>(&mut ctx, start_group.clone(), "escrow"), 9);
    deposit(&mut ctx, tenant(), 3_599_999).unwrap();
    assert_eq!(escrow_of(&ctx, 1).state, AccountState::Overdrawn);
    deposit(&mut ctx, tenant(), 1).unwrap();
    assert_eq!(escrow_of(&ctx, 1).state, AccountState::Open);
    send::<StartGroup>(&mut ctx, start_group).unwrap();

    let (ctx, _) = exhausting();
    let mut ctx = pass_in_blocks(ctx, 3_600);
    deposit(&mut ctx, provider(3), 77).unwrap();
    let ctx = pass_in_blocks(ctx, 7 * 86_400);
    assert_eq!(escrow_of(&ctx, 1).state, AccountState::Closed);
    assert_eq!(balance(&ctx, &provider(3)), FUNDS);
}

#[test]
fn the_oldest_deposit_is_spent_first_and_the_newest_returns_most() {
    let (mut ctx, _) = exhausting();
    deposit(&mut ctx, provider(2), 1_000).unwrap();
    let mut ctx = later(pass_in_blocks(ctx, 3_599), 1);
    let msg = deployment_pb::MsgCloseDeployment { owner: tenant().to_string(), dseq: 1 };
    send::<crate::modules::deployment::CloseDeployment>(&mut ctx, msg).unwrap();
    assert_eq!(balance(&ctx, &tenant()), FUNDS - 3_600_000);
    assert_eq!(balance(&ctx, &provider(2)), FUNDS);
}

#[test]
fn deposits_are_refused_where_they_cannot_count() {
    let (mut ctx, lease) = exhausting();
    assert_eq!(code(deposit(&mut ctx, tenant(), 0)), ("escrow", 5));
    let mut msg = escrow_pb::MsgDepositDeployment {
        depositor: tenant().to_string(),
        id: Some(id(9).into()),
        amount: Some(coin(5).into()),
    };
    assert_eq!(refusal::<Deposit>(&mut ctx, msg.clone(), "escrow"), 2);
    msg.id = Some(lease.deployment().into());
    msg.amount.as_mut().unwrap().denom = "uother".to_owned();
    assert_eq!(refusal::<Deposit>(&mut ctx, msg, "escrow"), 4);
    let close = deployment_pb::MsgCloseDeployment { owner: tenant().to_string(), dseq: 1 };
    send::<crate::modules::deployment::CloseDeployment>(&mut ctx, close).unwrap();
    assert_eq!(code(deposit(&mut ctx, tenant(), 5)), ("escrow", 7));
}

#[test]
fn an_account_has_so_many_depositors_and_the_owner_always_fits() {
    let mut genesis = genesis();
    genesis.escrow.params.max_depositors = 2;
    let mut ctx = ctx_from(&genesis);
    post_with(&mut ctx, poor(1));
    deposit(&mut ctx, provider(1), 5).unwrap();
    assert_eq!(code(deposit(&mut ctx, provider(2), 5)), ("escrow", 8));
    deposit(&mut ctx, provider(1), 5).unwrap();
    deposit(&mut ctx, tenant(), 5).unwrap();
    assert_eq!(escrow_of(&ctx, 1).depositors.len(), 2);
}

#[test]
fn what_is_left_is_shared_in_proportion_to_what_the_leases_cost() {
    let mut msg = poor(1);
    msg.groups = vec![group("a"), group("b")];
    msg.deposit = Some(coin(7_200_000).into());
    let mut ctx = market();
    post_with(&mut ctx, msg);
    let orders = [id(1).group(1).order(1), id(1).group(2).order(1)];
    place(&mut ctx, orders[0], 1, 600).unwrap();
    place(&mut ctx, orders[1], 2, 200).unwrap();
    let mut ctx = pass(ctx, 20);
    start(&mut ctx, orders[0].lease(provider(1))).unwrap();
    start(&mut ctx, orders[1].lease(provider(2))).unwrap();
    // 7,200,000 / 800 = 9,000 s.
    let ctx = pass_in_blocks(ctx, 9_000);
    assert_eq!(balance(&ctx, &provider(1)), FUNDS + 600 * 9_000 / 100 * 98);
    assert_eq!(balance(&ctx, &provider(2)), FUNDS + 200 * 9_000 / 100 * 98);
}

/// The match comes before exhaustion in the queue, and finds it.
#[test]
fn exhaustion_that_a_match_finds_weighs_the_leases_it_closes() {
    let mut genesis = genesis();
    genesis.market.params.max_end_block_work = 3;
    let mut ctx = ctx_from(&genesis);
    let two = deployment(1, vec![group("web"), group("api")]);
    post_with(
        &mut ctx,
        deployment_pb::MsgCreateDeployment { deposit: Some(coin(7_200_000).into()), ..two },
    );
    let orders = [id(1).group(1).order(1), id(1).group(2).order(1)];
    place(&mut ctx, orders[0], 1, 1_000).unwrap();
    let mut ctx = pass(ctx, 20);
    start(&mut ctx, orders[0].lease(provider(1))).unwrap();
    let mut ctx = pass_in_blocks(ctx, 7_170);
    let msg = deployment_pb::MsgReopenGroup {
        owner: tenant().to_string(),
        dseq: 1,
        gseq: 2,
        max_rates: Vec::new(),
    };
    send::<crate::modules::deployment::ReopenGroup>(&mut ctx, msg).unwrap();
    place(&mut ctx, id(1).group(2).order(2), 2, 5).unwrap();
    let other = post(&mut ctx, 2);
    let ctx = pass(ctx, 40);
    assert_eq!(escrow_of(&ctx, 1).state, AccountState::Overdrawn);
    assert_eq!(order_of(&ctx, other).state, OrderState::Open, "one item, one lease, one bid");
    assert_eq!(order_of(&pass(ctx, 1), other).state, OrderState::Unmatched);
}
