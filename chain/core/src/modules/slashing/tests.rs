//! Downtime, double signing, and the way out of jail.

use cosmos_sdk_proto::cosmos::slashing::v1beta1 as pb;

use super::*;
use crate::input::{Misbehavior, Vote};
use crate::modules::staking::tests::{
    chain_of, consensus, create, delegate, document, end, of, undelegate, valoper, FUNDS,
    UNBONDING, VOTE,
};
use crate::modules::staking::{CreateValidator, Delegate, Undelegate};
use crate::testing::{address, assert_export_is_whole, ctx_from, later, refusal, send};
use crate::types::Dec;

const WINDOW: u64 = 20;
const JAIL: u64 = 60;

/// Validators 1 and 2 with so many votes; a window of 20 blocks, of which 10
/// may be missed.
fn chain() -> Ctx<'static> {
    let mut document = document();
    document.slashing.params.signed_blocks_window = WINDOW;
    document.slashing.params.downtime_jail_duration = JAIL;
    let mut ctx = ctx_from(&document);
    send::<CreateValidator>(&mut ctx, create(1, 10 * VOTE)).unwrap();
    send::<CreateValidator>(&mut ctx, create(2, 5 * VOTE)).unwrap();
    end(&mut ctx);
    later(ctx, 1)
}

/// A block whose commit has the votes of 1 and 2, or not.
fn block(ctx: Ctx<'static>, signed: [bool; 2]) -> Ctx<'static> {
    let mut ctx = ctx;
    let vote =
        |number: u8, power: u64, signed: bool| Vote { validator: consensus(number), power, signed };
    let votes = vec![vote(1, 10, signed[0]), vote(2, 5, signed[1])];
    let input = BlockInput { votes, ..ctx.block().clone().into() };
    begin_block(&mut ctx, &input);
    end(&mut ctx);
    later(ctx, 1)
}

fn blocks(mut ctx: Ctx<'static>, count: u64, signed: [bool; 2]) -> Ctx<'static> {
    for _ in 0..count {
        ctx = block(ctx, signed);
    }
    ctx
}

fn shown(ctx: &Ctx<'_>, number: u8, power: u64, age: u64) -> BlockInput {
    let shown = Misbehavior {
        validator: consensus(number),
        power,
        height: ctx.height() - 1,
        time: ctx.now() - age,
    };
    BlockInput { misbehavior: vec![shown], ..ctx.block().clone().into() }
}

fn info(ctx: &Ctx<'_>, number: u8) -> SigningInfo {
    signing_info(ctx, &consensus(number)).unwrap()
}

fn unjail(number: u8) -> pb::MsgUnjail {
    pb::MsgUnjail { validator_addr: valoper(number) }
}

#[test]
fn a_block_that_everybody_signed_writes_nothing() {
    let mut ctx = chain();
    let votes = [(1, 10), (2, 5)].map(|(number, power)| Vote {
        validator: consensus(number),
        power,
        signed: true,
    });
    let input = BlockInput { votes: votes.to_vec(), ..ctx.block().clone().into() };
    let before = ctx.meter().used();
    begin_block(&mut ctx, &input);
    // A write alone costs more than these few reads.
    let used = ctx.meter().used() - before;
    assert!(used < 3 * crate::gas::READ + 3 * crate::gas::WRITE / 4, "{used}");
    let unchanged = ctx.into_changes();
    let ctx = chain();
    assert!(unchanged == ctx.into_changes());
}

#[test]
fn so_many_blocks_of_a_window_may_be_missed_and_not_one_more() {
    let ctx = blocks(chain(), WINDOW, [true, true]);
    let ctx = blocks(ctx, 10, [false, true]);
    assert_eq!(info(&ctx, 1).missed, 10);
    assert!(!of(&ctx, 1).jailed);
    let ctx = block(ctx, [false, true]);
    let punished_at = ctx.now() - 1;
    assert!(of(&ctx, 1).jailed);
    assert_eq!(of(&ctx, 1).tokens.raw(), 10 * VOTE - 100_000, "a hundredth");
    assert_eq!(info(&ctx, 1).jailed_until, punished_at + JAIL);
    assert_eq!(info(&ctx, 1).missed, 0, "it begins anew");
    assert_eq!(of(&ctx, 2).tokens.raw(), 5 * VOTE);
    // Its votes count no more until it is back.
    let ctx = blocks(ctx, WINDOW, [false, true]);
    assert_eq!(info(&ctx, 1).missed, 0);
    assert_eq!(of(&ctx, 1).tokens.raw(), 10 * VOTE - 100_000);
    assert_export_is_whole(ctx);
}

#[test]
fn a_miss_is_forgotten_when_its_place_comes_again() {
    let ctx = blocks(chain(), WINDOW, [true, true]);
    let ctx = blocks(ctx, 7, [false, true]);
    assert_eq!(info(&ctx, 1).missed, 7);
    let ctx = blocks(ctx, WINDOW - 7, [true, true]);
    assert_eq!(info(&ctx, 1).missed, 7);
    let ctx = blocks(ctx, 3, [true, true]);
    assert_eq!(info(&ctx, 1).missed, 4);
    let ctx = blocks(ctx, 4, [true, true]);
    assert_eq!(info(&ctx, 1).missed, 0);
    assert_eq!(ctx.prefix(&keys::missed()).count(), 0);
}

#[test]
fn nobody_is_punished_before_a_full_window_has_passed() {
    let ctx = chain();
    let start = info(&ctx, 1).start_height;
    let mut ctx = ctx;
    while ctx.height() <= start + WINDOW {
        assert!(!of(&ctx, 1).jailed);
        ctx = block(ctx, [false, true]);
    }
    assert!(!of(&ctx, 1).jailed);
    let ctx = block(ctx, [false, true]);
    assert!(of(&ctx, 1).jailed);
}

#[test]
fn a_window_of_another_length_is_counted_anew() {
    let ctx = blocks(chain(), WINDOW, [true, true]);
    let mut ctx = blocks(ctx, 9, [false, true]);
    let params = Params { signed_blocks_window: 8, ..params(&ctx) };
    let update = pb::MsgUpdateParams {
        authority: crate::modules::gov::authority().to_string(),
        params: Some(params.into()),
    };
    send::<UpdateParams>(&mut ctx, update).unwrap();
    let ctx = block(ctx, [false, true]);
    assert_eq!((info(&ctx, 1).missed, info(&ctx, 1).window), (1, 8));
    let ctx = blocks(ctx, 8, [false, true]);
    assert!(!of(&ctx, 1).jailed);
    let ctx = block(ctx, [false, true]);
    assert!(of(&ctx, 1).jailed);
    assert_export_is_whole(ctx);
}

#[test]
fn a_window_over_several_chunks_is_exported_whole() {
    let mut document = document();
    document.slashing.params.signed_blocks_window = 3_000;
    let mut ctx = ctx_from(&document);
    send::<CreateValidator>(&mut ctx, create(1, 10 * VOTE)).unwrap();
    end(&mut ctx);
    let mut info = info(&ctx, 1);
    for place in [0, 7, 8, 1_023, 1_024, 2_999] {
        records::set_missed(&mut ctx, &consensus(1), place, true);
        info.missed += 1;
    }
    info.window = 3_000;
    records::put_info(&mut ctx, &consensus(1), &info);
    assert_eq!(export(&ctx).signing_infos[0].missed, [0, 7, 8, 1_023, 1_024, 2_999]);
    assert_eq!(crate::modules::check_invariants(&ctx), Vec::<String>::new());
    assert_export_is_whole(ctx);
}

#[test]
fn a_jailed_validator_comes_back_when_its_time_is_over() {
    let ctx = blocks(chain(), WINDOW, [true, true]);
    let mut ctx = blocks(ctx, 11, [false, true]);
    assert_eq!(refusal::<Unjail>(&mut ctx, unjail(1), "slashing"), 4);
    assert_eq!(refusal::<Unjail>(&mut ctx, unjail(2), "slashing"), 5);
    assert_eq!(refusal::<Unjail>(&mut ctx, unjail(9), "slashing"), 2);
    let left = info(&ctx, 1).jailed_until - ctx.now();
    let mut ctx = later(ctx, left);
    send::<Unjail>(&mut ctx, unjail(1)).unwrap();
    assert_eq!(end(&mut ctx), [(1, 9)]);
    assert_eq!(info(&ctx, 1).start_height, ctx.height());
    // And has a full window before it is punished again.
    let ctx = later(ctx, 1);
    let ctx = blocks(ctx, WINDOW, [false, true]);
    assert!(!of(&ctx, 1).jailed);
    assert!(of(&block(ctx, [false, true]), 1).jailed);
}

#[test]
fn an_operator_needs_what_it_promised_to_come_back() {
    let mut ctx = chain_of(&[10 * VOTE, 5 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, VOTE)).unwrap();
    send::<Undelegate>(&mut ctx, undelegate(1, 1, 10 * VOTE)).unwrap();
    assert!(of(&ctx, 1).jailed);
    end(&mut ctx);
    assert_eq!(refusal::<Unjail>(&mut ctx, unjail(1), "slashing"), 6);
    let promise = cosmos_sdk_proto::cosmos::staking::v1beta1::MsgCreateValidator {
        min_self_delegation: VOTE.to_string(),
        ..create(3, VOTE)
    };
    send::<CreateValidator>(&mut ctx, promise).unwrap();
    send::<Undelegate>(&mut ctx, undelegate(3, 3, 1)).unwrap();
    assert_eq!(refusal::<Unjail>(&mut ctx, unjail(3), "slashing"), 7);
    send::<Delegate>(&mut ctx, delegate(3, 3, 1)).unwrap();
    send::<Unjail>(&mut ctx, unjail(3)).unwrap();
    assert_eq!(end(&mut ctx), [(3, 1)]);
}

#[test]
fn a_double_signer_is_slashed_once_and_stays_out() {
    let mut ctx = blocks(chain(), 5, [true, true]);
    let input = shown(&ctx, 1, 10, 3);
    begin_block(&mut ctx, &input);
    begin_block(&mut ctx, &input);
    assert_eq!(of(&ctx, 1).tokens.raw(), 10 * VOTE - 500_000, "five of a hundred");
    assert!(is_tombstoned(&ctx, &consensus(1)));
    assert_eq!(info(&ctx, 1).jailed_until, FOREVER);
    assert_eq!(end(&mut ctx), [(1, 0)]);
    assert_eq!(refusal::<Unjail>(&mut ctx, unjail(1), "slashing"), 4);
    let mut ctx = later(ctx, 10 * UNBONDING);
    end(&mut ctx);
    assert_eq!(refusal::<Unjail>(&mut ctx, unjail(1), "slashing"), 4);
    // Gone, its key stays out; its operator may come with another.
    send::<Undelegate>(&mut ctx, undelegate(1, 1, 10 * VOTE - 500_000)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    assert_eq!(staking::validator(&ctx, &address(1)), None);
    assert_eq!(refusal::<CreateValidator>(&mut ctx, create(1, VOTE), "staking"), 5);
    let other_key = cosmos_sdk_proto::cosmos::staking::v1beta1::MsgCreateValidator {
        pubkey: create(9, VOTE).pubkey,
        ..create(1, VOTE)
    };
    send::<CreateValidator>(&mut ctx, other_key).unwrap();
    end(&mut ctx);
    assert_export_is_whole(ctx);
}

#[test]
fn old_misbehavior_and_that_of_free_stake_or_strangers_is_ignored() {
    let ctx = chain();
    let mut ctx = later(ctx, 2 * UNBONDING);
    let input = shown(&ctx, 1, 10, UNBONDING + 1);
    begin_block(&mut ctx, &input);
    let input = shown(&ctx, 9, 10, 1);
    begin_block(&mut ctx, &input);
    assert!(!of(&ctx, 1).jailed);
    let input = shown(&ctx, 1, 10, UNBONDING);
    begin_block(&mut ctx, &input);
    assert!(of(&ctx, 1).jailed);
    staking::jail(&mut ctx, &consensus(2));
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    send::<CreateValidator>(&mut ctx, create(3, VOTE)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    let input = shown(&ctx, 2, 5, 1);
    begin_block(&mut ctx, &input);
    assert_eq!(of(&ctx, 2).tokens.raw(), 5 * VOTE);
    assert!(!is_tombstoned(&ctx, &consensus(2)));
}

#[test]
fn what_undelegates_before_its_double_signing_is_shown_pays_its_part() {
    let ctx = blocks(chain(), 3, [true, true]);
    let mut ctx = later(ctx, 1);
    let infraction = Misbehavior {
        validator: consensus(1),
        power: 10,
        height: ctx.height() - 1,
        time: ctx.now() - 1,
    };
    send::<Undelegate>(&mut ctx, undelegate(1, 1, 4 * VOTE)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    let input = BlockInput { misbehavior: vec![infraction], ..ctx.block().clone().into() };
    begin_block(&mut ctx, &input);
    let unbonding = staking::unbonding(&ctx, &address(1), &address(1)).unwrap();
    assert_eq!(unbonding.balance().raw(), 4 * VOTE - 200_000);
    assert_eq!(of(&ctx, 1).tokens.raw(), 6 * VOTE - 300_000);
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    assert_eq!(crate::testing::balance(&ctx, &address(1)), FUNDS - 10 * VOTE + 4 * VOTE - 200_000);
}

#[test]
fn the_only_validator_stays_though_it_is_jailed_and_votes_again_when_unjailed() {
    let mut ctx = chain_of(&[10 * VOTE]);
    let input = shown(&ctx, 1, 10, 1);
    begin_block(&mut ctx, &input);
    assert_eq!(end(&mut ctx), [], "the engine refuses an empty set");
    assert!(of(&ctx, 1).is_bonded() && of(&ctx, 1).jailed);
    let mut ctx = later(ctx, 1);
    send::<CreateValidator>(&mut ctx, create(2, VOTE)).unwrap();
    assert_eq!(end(&mut ctx), [(2, 1), (1, 0)]);
}

#[test]
fn events_say_who_missed_and_who_was_slashed() {
    let ctx = blocks(chain(), WINDOW, [true, true]);
    let mut ctx = blocks(ctx, 10, [false, true]);
    let absent = Vote { validator: consensus(1), power: 10, signed: false };
    let input = BlockInput { votes: vec![absent], ..ctx.block().clone().into() };
    ctx.take_events();
    begin_block(&mut ctx, &input);
    let events = ctx.take_events();
    let of_kind = |kind: &str| events.iter().find(|event| event.kind == kind).unwrap();
    let has = |kind: &str, name: &str, value: &str| {
        let attributes = &of_kind(kind).attributes;
        assert!(attributes.contains(&(name.to_owned(), value.to_owned())), "{attributes:?}");
    };
    let whose = consensus(1).to_string();
    has("liveness", "address", &whose);
    has("liveness", "missed_blocks", "11");
    has("slash", "address", &whose);
    has("slash", "power", "10");
    has("slash", "reason", "missing_signature");
    has("slash", "jailed", &whose);
    has("slash", "burned_coins", "100000ustoa");
}

#[test]
fn parameters_that_the_chain_cannot_have_are_refused() {
    let mut ctx = chain();
    let gov = crate::modules::gov::authority().to_string();
    let good = pb::Params::from(Params::default());
    type Spoil = fn(&mut pb::Params);
    let cases: [Spoil; 6] = [
        |p| p.signed_blocks_window = 0,
        |p| p.signed_blocks_window = -1,
        |p| p.min_signed_per_window = b"1000000000000000001".to_vec(),
        |p| p.slash_fraction_downtime = b"0.1".to_vec(),
        |p| p.slash_fraction_double_sign = Vec::new(),
        |p| p.downtime_jail_duration = None,
    ];
    for (index, spoil) in cases.into_iter().enumerate() {
        let mut params = good.clone();
        spoil(&mut params);
        let msg = pb::MsgUpdateParams { authority: gov.clone(), params: Some(params) };
        assert_eq!(refusal::<UpdateParams>(&mut ctx, msg, "sdk"), 18, "case {index}");
    }
    let authority = address(1).to_string();
    let msg = pb::MsgUpdateParams { authority, params: Some(good.clone()) };
    assert_eq!(refusal::<UpdateParams>(&mut ctx, msg, "sdk"), 4);
    let msg = pb::MsgUpdateParams { authority: gov, params: Some(good) };
    send::<UpdateParams>(&mut ctx, msg).unwrap();
    assert_eq!(params(&ctx), Params::default());
    assert_eq!(Params::default().max_missed(), 50);
    let odd = Params {
        signed_blocks_window: 21,
        min_signed_per_window: Dec::percent(50),
        ..Params::default()
    };
    assert_eq!(odd.max_missed(), 10);
}

#[test]
fn queries_tell_parameters_and_records() {
    use crate::query::Router;
    use prost::Message as _;
    let ctx = blocks(chain(), 3, [false, true]);
    let block = ctx.block().clone();
    let mut store = crate::store::MemoryStore::default();
    store.apply(&ctx.into_changes());
    let router = Router::new();
    let ask = |method: &str, data: Vec<u8>| {
        let path = format!("/cosmos.slashing.v1beta1.Query/{method}");
        router.answer(&store, block.clone(), &path, &data)
    };
    let request = pb::QuerySigningInfoRequest { cons_address: consensus(1).to_string() };
    let found = ask("SigningInfo", request.encode_to_vec()).unwrap();
    let found = pb::QuerySigningInfoResponse::decode(found.as_slice()).unwrap();
    let found = found.val_signing_info.unwrap();
    assert_eq!(found.missed_blocks_counter, 3);
    assert_eq!(found.jailed_until.as_ref().unwrap().seconds, 0);
    let unknown = pb::QuerySigningInfoRequest { cons_address: consensus(9).to_string() };
    assert_eq!(ask("SigningInfo", unknown.encode_to_vec()).unwrap_err().code, 38);
    let all = ask("SigningInfos", Vec::new()).unwrap();
    let all = pb::QuerySigningInfosResponse::decode(all.as_slice()).unwrap();
    assert_eq!(all.info.len(), 2);
    assert!(all.info.contains(&found));
    let params = ask("Params", Vec::new()).unwrap();
    let params = pb::QueryParamsResponse::decode(params.as_slice()).unwrap().params.unwrap();
    assert_eq!(params.signed_blocks_window, 20);
    assert_eq!(params.min_signed_per_window, b"500000000000000000");
}
