//! Placing, lowering, withdrawing and putting out bids.

use super::*;

fn withdraw_bid(ctx: &mut Ctx<'_>, order: OrderId, number: u8) -> Result<(), Failure> {
    let provider = provider(number).to_string();
    let msg = pb::MsgWithdrawBid { provider, order: Some(order.into()) };
    send::<WithdrawBid>(ctx, msg).map(|_| ())
}

fn rates(ctx: &Ctx<'_>, order: OrderId) -> Vec<u128> {
    book::ranked(ctx, order).map(|(rate, _)| rate.raw() / ONE).collect()
}

#[test]
fn a_bid_brings_the_deposit_of_its_order() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    // Max rate 1,000/s × 600 s is over the least of 500,000.
    assert_eq!(order_of(&ctx, order).bid_deposit.raw(), 600_000);
    place(&mut ctx, order, 1, 100).unwrap();
    assert_eq!(balance(&ctx, &provider(1)), FUNDS - 600_000);
}

#[test]
fn a_bid_on_what_is_not_there_or_over_is_refused() {
    let mut ctx = market();
    assert_eq!(code(place(&mut ctx, first_order(1), 1, 5)), ("market", 2));
    let order = post(&mut ctx, 1);
    let mut ctx = later(ctx, 20);
    assert_eq!(code(place(&mut ctx, order, 1, 5)), ("market", 6));
    end_block(&mut ctx);
    assert_eq!(order_of(&ctx, order).state, OrderState::Unmatched);
    assert_eq!(code(place(&mut ctx, order, 1, 5)), ("market", 5));
}

#[test]
fn a_rate_is_over_zero_at_most_the_maximum_and_in_the_orders_denom() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    assert_eq!(code(place(&mut ctx, order, 1, 0)), ("market", 7));
    assert_eq!(code(place(&mut ctx, order, 1, 1_001)), ("market", 8));
    let mut msg = bid_msg(order, 1, 5);
    msg.rate.as_mut().unwrap().denom = "uother".to_owned();
    assert_eq!(refusal::<CreateBid>(&mut ctx, msg, "market"), 9);
    place(&mut ctx, order, 1, 1_000).unwrap();
}

#[test]
fn a_bid_under_the_lowest_is_lower_by_the_bid_step() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    place(&mut ctx, order, 1, 1_000).unwrap();
    let mut msg = bid_msg(order, 2, 0);
    // 10 basis points of 1,000 are 1.
    msg.rate = Some(raw_rate(999 * ONE + 1));
    assert_eq!(refusal::<CreateBid>(&mut ctx, msg, "market"), 10);
    place(&mut ctx, order, 2, 999).unwrap();
    place(&mut ctx, order, 3, 1_000).unwrap();
    assert_eq!(rates(&ctx, order), [999, 1_000, 1_000]);
}

#[test]
fn a_replacement_is_lower_by_the_bid_step_keeps_the_deposit_and_takes_a_new_place() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    place(&mut ctx, order, 1, 500).unwrap();
    place(&mut ctx, order, 2, 400).unwrap();
    assert_eq!(code(place(&mut ctx, order, 1, 500)), ("market", 11));
    place(&mut ctx, order, 1, 400).unwrap();
    assert_eq!(balance(&ctx, &provider(1)), FUNDS - 600_000);
    let first: Vec<_> = book::ranked(&ctx, order).map(|(_, who)| who).collect();
    assert_eq!(first, [provider(2), provider(1)]);
}

#[test]
fn a_bid_can_be_withdrawn_in_the_first_half_of_the_window() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    assert_eq!(code(withdraw_bid(&mut ctx, order, 1)), ("market", 3));
    place(&mut ctx, order, 1, 500).unwrap();
    place(&mut ctx, order, 2, 600).unwrap();
    let mut ctx = later(ctx, 9);
    withdraw_bid(&mut ctx, order, 1).unwrap();
    assert_eq!(balance(&ctx, &provider(1)), FUNDS);
    place(&mut ctx, order, 1, 550).unwrap();
    let mut ctx = later(ctx, 1);
    assert_eq!(code(withdraw_bid(&mut ctx, order, 2)), ("market", 19));
    place(&mut ctx, order, 2, 500).unwrap();
}

#[test]
fn a_full_book_takes_a_lower_bid_and_puts_out_the_highest_last_placed() {
    let mut genesis = genesis();
    genesis.market.params.max_bids_per_order = 3;
    let mut ctx = ctx_from(&genesis);
    let order = post(&mut ctx, 1);
    place(&mut ctx, order, 1, 100).unwrap();
    place(&mut ctx, order, 2, 200).unwrap();
    place(&mut ctx, order, 3, 200).unwrap();
    assert_eq!(code(place(&mut ctx, order, 4, 200)), ("market", 12));
    place(&mut ctx, order, 4, 150).unwrap();
    let left: Vec<_> = book::ranked(&ctx, order).map(|(_, who)| who).collect();
    assert_eq!(left, [provider(1), provider(4), provider(2)]);
    assert_eq!(balance(&ctx, &provider(3)), FUNDS);
    // Evicted bidders may bid again.
    place(&mut ctx, order, 3, 120).unwrap();
    assert_eq!(rates(&ctx, order), [100, 120, 150]);
}

#[test]
fn only_eligible_providers_bid() {
    let mut ctx = market();
    let requirement = |change: &dyn Fn(&mut types_pb::Requirements)| {
        let mut group = group("web");
        let mut requirements = types_pb::Requirements::default();
        change(&mut requirements);
        group.requirements = Some(requirements);
        group
    };
    let attribute = |value: &str| types_pb::Attribute { key: "region".into(), value: value.into() };
    let signed_by =
        |all_of: Vec<String>, any_of: Vec<String>| Some(types_pb::SignedBy { all_of, any_of });
    let auditor = address(50).to_string();
    let groups = [
        requirement(&|r| r.allowed_providers = vec![provider(2).to_string()]),
        requirement(&|r| r.excluded_providers = vec![provider(1).to_string()]),
        requirement(&|r| r.attributes = vec![attribute("crete")]),
        requirement(&|r| r.signed_by = signed_by(vec![auditor.clone()], Vec::new())),
        requirement(&|r| r.signed_by = signed_by(Vec::new(), vec![auditor.clone()])),
        requirement(&|r| r.min_stake = "5".to_owned()),
        requirement(&|r| r.min_reputation = 1),
    ];
    let wanted = [22, 23, 24, 25, 25, 26, 27];
    for ((dseq, group), wanted) in (1u64..).zip(groups).zip(wanted) {
        let order = post_with(&mut ctx, deployment(dseq, vec![group]));
        assert_eq!(code(place(&mut ctx, order, 1, 5)), ("market", wanted));
    }
    let order = post(&mut ctx, 50);
    let stranger = pb::MsgCreateBid { provider: tenant().to_string(), ..bid_msg(order, 1, 5) };
    assert_eq!(refusal::<CreateBid>(&mut ctx, stranger, "market"), 20);
    crate::modules::provider::set_jailed(&mut ctx, &provider(1), true).unwrap();
    assert_eq!(code(place(&mut ctx, order, 1, 5)), ("market", 21));
}

#[test]
fn a_bid_names_an_acceptable_gpu_model_for_each_unit_that_asks_for_one() {
    let mut ctx = market();
    let mut group = group("web");
    let model = |model: &str| types_pb::GpuModel { model: model.into(), ..Default::default() };
    group.resources[0].unit.as_mut().unwrap().gpu = Some(types_pb::Gpu {
        units: 1,
        vendor: "nvidia".into(),
        models: vec![model("a100"), model("h100")],
    });
    let order = post_with(&mut ctx, deployment(1, vec![group]));
    let offer = |unit: u32, model: &str| pb::GpuOffer { unit, model: model.into() };
    let refused = [
        vec![],
        vec![offer(1, "t4")],
        vec![offer(2, "a100")],
        vec![offer(1, "a100"), offer(1, "h100")],
    ];
    for gpus in refused {
        let msg = pb::MsgCreateBid { gpus, ..bid_msg(order, 1, 5) };
        assert_eq!(refusal::<CreateBid>(&mut ctx, msg, "market"), 28);
    }
    let msg = pb::MsgCreateBid { gpus: vec![offer(1, "h100")], ..bid_msg(order, 1, 5) };
    send::<CreateBid>(&mut ctx, msg).unwrap();
}

#[test]
fn a_refused_bid_changes_nothing() {
    let mut ctx = market();
    let order = post(&mut ctx, 1);
    place(&mut ctx, order, 1, 500).unwrap();
    let before = (balance(&ctx, &provider(1)), rates(&ctx, order));
    place(&mut ctx, order, 1, 500).unwrap_err();
    place(&mut ctx, order, 2, 5_000).unwrap_err();
    assert_eq!((balance(&ctx, &provider(1)), rates(&ctx, order)), before);
    assert_eq!(balance(&ctx, &provider(2)), FUNDS);
}

#[test]
fn an_open_bid_holds_its_provider_to_what_it_rests_on() {
    let mut genesis = genesis();
    genesis.provider.providers[0].stake = Amount::from_raw(100);
    genesis.auth.accounts[1].account.balances = [coin(FUNDS - 100)].into_iter().collect();
    let mut ctx = ctx_from(&genesis);
    let mut group = group("web");
    group.requirements = Some(types_pb::Requirements {
        min_stake: "60".to_owned(),
        attributes: vec![types_pb::Attribute { key: "region".into(), value: "att*".into() }],
        ..Default::default()
    });
    let order = post_with(&mut ctx, deployment(1, vec![group]));
    place(&mut ctx, order, 1, 5).unwrap();
    assert!(has_open_bid(&ctx, &provider(1)) && !has_live_lease(&ctx, &provider(1)));
    assert_eq!(least_stake_needed(&ctx, &provider(1)).raw(), 60);
    assert_eq!(requirement_lost(&ctx, &provider(1), &[]), Some(order));
    let kept = [Attribute { key: "region".into(), value: "attica-2".into() }];
    assert_eq!(requirement_lost(&ctx, &provider(1), &kept), None);
    let ctx = pass(ctx, 20);
    // As a lease it holds the stake alone.
    assert!(!has_open_bid(&ctx, &provider(1)) && has_live_lease(&ctx, &provider(1)));
    assert_eq!(least_stake_needed(&ctx, &provider(1)).raw(), 60);
    assert_eq!(requirement_lost(&ctx, &provider(1), &[]), None);
}
