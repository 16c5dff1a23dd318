mod params;
mod rests;

use stoa_proto::provider::v1 as pb;

use super::unbonding::MAX_PER_BLOCK;
use super::{
    provider, roots, set_jailed, unbondings, unbondings_of, Create, Delete, Error, Genesis, Params,
    Stake, Unbonding, Unstake, Update,
};
use crate::ctx::Ctx;
use crate::testing::{
    address, assert_export_is_whole, balance, coin, ctx_from, ctx_with, empty_at, end_block,
    genesis_with, later, refusal, send, NOW,
};
use crate::types::{Address, Amount, Attribute, Coin, Denom};
use crate::x509::forge::{authority, root, sign, tenant};

const WEEK: u64 = 604_800;

fn owner() -> Address {
    address(1)
}

fn ctx() -> Ctx<'static> {
    ctx_with(&[(owner(), 1_000)])
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<stoa_proto::types::v1::Attribute> {
    let one = |(key, value): &(&str, &str)| stoa_proto::types::v1::Attribute {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(one).collect()
}

fn create_msg() -> pb::MsgCreateProvider {
    pb::MsgCreateProvider {
        owner: owner().to_string(),
        host_uri: "https://p.example:8443".to_owned(),
        attributes: attributes(&[("region", "eu"), ("arch", "amd64")]),
        info: Some(pb::ProviderInfo { email: "ops@p.example".to_owned(), website: String::new() }),
        root_certificate: root(&owner()),
    }
}

fn update_msg() -> pb::MsgUpdateProvider {
    let pb::MsgCreateProvider { owner, host_uri, attributes, info, .. } = create_msg();
    pb::MsgUpdateProvider {
        owner,
        host_uri,
        attributes,
        info,
        root_certificate: Vec::new(),
        revoke_earlier: false,
    }
}

fn delete_msg() -> pb::MsgDeleteProvider {
    pb::MsgDeleteProvider { owner: owner().to_string() }
}

fn stake_msg(amount: Coin) -> pb::MsgStakeProvider {
    pb::MsgStakeProvider { owner: owner().to_string(), amount: Some(amount.into()) }
}

fn unstake_msg(amount: Coin) -> pb::MsgUnstakeProvider {
    pb::MsgUnstakeProvider { owner: owner().to_string(), amount: Some(amount.into()) }
}

/// Registers a provider, for other modules' tests.
pub(crate) fn register(ctx: &mut Ctx<'_>, owner: Address) {
    let msg = pb::MsgCreateProvider {
        owner: owner.to_string(),
        root_certificate: root(&owner),
        ..create_msg()
    };
    send::<Create>(ctx, msg).unwrap();
}

/// Adds to its stake.
pub(crate) fn stake(ctx: &mut Ctx<'_>, owner: Address, amount: u128) {
    let msg = pb::MsgStakeProvider { owner: owner.to_string(), amount: Some(coin(amount).into()) };
    send::<Stake>(ctx, msg).unwrap();
}

/// A state with a provider, and its root.
fn registered() -> (Ctx<'static>, Vec<u8>) {
    let mut ctx = ctx();
    let msg = create_msg();
    let root = msg.root_certificate.clone();
    send::<Create>(&mut ctx, msg).unwrap();
    ctx.take_events();
    (ctx, root)
}

#[test]
fn registering_writes_what_was_said() {
    let mut ctx = ctx();
    let msg = create_msg();
    send::<Create>(&mut ctx, msg.clone()).unwrap();
    assert_eq!(ctx.take_events()[0].kind, "stoa.provider.v1.EventProviderCreated");
    let found = provider(&ctx, &owner()).unwrap();
    assert_eq!(found.host_uri, msg.host_uri);
    assert_eq!(found.attributes[0].key, "arch", "sorted");
    assert_eq!((found.email.as_str(), found.website.as_str()), ("ops@p.example", ""));
    assert_eq!(found.root_certificate, msg.root_certificate);
    assert_eq!((found.jailed, found.created_at), (false, NOW));
    assert!(found.stake.is_zero());
    assert_eq!(refusal::<Create>(&mut ctx, create_msg(), "provider"), 2);
}

#[test]
fn host_uri_attributes_and_info_are_bounded() {
    let mut ctx = ctx();
    let plain = pb::MsgCreateProvider { host_uri: "http://p.example:1".to_owned(), ..create_msg() };
    assert_eq!(refusal::<Create>(&mut ctx, plain, "provider"), 3);
    let long = format!("https://{}:1", "p.".repeat(130));
    let long = pb::MsgCreateProvider { host_uri: long, ..create_msg() };
    assert_eq!(refusal::<Create>(&mut ctx, long, "sdk"), 18);
    let keys: Vec<String> = (0..65).map(|number| format!("key-{number}")).collect();
    let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
    let most = pb::MsgCreateProvider { attributes: attributes(&pairs[..64]), ..create_msg() };
    let many = pb::MsgCreateProvider { attributes: attributes(&pairs), ..create_msg() };
    assert_eq!(refusal::<Create>(&mut ctx, many, "provider"), 4);
    let info = Some(pb::ProviderInfo { email: "e".repeat(257), website: String::new() });
    let info = pb::MsgCreateProvider { info, ..create_msg() };
    assert_eq!(refusal::<Create>(&mut ctx, info, "sdk"), 18);
    send::<Create>(&mut ctx, most).unwrap();
}

#[test]
fn a_root_is_the_owners_ca_and_valid_now() {
    let mut ctx = ctx();
    let mut code = |root_certificate: Vec<u8>| {
        let msg = pb::MsgCreateProvider { root_certificate, ..create_msg() };
        refusal::<Create>(&mut ctx, msg, "provider")
    };
    assert_eq!(code(Vec::new()), 102);
    assert_eq!(code(vec![0x30; 4_097]), 101);
    assert_eq!(code(root(&address(2))), 106);
    assert_eq!(code(tenant(&owner())), 113);
    let mut params = authority(&owner());
    params.not_before = rcgen::date_time_ymd(2030, 1, 1);
    assert_eq!(code(sign(&params)), 107);
}

#[test]
fn an_update_replaces_the_profile_and_keeps_the_root() {
    let (mut ctx, root) = registered();
    let msg = pb::MsgUpdateProvider {
        host_uri: "https://[::1]:1".to_owned(),
        attributes: Vec::new(),
        info: None,
        ..update_msg()
    };
    send::<Update>(&mut ctx, msg).unwrap();
    let event = &ctx.take_events()[0];
    assert_eq!(event.kind, "stoa.provider.v1.EventProviderUpdated");
    assert_eq!(event.attributes[1], ("root_rotated".to_owned(), "false".to_owned()));
    let found = provider(&ctx, &owner()).unwrap();
    assert_eq!((found.host_uri.as_str(), found.email.as_str()), ("https://[::1]:1", ""));
    assert!(found.attributes.is_empty());
    assert_eq!(roots(&ctx, &owner()), Some(vec![root]));
}

#[test]
fn an_update_is_of_a_registered_provider_with_a_uri() {
    let mut ctx = ctx();
    assert_eq!(refusal::<Update>(&mut ctx, update_msg(), "provider"), 1);
    let empty = pb::MsgUpdateProvider { host_uri: String::new(), ..update_msg() };
    assert_eq!(refusal::<Update>(&mut ctx, empty, "provider"), 3);
    assert_eq!(roots(&ctx, &owner()), None);
}

fn rotation(root_certificate: &[u8], revoke_earlier: bool) -> pb::MsgUpdateProvider {
    let root_certificate = root_certificate.to_vec();
    pb::MsgUpdateProvider { root_certificate, revoke_earlier, ..update_msg() }
}

#[test]
fn the_earlier_root_lasts_for_the_overlap() {
    let (mut ctx, first) = registered();
    let second = root(&owner());
    send::<Update>(&mut ctx, rotation(&second, false)).unwrap();
    assert_eq!(roots(&ctx, &owner()), Some(vec![second.clone(), first.clone()]));
    let ctx = later(ctx, WEEK - 1);
    assert_eq!(roots(&ctx, &owner()), Some(vec![second.clone(), first]));
    let ctx = later(ctx, 1);
    assert_eq!(roots(&ctx, &owner()), Some(vec![second]));
}

#[test]
fn a_second_rotation_drops_the_root_before() {
    let (mut ctx, first) = registered();
    let (second, third) = (root(&owner()), root(&owner()));
    send::<Update>(&mut ctx, rotation(&second, false)).unwrap();
    send::<Update>(&mut ctx, rotation(&third, false)).unwrap();
    let valid = roots(&ctx, &owner()).unwrap();
    assert_eq!(valid, [third, second]);
    assert!(!valid.contains(&first));
}

#[test]
fn revoking_drops_the_earlier_root_at_once() {
    let (mut ctx, _) = registered();
    let (second, third) = (root(&owner()), root(&owner()));
    send::<Update>(&mut ctx, rotation(&second, true)).unwrap();
    assert_eq!(roots(&ctx, &owner()), Some(vec![second.clone()]), "with the rotation");
    send::<Update>(&mut ctx, rotation(&third, false)).unwrap();
    assert_eq!(roots(&ctx, &owner()).unwrap().len(), 2);
    send::<Update>(&mut ctx, rotation(&[], true)).unwrap();
    assert_eq!(roots(&ctx, &owner()), Some(vec![third]), "after it");
}

#[test]
fn a_root_is_rotated_to_another_that_is_right() {
    let (mut ctx, first) = registered();
    assert_eq!(refusal::<Update>(&mut ctx, rotation(&first, false), "provider"), 5);
    let others = rotation(&root(&address(2)), false);
    assert_eq!(refusal::<Update>(&mut ctx, others, "provider"), 106);
    assert_eq!(roots(&ctx, &owner()), Some(vec![first]), "a refusal changes nothing");
}

#[test]
fn stake_moves_from_the_account_and_comes_back_after_unbonding() {
    let (mut ctx, _) = registered();
    send::<Stake>(&mut ctx, stake_msg(coin(600))).unwrap();
    assert_eq!(balance(&ctx, &owner()), 400);
    let event = ctx.take_events().pop().unwrap();
    assert_eq!(event.kind, "stoa.provider.v1.EventProviderStake");
    assert_eq!(event.attributes[1], ("stake".to_owned(), "600ustoa".to_owned()));

    let response = send::<Unstake>(&mut ctx, unstake_msg(coin(200))).unwrap();
    assert_eq!(response.completes_at, NOW + WEEK);
    assert_eq!(provider(&ctx, &owner()).unwrap().stake, Amount::from_raw(400));
    let mut ctx = later(ctx, WEEK - 1);
    end_block(&mut ctx);
    assert_eq!(balance(&ctx, &owner()), 400, "not yet");
    let mut ctx = later(ctx, 1);
    end_block(&mut ctx);
    assert_eq!(balance(&ctx, &owner()), 600);
    assert_eq!(unbondings(&ctx).count(), 0);
}

#[test]
fn stake_is_some_of_the_stake_denom_and_is_there() {
    let (mut ctx, _) = registered();
    let other = Coin::new(Denom::try_from("uatom").unwrap(), Amount::from_raw(1));
    assert_eq!(refusal::<Stake>(&mut ctx, stake_msg(other.clone()), "provider"), 10);
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(other), "provider"), 10);
    assert_eq!(refusal::<Stake>(&mut ctx, stake_msg(coin(0)), "provider"), 12);
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(0)), "provider"), 12);
    assert_eq!(refusal::<Stake>(&mut ctx, stake_msg(coin(1_001)), "sdk"), 5);
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(1)), "provider"), 11);
    let none = pb::MsgStakeProvider { owner: owner().to_string(), amount: None };
    assert_eq!(refusal::<Stake>(&mut ctx, none, "sdk"), 18);
    let mut ctx = self::ctx();
    assert_eq!(refusal::<Stake>(&mut ctx, stake_msg(coin(1)), "provider"), 1);
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(1)), "provider"), 1);
}

#[test]
fn unbondings_of_a_provider_are_few_and_merge_within_a_second() {
    let (mut ctx, _) = registered();
    send::<Stake>(&mut ctx, stake_msg(coin(100))).unwrap();
    for _ in 0..7 {
        send::<Unstake>(&mut ctx, unstake_msg(coin(1))).unwrap();
        send::<Unstake>(&mut ctx, unstake_msg(coin(1))).unwrap();
        ctx = later(ctx, 1);
    }
    assert_eq!(unbondings_of(&ctx, &owner()).count(), 7);
    assert!(unbondings_of(&ctx, &owner()).all(|found| found.amount == Amount::from_raw(2)));
    assert_eq!(refusal::<Unstake>(&mut ctx, unstake_msg(coin(1)), "provider"), 13);
    assert_eq!(refusal::<Delete>(&mut ctx, delete_msg(), "provider"), 13);
    let mut ctx = later(ctx, WEEK - 7);
    end_block(&mut ctx);
    assert_eq!(unbondings_of(&ctx, &owner()).count(), 6, "the first has completed");
    send::<Unstake>(&mut ctx, unstake_msg(coin(1))).unwrap();
}

#[test]
fn a_block_pays_out_so_many_and_the_next_the_rest() {
    let many = MAX_PER_BLOCK as u128 + 5;
    let mut genesis = genesis_with(&[(owner(), 1_000)]);
    let one = |number: u128| {
        let mut bytes = [0; Address::LEN];
        bytes[4..].copy_from_slice(&number.to_be_bytes());
        let provider = Address::new(bytes);
        Unbonding { provider, completes_at: NOW, amount: Amount::from_raw(1) }
    };
    genesis.provider.unbondings = (1..=many).map(one).collect();
    genesis.bank.supply = [coin(1_000 + many)].into_iter().collect();
    let mut ctx = ctx_from(&genesis);
    end_block(&mut ctx);
    assert_eq!(unbondings(&ctx).count(), 5);
    let mut ctx = later(ctx, 1);
    end_block(&mut ctx);
    assert_eq!(unbondings(&ctx).count(), 0);
    assert_eq!(balance(&ctx, &one(many).provider), 1);
}

#[test]
fn a_deleted_providers_stake_unbonds() {
    let (mut ctx, _) = registered();
    send::<Stake>(&mut ctx, stake_msg(coin(600))).unwrap();
    ctx.take_events();
    send::<Delete>(&mut ctx, delete_msg()).unwrap();
    assert_eq!(ctx.take_events()[0].kind, "stoa.provider.v1.EventProviderDeleted");
    assert_eq!(provider(&ctx, &owner()), None);
    assert_eq!(refusal::<Delete>(&mut ctx, delete_msg(), "provider"), 1);
    send::<Create>(&mut ctx, create_msg()).unwrap();
    assert!(provider(&ctx, &owner()).unwrap().stake.is_zero(), "it begins anew");
    let mut ctx = later(ctx, WEEK);
    end_block(&mut ctx);
    assert_eq!(balance(&ctx, &owner()), 1_000);
}

#[test]
fn a_jailed_provider_cannot_free_itself_by_registering_anew() {
    let (mut ctx, _) = registered();
    assert_eq!(set_jailed(&mut ctx, &address(2), true), Err(Error::UnknownProvider(address(2))));
    set_jailed(&mut ctx, &owner(), true).unwrap();
    let event = &ctx.take_events()[0];
    assert_eq!(event.kind, "stoa.provider.v1.EventProviderJailed");
    assert_eq!(event.attributes[1], ("jailed".to_owned(), "true".to_owned()));
    assert!(provider(&ctx, &owner()).unwrap().jailed);
    assert_eq!(refusal::<Delete>(&mut ctx, delete_msg(), "provider"), 14);
    send::<Update>(&mut ctx, update_msg()).unwrap();
    assert!(provider(&ctx, &owner()).unwrap().jailed, "an update does not free it");
    set_jailed(&mut ctx, &owner(), false).unwrap();
    send::<Delete>(&mut ctx, delete_msg()).unwrap();
}

#[test]
fn what_is_checked_of_a_certificate_costs_gas() {
    let mut ctx = ctx();
    ctx.set_meter(crate::gas::Meter::unlimited());
    send::<Create>(&mut ctx, create_msg()).unwrap();
    assert!(ctx.meter().used() >= crate::gas::VERIFY_CERTIFICATE);
}

#[test]
fn an_export_is_whole() {
    let (mut ctx, _) = registered();
    send::<Update>(&mut ctx, rotation(&root(&owner()), false)).unwrap();
    send::<Stake>(&mut ctx, stake_msg(coin(600))).unwrap();
    send::<Unstake>(&mut ctx, unstake_msg(coin(200))).unwrap();
    set_jailed(&mut ctx, &owner(), true).unwrap();
    assert_export_is_whole(ctx);
}

#[test]
fn bad_genesis_is_refused() {
    let (ctx, _) = registered();
    let right = provider(&ctx, &owner()).unwrap();
    let init = |genesis: Genesis| super::init(&mut empty_at(1), &genesis).unwrap_err();
    let with = |providers| Genesis { providers, ..Genesis::default() };
    assert!(init(with(vec![right.clone(), right.clone()])).contains("listed twice"));
    let mut wrong = right.clone();
    wrong.root_certificate = tenant(&owner());
    assert!(init(with(vec![wrong])).contains("no CA"));
    let mut wrong = right.clone();
    wrong.attributes.reverse();
    assert!(init(with(vec![wrong])).contains("sorted"));
    let mut wrong = right;
    wrong.host_uri = "p.example".to_owned();
    assert!(init(with(vec![wrong])).contains("https"));
    let amount = Amount::from_raw(1);
    let unbonding = Unbonding { provider: owner(), completes_at: 1, amount };
    let unbondings = vec![unbonding, unbonding];
    assert!(init(Genesis { unbondings, ..Genesis::default() }).contains("listed twice"));
    let bound = |change: fn(&mut Params)| {
        let mut params = Params::default();
        change(&mut params);
        init(Genesis { params, ..Genesis::default() })
    };
    assert!(bound(|params| params.max_certificate_bytes = 4_097).contains("4096"));
    assert!(bound(|params| params.max_attributes = 257).contains("256"));
}

#[test]
fn invariants_see_a_lost_index_and_lost_stake() {
    let (mut ctx, _) = registered();
    send::<Stake>(&mut ctx, stake_msg(coin(600))).unwrap();
    send::<Unstake>(&mut ctx, unstake_msg(coin(200))).unwrap();
    assert!(crate::modules::check_invariants(&ctx).is_empty());
    ctx.remove(super::keys::unbonding_of(&owner(), NOW + WEEK));
    assert!(crate::modules::check_invariants(&ctx)[0].contains("index"));
    let mut found = provider(&ctx, &owner()).unwrap();
    found.stake = Amount::ZERO;
    found.attributes = vec![
        Attribute { key: "b".to_owned(), value: String::new() },
        Attribute { key: "a".to_owned(), value: String::new() },
    ];
    super::put(&mut ctx, &found);
    let broken = crate::modules::check_invariants(&ctx).join("; ");
    assert!(broken.contains("not sorted") && broken.contains("supply of ustoa"), "{broken}");
}

fn ask<Q: prost::Message, R: prost::Message + Default>(
    ctx: Ctx<'static>,
    method: &str,
    request: &Q,
) -> Result<R, crate::error::Failure> {
    let block = ctx.block().clone();
    let mut store = crate::store::MemoryStore::default();
    store.apply(&ctx.into_changes());
    let path = format!("/stoa.provider.v1.Query/{method}");
    let router = crate::query::Router::new();
    let bytes = router.answer(&store, block, &path, &request.encode_to_vec())?;
    Ok(R::decode(bytes.as_slice()).unwrap())
}

#[test]
fn a_provider_is_shown_with_its_roots_and_unbondings() {
    let rotated = || {
        let (mut ctx, first) = registered();
        let second = root(&owner());
        send::<Update>(&mut ctx, rotation(&second, false)).unwrap();
        send::<Stake>(&mut ctx, stake_msg(coin(600))).unwrap();
        send::<Unstake>(&mut ctx, unstake_msg(coin(200))).unwrap();
        (ctx, first, second)
    };
    let request = pb::QueryProviderRequest { owner: owner().to_string() };
    let (ctx, first, second) = rotated();
    let answer: pb::QueryProviderResponse = ask(ctx, "Provider", &request).unwrap();
    let found = answer.provider.unwrap();
    assert_eq!((found.root_certificate, found.earlier_root), (second, first));
    assert_eq!((found.earlier_root_until, found.stake.as_str()), (NOW + WEEK, "400"));
    assert_eq!((found.live_leases, found.open_bids), (0, 0));
    assert_eq!(found.info.unwrap().email, "ops@p.example");
    let unbonding = &answer.unbondings[0];
    assert_eq!((unbonding.completes_at, unbonding.amount.as_str()), (NOW + WEEK, "200"));

    let after = later(rotated().0, WEEK);
    let answer: pb::QueryProviderResponse = ask(after, "Provider", &request).unwrap();
    let found = answer.provider.unwrap();
    assert!(found.earlier_root.is_empty() && found.earlier_root_until == 0, "no longer valid");

    let missing = pb::QueryProviderRequest { owner: address(2).to_string() };
    let refused = ask::<_, pb::QueryProviderResponse>(rotated().0, "Provider", &missing);
    assert_eq!(refused.unwrap_err().code, 38);
}

#[test]
fn providers_and_parameters_are_shown() {
    let list = pb::QueryProvidersRequest { pagination: None };
    let answer: pb::QueryProvidersResponse = ask(registered().0, "Providers", &list).unwrap();
    assert_eq!(answer.providers.len(), 1);
    assert_eq!(answer.providers[0].owner, owner().to_string());
    let none = pb::QueryParamsRequest {};
    let answer: pb::QueryParamsResponse = ask(registered().0, "Params", &none).unwrap();
    let wanted = pb::Params {
        root_overlap: WEEK,
        unbonding: WEEK,
        max_certificate_bytes: 4_096,
        max_attributes: 64,
        max_unbondings: 7,
    };
    assert_eq!(answer.params, Some(wanted));
}
