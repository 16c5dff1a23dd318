#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use cosmos_sdk_proto::cosmos::base::v1beta1::Coin as PbCoin;
use cosmos_sdk_proto::cosmos::feegrant::v1beta1 as pb;
use cosmos_sdk_proto::tendermint::google::protobuf::{Duration, Timestamp};
use cosmos_sdk_proto::Any;
use prost::{Message as _, Name};

use super::*;
use crate::query::Router;
use crate::store::MemoryStore;
use crate::testing::{
    address, assert_export_is_whole, coin, ctx_with, end_block, later, refusal, send, NOW,
};

const SEND: &str = "/cosmos.bank.v1beta1.MsgSend";

fn any<M: prost::Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn coins(amount: u128) -> Vec<PbCoin> {
    if amount == 0 {
        Vec::new()
    } else {
        vec![coin(amount).into()]
    }
}

fn fee(amount: u128) -> Coins {
    [coin(amount)].into_iter().collect()
}

fn at(seconds: u64) -> Option<Timestamp> {
    Some(crate::types::timestamp(seconds))
}

/// 0: no limit.
fn basic(limit: u128, expiration: Option<Timestamp>) -> pb::BasicAllowance {
    pb::BasicAllowance { spend_limit: coins(limit), expiration }
}

fn periodic(whole: u128, period: i64, limit: u128, reset: u64) -> pb::PeriodicAllowance {
    pb::PeriodicAllowance {
        basic: Some(basic(whole, None)),
        period: Some(Duration { seconds: period, nanos: 0 }),
        period_spend_limit: coins(limit),
        period_can_spend: coins(limit),
        period_reset: at(reset),
    }
}

fn grant_of(allowance: Any) -> pb::MsgGrantAllowance {
    pb::MsgGrantAllowance {
        granter: address(1).to_string(),
        grantee: address(2).to_string(),
        allowance: Some(allowance),
    }
}

fn revoke() -> pb::MsgRevokeAllowance {
    pb::MsgRevokeAllowance { granter: address(1).to_string(), grantee: address(2).to_string() }
}

fn ctx_granting(allowance: Any) -> Ctx<'static> {
    let mut ctx = ctx_with(&[(address(1), 1_000_000)]);
    send::<GrantAllowance>(&mut ctx, grant_of(allowance)).unwrap();
    ctx.take_events();
    ctx
}

fn pay(ctx: &mut Ctx<'_>, amount: u128) -> Result<(), (&'static str, u32)> {
    let messages = [SEND.to_owned()];
    let paid =
        ctx.attempt(|ctx| super::spend(ctx, &address(1), &address(2), &fee(amount), &messages));
    paid.map_err(|why| (why.codespace, why.code))
}

fn granted(ctx: &Ctx<'_>) -> Option<Allowance> {
    find(ctx, &address(1), &address(2))
}

fn kinds(ctx: &mut Ctx<'_>) -> Vec<String> {
    ctx.take_events().into_iter().map(|event| event.kind).collect()
}

#[test]
fn a_basic_allowance_is_spent_down_and_goes_when_nothing_is_left() {
    let mut ctx = ctx_granting(any(&basic(100, None)));
    pay(&mut ctx, 60).unwrap();
    assert_eq!(kinds(&mut ctx), ["use_feegrant", "update_feegrant"]);
    assert_eq!(pay(&mut ctx, 41), Err(("feegrant", 2)));
    assert_eq!(granted(&ctx).unwrap().basic.spend_limit, fee(40));
    pay(&mut ctx, 40).unwrap();
    assert_eq!(kinds(&mut ctx), ["use_feegrant", "revoke_feegrant"]);
    assert_eq!(granted(&ctx), None);
    assert_eq!(pay(&mut ctx, 1), Err(("sdk", 38)));
    later(ctx, 1);
}

#[test]
fn an_allowance_without_a_limit_pays_any_fee() {
    let mut ctx = ctx_granting(any(&basic(0, None)));
    pay(&mut ctx, u128::MAX).unwrap();
    pay(&mut ctx, u128::MAX).unwrap();
}

#[test]
fn a_fee_in_a_denom_that_the_limit_does_not_name_is_over_it() {
    let mut ctx = ctx_granting(any(&basic(100, None)));
    let other = crate::types::Coin::new("uother".try_into().unwrap(), coin(1).amount);
    let fee: Coins = [other].into_iter().collect();
    let refused = super::spend(&mut ctx, &address(1), &address(2), &fee, &[]).unwrap_err();
    assert_eq!((refused.codespace, refused.code), ("feegrant", 2), "{refused}");
    assert!(refused.message.contains("does not allow to pay fees for"), "{refused}");
}

#[test]
fn a_periodic_allowance_gives_its_limit_anew_each_period_and_steps_by_periods() {
    let mut ctx = ctx_granting(any(&periodic(250, 100, 100, NOW + 100)));
    pay(&mut ctx, 70).unwrap();
    assert_eq!(pay(&mut ctx, 31), Err(("feegrant", 2)));
    let mut ctx = later(ctx, 100);
    pay(&mut ctx, 100).unwrap();
    assert_eq!(granted(&ctx).unwrap().periodic.unwrap().reset_at, NOW + 200);
    assert_eq!(pay(&mut ctx, 1), Err(("feegrant", 2)));
    // The whole limit has 80 left: a period gives no more.
    let mut ctx = later(ctx, 350);
    assert_eq!(pay(&mut ctx, 81), Err(("feegrant", 2)));
    pay(&mut ctx, 30).unwrap();
    assert_eq!(granted(&ctx).unwrap().periodic.unwrap().reset_at, NOW + 450 + 100);
    pay(&mut ctx, 50).unwrap();
    assert_eq!(granted(&ctx), None);
}

#[test]
fn an_allowance_for_messages_pays_only_where_all_of_the_transaction_are_listed() {
    let allowance = pb::AllowedMsgAllowance {
        allowance: Some(any(&basic(100, None))),
        allowed_messages: vec![SEND.to_owned()],
    };
    let mut ctx = ctx_granting(any(&allowance));
    let messages = [SEND.to_owned(), "/cosmos.gov.v1.MsgVote".to_owned()];
    let refused = super::spend(&mut ctx, &address(1), &address(2), &fee(1), &messages);
    assert_eq!(refused.unwrap_err().code, 7);
    pay(&mut ctx, 100).unwrap();
    assert_eq!(granted(&ctx), None);
}

#[test]
fn an_allowance_holds_through_its_last_second_and_is_pruned_after_it() {
    let mut ctx = ctx_granting(any(&basic(100, at(NOW + 10))));
    let mut ctx = {
        pay(&mut ctx, 1).unwrap();
        later(ctx, 10)
    };
    pay(&mut ctx, 1).unwrap();
    end_block(&mut ctx);
    assert!(granted(&ctx).is_some());
    let mut ctx = later(ctx, 1);
    assert_eq!(pay(&mut ctx, 1), Err(("feegrant", 3)));
    assert!(granted(&ctx).is_some());
    end_block(&mut ctx);
    assert_eq!(granted(&ctx), None);
    later(ctx, 1);
}

#[test]
fn a_block_and_a_message_prune_a_bounded_number() {
    let mut ctx = ctx_with(&[(address(1), 1_000)]);
    for number in 0..300u16 {
        let mut bytes = [9; 20];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let grantee = Address::new(bytes).to_string();
        let allowance = any(&basic(100, at(NOW)));
        send::<GrantAllowance>(&mut ctx, pb::MsgGrantAllowance { grantee, ..grant_of(allowance) })
            .unwrap();
    }
    let mut ctx = later(ctx, 1);
    let pruner = address(1).to_string();
    send::<PruneAllowances>(&mut ctx, pb::MsgPruneAllowances { pruner }).unwrap();
    assert_eq!(all(&ctx).count(), 225);
    end_block(&mut ctx);
    assert_eq!(all(&ctx).count(), 25);
    end_block(&mut ctx);
    assert_eq!(all(&ctx).count(), 0);
}

#[test]
fn granting_makes_the_grantees_account_and_happens_once() {
    let mut ctx = ctx_with(&[(address(1), 1_000)]);
    send::<GrantAllowance>(&mut ctx, grant_of(any(&basic(5, None)))).unwrap();
    assert_eq!(kinds(&mut ctx), ["set_feegrant"]);
    assert!(crate::modules::auth::account(&ctx, &address(2)).is_some());
    let again = grant_of(any(&basic(6, None)));
    assert_eq!(refusal::<GrantAllowance>(&mut ctx, again, "sdk"), 18);
    send::<RevokeAllowance>(&mut ctx, revoke()).unwrap();
    assert_eq!(kinds(&mut ctx), ["revoke_feegrant"]);
    assert_eq!(refusal::<RevokeAllowance>(&mut ctx, revoke(), "sdk"), 38);
    later(ctx, 1);
}

#[test]
fn allowances_that_are_wrong_in_themselves_are_refused_by_their_codes() {
    let mut ctx = ctx_with(&[(address(1), 1_000)]);
    let listed = |allowance: Option<Any>, messages: &[&str]| {
        let allowed_messages = messages.iter().map(|text| (*text).to_owned()).collect();
        any(&pb::AllowedMsgAllowance { allowance, allowed_messages })
    };
    let inner = || Some(any(&basic(5, None)));
    let before = Some(Timestamp { seconds: -1, nanos: 0 });
    let mixed = pb::PeriodicAllowance {
        period_spend_limit: vec![PbCoin { denom: "uother".to_owned(), amount: "1".to_owned() }],
        ..periodic(100, 10, 10, NOW)
    };
    for (allowance, codespace, code) in [
        (any(&basic(5, at(NOW - 1))), "sdk", 18),
        (any(&basic(5, before)), "feegrant", 4),
        (any(&periodic(100, 0, 10, NOW)), "feegrant", 4),
        (any(&periodic(100, -5, 10, NOW)), "feegrant", 4),
        (any(&periodic(100, 10, 0, NOW)), "sdk", 10),
        (any(&mixed), "sdk", 10),
        (listed(inner(), &[]), "feegrant", 6),
        (listed(None, &[SEND]), "feegrant", 5),
        (listed(Some(listed(inner(), &[SEND])), &[SEND]), "sdk", 18),
        (listed(inner(), &[SEND; 65]), "sdk", 18),
        (listed(inner(), &[&"x".repeat(129)]), "sdk", 18),
        (Any { type_url: "/other".to_owned(), value: vec![] }, "sdk", 18),
        // An unknown field within the allowance.
        (Any { value: vec![0x78, 1], ..any(&basic(0, None)) }, "sdk", 2),
    ] {
        let text = format!("{allowance:?}");
        assert_eq!(
            refusal::<GrantAllowance>(&mut ctx, grant_of(allowance), codespace),
            code,
            "{text}"
        );
    }
    let to_itself =
        pb::MsgGrantAllowance { grantee: address(1).to_string(), ..grant_of(any(&basic(5, None))) };
    assert_eq!(refusal::<GrantAllowance>(&mut ctx, to_itself, "sdk"), 7);
    let without = pb::MsgGrantAllowance { allowance: None, ..grant_of(any(&basic(5, None))) };
    assert_eq!(refusal::<GrantAllowance>(&mut ctx, without, "feegrant"), 5);
}

#[test]
fn each_kind_of_allowance_reads_back_as_it_was_granted_and_by_both_parties() {
    let listed = pb::AllowedMsgAllowance {
        allowance: Some(any(&periodic(100, 10, 10, NOW + 5))),
        allowed_messages: vec![SEND.to_owned()],
    };
    for allowance in [any(&basic(5, at(NOW + 9))), any(&periodic(0, 10, 10, NOW)), any(&listed)] {
        let ctx = ctx_granting(allowance.clone());
        let block = ctx.block().clone();
        let mut store = MemoryStore::default();
        store.apply(&ctx.into_changes());
        let router = Router::new();
        let ask = |method: &str, data: Vec<u8>| {
            let path = format!("/cosmos.feegrant.v1beta1.Query/{method}");
            router.answer(&store, block.clone(), &path, &data)
        };
        let (granter, grantee) = (address(1).to_string(), address(2).to_string());
        let wanted = pb::Grant {
            granter: granter.clone(),
            grantee: grantee.clone(),
            allowance: Some(allowance),
        };
        let request =
            pb::QueryAllowanceRequest { granter: granter.clone(), grantee: grantee.clone() };
        let answer = ask("Allowance", request.encode_to_vec()).unwrap();
        let answer = pb::QueryAllowanceResponse::decode(answer.as_slice()).unwrap();
        assert_eq!(answer.allowance, Some(wanted.clone()));
        let request = pb::QueryAllowancesRequest { grantee: grantee.clone(), pagination: None };
        let answer = ask("Allowances", request.encode_to_vec()).unwrap();
        let answer = pb::QueryAllowancesResponse::decode(answer.as_slice()).unwrap();
        assert_eq!(answer.allowances, vec![wanted.clone()]);
        let request = pb::QueryAllowancesByGranterRequest { granter, pagination: None };
        let answer = ask("AllowancesByGranter", request.encode_to_vec()).unwrap();
        let answer = pb::QueryAllowancesByGranterResponse::decode(answer.as_slice()).unwrap();
        assert_eq!(answer.allowances, [wanted]);
        let other =
            pb::QueryAllowanceRequest { granter: grantee.clone(), grantee: address(1).to_string() };
        assert_eq!(ask("Allowance", other.encode_to_vec()).unwrap_err().code, 38);
    }
}

#[test]
fn an_export_of_allowances_is_whole() {
    let mut ctx = ctx_granting(any(&periodic(250, 100, 100, NOW + 100)));
    let listed = pb::AllowedMsgAllowance {
        allowance: Some(any(&basic(5, at(NOW + 9)))),
        allowed_messages: vec![SEND.to_owned()],
    };
    let back = pb::MsgGrantAllowance {
        granter: address(2).to_string(),
        grantee: address(1).to_string(),
        allowance: Some(any(&listed)),
    };
    send::<GrantAllowance>(&mut ctx, back).unwrap();
    pay(&mut ctx, 33).unwrap();
    assert_export_is_whole(ctx);
}

#[test]
fn an_index_entry_without_its_allowance_is_a_broken_invariant() {
    let mut ctx = ctx_granting(any(&basic(5, None)));
    ctx.remove(keys::allowance(&address(1), &address(2)));
    assert_eq!(crate::modules::check_invariants(&ctx).len(), 1);
}
