//! Parameters of the engine: their bounds, and who sets them.

use cosmos_sdk_proto::tendermint::google::protobuf::Duration;
use stoa_proto::consensus::v1 as pb;

use super::*;
use crate::modules::gov;
use crate::testing::{address, ask, assert_export_is_whole, ctx_with, refusal, send};

fn message(params: &Params) -> pb::MsgUpdateParams {
    let proto = cosmos_sdk_proto::tendermint::types::ConsensusParams::from(params.clone());
    pb::MsgUpdateParams {
        authority: gov::authority().to_string(),
        block: proto.block,
        evidence: proto.evidence,
        validator: proto.validator,
        abci: proto.abci,
    }
}

fn other() -> Params {
    Params {
        max_block_bytes: MAX_BLOCK_BYTES,
        max_block_gas: None,
        max_evidence_age_blocks: 7,
        max_evidence_age_nanos: 3_000_000_005,
        max_evidence_bytes: MAX_BLOCK_BYTES,
    }
}

#[test]
fn governance_sets_them_and_they_are_told_and_exported() {
    let mut ctx = ctx_with(&[]);
    let before = params(&ctx);
    assert_eq!(changed(&ctx, &before), None);
    send::<UpdateParams>(&mut ctx, message(&other())).unwrap();
    assert_eq!(changed(&ctx, &before), Some(other()));
    assert_eq!(max_block_gas(&ctx), u64::MAX);
    let path = "/cosmos.consensus.v1.Query/Params";
    let told: pb::QueryParamsResponse = ask(&ctx, path, &pb::QueryParamsRequest {}).unwrap();
    let told = told.params.unwrap();
    assert_eq!(told.block.unwrap().max_gas, -1);
    let age = told.evidence.unwrap().max_age_duration.unwrap();
    assert_eq!(age, Duration { seconds: 3, nanos: 5 });
    assert_eq!(told.validator.unwrap().pub_key_types, ["ed25519"]);
    assert_export_is_whole(ctx);
}

#[test]
fn nobody_else_sets_them() {
    let mut ctx = ctx_with(&[]);
    let authority = address(1).to_string();
    let stranger = pb::MsgUpdateParams { authority, ..message(&other()) };
    assert_eq!(refusal::<UpdateParams>(&mut ctx, stranger, "sdk"), 4);
    assert_eq!(params(&ctx), Params::default());
}

#[test]
fn what_the_engine_would_stop_on_is_refused_by_name() {
    type Spoil = fn(&mut pb::MsgUpdateParams);
    let cases: [(&str, Spoil); 18] = [
        ("block", |m| m.block = None),
        ("evidence", |m| m.evidence = None),
        ("validator", |m| m.validator = None),
        ("block.max_bytes", |m| m.block.as_mut().unwrap().max_bytes = 0),
        ("block.max_bytes", |m| m.block.as_mut().unwrap().max_bytes = -1),
        ("block.max_bytes", |m| m.block.as_mut().unwrap().max_bytes = 104_857_601),
        ("block.max_gas", |m| m.block.as_mut().unwrap().max_gas = 0),
        ("block.max_gas", |m| m.block.as_mut().unwrap().max_gas = -2),
        ("block.max_gas", |m| m.block.as_mut().unwrap().max_gas = 999_999),
        ("max_age_num_blocks", |m| m.evidence.as_mut().unwrap().max_age_num_blocks = 0),
        ("max_age_duration", |m| m.evidence.as_mut().unwrap().max_age_duration = None),
        ("max_age_duration", |m| {
            let age = Duration { seconds: i64::MAX, nanos: 0 };
            m.evidence.as_mut().unwrap().max_age_duration = Some(age);
        }),
        ("max_age_duration", |m| {
            let age = Duration { seconds: 1, nanos: -1 };
            m.evidence.as_mut().unwrap().max_age_duration = Some(age);
        }),
        ("evidence.max_bytes", |m| m.evidence.as_mut().unwrap().max_bytes = -1),
        ("evidence.max_bytes", |m| m.evidence.as_mut().unwrap().max_bytes = (4 << 20) + 1),
        ("pub_key_types", |m| m.validator.as_mut().unwrap().pub_key_types.clear()),
        ("pub_key_types", |m| {
            m.validator.as_mut().unwrap().pub_key_types = vec!["secp256k1".to_owned()];
        }),
        ("vote_extensions", |m| m.abci.as_mut().unwrap().vote_extensions_enable_height = 9),
    ];
    let mut ctx = ctx_with(&[]);
    for (name, spoil) in cases {
        let mut msg = message(&Params::default());
        spoil(&mut msg);
        let Err(failure) = send::<UpdateParams>(&mut ctx, msg) else { panic!("{name}") };
        assert!(failure.code == 18 && failure.message.contains(name), "{name}: {failure}");
    }
    let without_abci = pb::MsgUpdateParams { abci: None, ..message(&Params::default()) };
    send::<UpdateParams>(&mut ctx, without_abci).unwrap();
}
