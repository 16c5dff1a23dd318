//! Parameters that governance changes, and its word on a provider.

use super::*;
use crate::modules::gov;
use crate::modules::provider::{params, SetJailed, UpdateParams};

/// A parameter's name, and how it is set wrong.
type Case<P> = (&'static str, fn(&mut P));

fn message(params: Params) -> pb::MsgUpdateParams {
    let authority = gov::authority().to_string();
    pb::MsgUpdateParams { authority, params: Some(params.into()) }
}

fn set(ctx: &mut Ctx<'_>, change: impl FnOnce(&mut Params)) {
    let mut params = params(ctx);
    change(&mut params);
    send::<UpdateParams>(ctx, message(params)).unwrap();
}

#[test]
fn parameters_out_of_bounds_are_refused_by_name() {
    let mut ctx = ctx();
    let cases: [Case<Params>; 7] = [
        ("max_certificate_bytes", |p| p.max_certificate_bytes = 0),
        ("max_certificate_bytes", |p| p.max_certificate_bytes = 1 << 20),
        ("max_attributes", |p| p.max_attributes = 257),
        ("max_unbondings", |p| p.max_unbondings = 0),
        ("max_unbondings", |p| p.max_unbondings = 1_001),
        ("unbonding", |p| p.unbonding = u64::MAX),
        ("root_overlap", |p| p.root_overlap = u64::MAX),
    ];
    for (name, change) in cases {
        let mut params = params(&ctx);
        change(&mut params);
        let Err(failure) = send::<UpdateParams>(&mut ctx, message(params)) else {
            panic!("{name}")
        };
        assert!(failure.code == 18 && failure.message.contains(name), "{failure}");
    }
    let missing = pb::MsgUpdateParams { params: None, ..message(params(&ctx)) };
    assert_eq!(refusal::<UpdateParams>(&mut ctx, missing, "sdk"), 18);
    let authority = owner().to_string();
    let stranger = pb::MsgUpdateParams { authority, ..message(params(&ctx)) };
    assert_eq!(refusal::<UpdateParams>(&mut ctx, stranger, "sdk"), 4);
    let kept = Params { unbonding: 5, ..Params::default() };
    assert_eq!(Params::try_from(pb::Params::from(kept.clone())), Ok(kept));
}

#[test]
fn stake_on_its_way_keeps_its_time_and_new_takes_the_new_one() {
    let (mut ctx, _) = registered();
    send::<Stake>(&mut ctx, stake_msg(coin(900))).unwrap();
    let first = send::<Unstake>(&mut ctx, unstake_msg(coin(100))).unwrap().completes_at;
    set(&mut ctx, |p| p.unbonding = 60);
    let mut ctx = later(ctx, 1);
    let second = send::<Unstake>(&mut ctx, unstake_msg(coin(200))).unwrap().completes_at;
    assert_eq!((first, second), (NOW + WEEK, NOW + 61));
    let mut ctx = later(ctx, 60);
    end_block(&mut ctx);
    assert_eq!(balance(&ctx, &owner()), 100 + 200);
    let mut ctx = later(ctx, WEEK);
    end_block(&mut ctx);
    assert_eq!(balance(&ctx, &owner()), 100 + 300);
}

#[test]
fn more_unbondings_than_a_lowered_bound_are_paid_and_no_more_begin() {
    let (mut ctx, _) = registered();
    send::<Stake>(&mut ctx, stake_msg(coin(900))).unwrap();
    for _ in 0..3 {
        send::<Unstake>(&mut ctx, unstake_msg(coin(100))).unwrap();
        ctx = later(ctx, 1);
    }
    set(&mut ctx, |p| p.max_unbondings = 1);
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(1)), "provider"), 13);
    let mut ctx = later(ctx, WEEK);
    end_block(&mut ctx);
    assert_eq!(balance(&ctx, &owner()), 100 + 300);
    send::<Unstake>(&mut ctx, unstake_msg(coin(1))).unwrap();
    assert_export_is_whole(ctx);
}

#[test]
fn a_provider_with_more_attributes_than_a_lowered_bound_stays_until_it_changes_them() {
    let (mut ctx, _) = registered();
    set(&mut ctx, |p| p.max_attributes = 1);
    assert_eq!(refusal::<Update>(&mut ctx, update_msg(), "provider"), 4);
    assert_eq!(provider(&ctx, &owner()).unwrap().attributes.len(), 2);
    let fewer = pb::MsgUpdateProvider { attributes: attributes(&[("a", "b")]), ..update_msg() };
    send::<Update>(&mut ctx, fewer).unwrap();
    assert_export_is_whole(ctx);
}

#[test]
fn an_earlier_root_keeps_its_time() {
    let (mut ctx, _) = registered();
    let root = root(&owner());
    let rotate = pb::MsgUpdateProvider { root_certificate: root, ..update_msg() };
    send::<Update>(&mut ctx, rotate).unwrap();
    set(&mut ctx, |p| p.root_overlap = 0);
    assert_eq!(roots(&ctx, &owner()).unwrap().len(), 2);
    let ctx = later(ctx, WEEK);
    assert_eq!(roots(&ctx, &owner()).unwrap().len(), 1);
}

#[test]
fn governance_jails_and_frees_a_provider() {
    let (mut ctx, _) = registered();
    let msg = |jailed| pb::MsgSetProviderJailed {
        authority: gov::authority().to_string(),
        provider: owner().to_string(),
        jailed,
    };
    send::<SetJailed>(&mut ctx, msg(true)).unwrap();
    assert!(provider(&ctx, &owner()).unwrap().jailed);
    send::<SetJailed>(&mut ctx, msg(false)).unwrap();
    assert!(!provider(&ctx, &owner()).unwrap().jailed);
    let unknown = pb::MsgSetProviderJailed { provider: address(7).to_string(), ..msg(true) };
    assert_eq!(refusal::<SetJailed>(&mut ctx, unknown, "provider"), 1);
    let stranger = pb::MsgSetProviderJailed { authority: owner().to_string(), ..msg(true) };
    assert_eq!(refusal::<SetJailed>(&mut ctx, stranger, "sdk"), 4);
}

#[test]
fn the_sum_of_stakes_follows_each_change() {
    let (mut ctx, _) = registered();
    let total = |ctx: &Ctx<'_>| crate::modules::provider::total_stake(ctx).raw();
    send::<Stake>(&mut ctx, stake_msg(coin(900))).unwrap();
    assert_eq!(total(&ctx), 900);
    send::<Unstake>(&mut ctx, unstake_msg(coin(300))).unwrap();
    assert_eq!(total(&ctx), 600);
    let mut ctx = later(ctx, 1);
    send::<Delete>(&mut ctx, delete_msg()).unwrap();
    assert_eq!(total(&ctx), 0);
    assert_export_is_whole(ctx);
}
