use stoa_proto::audit::v1 as pb;
use stoa_proto::types::v1::Attribute as PbAttribute;

use super::{attributes, covers, DeleteAttributes, Genesis, Record, SignAttributes};
use crate::ctx::Ctx;
use crate::modules::provider;
use crate::query::Router;
use crate::testing::{address, assert_export_is_whole, ctx_with, refusal, send};
use crate::types::{Address, Attribute};
use crate::x509::forge::root;

fn auditor() -> Address {
    address(8)
}

fn provider() -> Address {
    address(1)
}

/// A state with a provider.
fn ctx() -> Ctx<'static> {
    let mut ctx = ctx_with(&[(provider(), 100), (auditor(), 100)]);
    let msg = stoa_proto::provider::v1::MsgCreateProvider {
        owner: provider().to_string(),
        host_uri: "https://p.example:8443".to_owned(),
        root_certificate: root(&provider()),
        ..Default::default()
    };
    send::<provider::Create>(&mut ctx, msg).unwrap();
    ctx.take_events();
    ctx
}

fn list(pairs: &[(&str, &str)]) -> Vec<Attribute> {
    let one = |(key, value): &(&str, &str)| Attribute {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(one).collect()
}

fn sign_msg(pairs: &[(&str, &str)]) -> pb::MsgSignProviderAttributes {
    pb::MsgSignProviderAttributes {
        auditor: auditor().to_string(),
        provider: provider().to_string(),
        attributes: list(pairs).into_iter().map(Into::into).collect(),
    }
}

fn delete_msg(keys: &[&str]) -> pb::MsgDeleteProviderAttributes {
    pb::MsgDeleteProviderAttributes {
        auditor: auditor().to_string(),
        provider: provider().to_string(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    }
}

fn signed(ctx: &Ctx<'_>) -> Option<Vec<Attribute>> {
    attributes(ctx, &auditor(), &provider())
}

#[test]
fn signing_adds_and_replaces_by_key() {
    let mut ctx = ctx();
    send::<SignAttributes>(&mut ctx, sign_msg(&[("tier", "1"), ("region", "eu")])).unwrap();
    send::<SignAttributes>(&mut ctx, sign_msg(&[("tier", "2"), ("arch", "amd64")])).unwrap();
    let wanted = list(&[("arch", "amd64"), ("region", "eu"), ("tier", "2")]);
    assert_eq!(signed(&ctx), Some(wanted));
    assert_eq!(ctx.take_events()[0].kind, "stoa.audit.v1.EventAttributesSigned");
}

#[test]
fn an_auditor_covers_what_it_has_signed() {
    let mut ctx = ctx();
    let required = list(&[("region", "eu*"), ("tier", "1")]);
    let met = |ctx: &Ctx<'_>| covers(ctx, &auditor(), &provider(), &required);
    assert!(!covers(&ctx, &auditor(), &provider(), &[]), "no record");
    send::<SignAttributes>(&mut ctx, sign_msg(&[("region", "eu-west")])).unwrap();
    assert!(!met(&ctx), "one of two");
    send::<SignAttributes>(&mut ctx, sign_msg(&[("tier", "1")])).unwrap();
    assert!(met(&ctx));
    assert!(!covers(&ctx, &address(9), &provider(), &required), "another auditor");
    assert!(!covers(&ctx, &auditor(), &address(2), &required), "another provider");
    send::<DeleteAttributes>(&mut ctx, delete_msg(&["tier"])).unwrap();
    assert!(!met(&ctx), "taken back");
}

#[test]
fn attributes_are_taken_back_by_key_or_as_a_whole() {
    let mut ctx = ctx();
    send::<SignAttributes>(&mut ctx, sign_msg(&[("a", "1"), ("b", "2"), ("c", "3")])).unwrap();
    assert_eq!(refusal::<DeleteAttributes>(&mut ctx, delete_msg(&["a", "x"]), "audit"), 5);
    assert_eq!(refusal::<DeleteAttributes>(&mut ctx, delete_msg(&["a", "a"]), "audit"), 5);
    assert_eq!(signed(&ctx).unwrap().len(), 3, "a refusal changes nothing");
    ctx.take_events();
    send::<DeleteAttributes>(&mut ctx, delete_msg(&["b"])).unwrap();
    assert_eq!(ctx.take_events()[0].kind, "stoa.audit.v1.EventAttributesDeleted");
    assert_eq!(signed(&ctx), Some(list(&[("a", "1"), ("c", "3")])));
    send::<DeleteAttributes>(&mut ctx, delete_msg(&["a", "c"])).unwrap();
    assert_eq!(signed(&ctx), None, "nothing left, no record");
    send::<SignAttributes>(&mut ctx, sign_msg(&[("a", "1")])).unwrap();
    send::<DeleteAttributes>(&mut ctx, delete_msg(&[])).unwrap();
    assert_eq!(signed(&ctx), None);
    assert_eq!(refusal::<DeleteAttributes>(&mut ctx, delete_msg(&[]), "audit"), 4);
}

#[test]
fn only_registered_providers_are_vouched_for() {
    let mut ctx = ctx();
    let unknown = pb::MsgSignProviderAttributes {
        provider: address(2).to_string(),
        ..sign_msg(&[("a", "1")])
    };
    assert_eq!(refusal::<SignAttributes>(&mut ctx, unknown, "audit"), 1);
}

#[test]
fn a_record_is_never_empty_and_is_bounded_over_all_signings() {
    let mut ctx = ctx();
    assert_eq!(refusal::<SignAttributes>(&mut ctx, sign_msg(&[]), "audit"), 2);
    let keys: Vec<String> = (0..65).map(|number| format!("key-{number}")).collect();
    let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
    send::<SignAttributes>(&mut ctx, sign_msg(&pairs[..60])).unwrap();
    send::<SignAttributes>(&mut ctx, sign_msg(&pairs[50..64])).unwrap();
    assert_eq!(refusal::<SignAttributes>(&mut ctx, sign_msg(&pairs[64..]), "audit"), 3);
}

#[test]
fn malformed_attributes_are_refused() {
    let mut ctx = ctx();
    let mut refused = |attributes: Vec<PbAttribute>| {
        let msg = pb::MsgSignProviderAttributes { attributes, ..sign_msg(&[]) };
        assert_eq!(refusal::<SignAttributes>(&mut ctx, msg, "sdk"), 18);
    };
    refused(sign_msg(&[("a", "1"), ("a", "2")]).attributes);
    refused(sign_msg(&[("gpu/*", "1")]).attributes);
    refused((0..257).flat_map(|n| sign_msg(&[(&n.to_string(), "")]).attributes).collect());
    let keys = vec!["a".to_owned(); 257];
    let msg = pb::MsgDeleteProviderAttributes { keys, ..delete_msg(&[]) };
    assert_eq!(refusal::<DeleteAttributes>(&mut ctx, msg, "sdk"), 18);
}

#[test]
fn records_are_found_by_provider_and_auditor() {
    use prost::Message as _;
    let mut ctx = ctx();
    for byte in [8, 9] {
        let auditor = address(byte).to_string();
        let msg = pb::MsgSignProviderAttributes { auditor, ..sign_msg(&[("a", "1")]) };
        send::<SignAttributes>(&mut ctx, msg).unwrap();
    }
    let block = ctx.block().clone();
    let mut store = crate::store::MemoryStore::default();
    store.apply(&ctx.into_changes());
    let ask = |auditor: String| {
        let provider = provider().to_string();
        let request = pb::QueryProviderAttributesRequest { provider, auditor, pagination: None };
        let path = "/stoa.audit.v1.Query/ProviderAttributes";
        let data = request.encode_to_vec();
        let bytes = Router::new().answer(&store, block.clone(), path, &data).unwrap();
        let response = pb::QueryProviderAttributesResponse::decode(bytes.as_slice()).unwrap();
        response.records.into_iter().map(|record| record.auditor).collect::<Vec<_>>()
    };
    let (one, two) = (address(8).to_string(), address(9).to_string());
    assert_eq!(ask(String::new()), [one, two.clone()]);
    assert_eq!(ask(two.clone()), [two]);
    assert!(ask(address(7).to_string()).is_empty());
}

#[test]
fn an_export_is_whole_and_bad_genesis_is_refused() {
    let mut ctx = ctx();
    send::<SignAttributes>(&mut ctx, sign_msg(&[("a", "1"), ("b", "2")])).unwrap();
    assert_export_is_whole(ctx);

    let record = |pairs: &[(&str, &str)]| Record {
        auditor: auditor(),
        provider: provider(),
        attributes: list(pairs),
    };
    let init =
        |records| super::init(&mut crate::testing::empty_at(1), &Genesis { records }).unwrap_err();
    let right = record(&[("a", "1")]);
    assert!(init(vec![right.clone(), right]).contains("listed twice"));
    assert!(init(vec![record(&[])]).contains("empty"));
    assert!(init(vec![record(&[("b", "1"), ("a", "1")])]).contains("sorted"));
}
