use cosmos_sdk_proto::{
    cosmos::{
        auth::v1beta1::{BaseAccount, QueryAccountResponse},
        bank::v1beta1::{MsgSend, QueryAllBalancesResponse},
        base::{
            query::v1beta1::PageResponse,
            v1beta1::{Coin, DecCoin},
        },
        crypto::secp256k1,
        distribution::v1beta1::QueryCommunityPoolResponse,
        mint::v1beta1::QueryInflationResponse,
        staking::v1beta1::{
            Commission, CommissionRates, Description, MsgEditValidator, Params,
            QueryValidatorResponse, Validator,
        },
        tx::{
            signing::v1beta1::SignMode,
            v1beta1::{
                mode_info::{Single, Sum},
                AuthInfo, Fee, GetTxResponse, ModeInfo, SignerInfo, Tx, TxBody,
            },
        },
    },
    traits::MessageExt,
    Any,
};
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::{json, Value as Json};
use stoa_proto::{Duration, Timestamp};

use super::{Schema, MAX_ANY_DEPTH};

fn coin(amount: &str) -> Coin {
    Coin { denom: "ustoa".to_owned(), amount: amount.to_owned() }
}

fn write<M: Message + Name>(message: &M) -> Json {
    let schema = Schema::new().unwrap();
    let of = schema.pool().get_message_by_name(&M::full_name()).unwrap();
    let message = DynamicMessage::decode(of, message.encode_to_vec().as_slice()).unwrap();
    serde_json::from_slice(&schema.write(&message)).unwrap()
}

fn key() -> Any {
    let key = secp256k1::PubKey { key: vec![1, 2, 3] };
    Any { type_url: "/cosmos.crypto.secp256k1.PubKey".to_owned(), value: key.encode_to_vec() }
}

#[test]
fn an_account_is_written_with_its_kind_and_its_key() {
    let account = BaseAccount {
        address: "stoa1x".to_owned(),
        pub_key: Some(key()),
        account_number: 7,
        sequence: 0,
    };
    let account = Any {
        type_url: "/cosmos.auth.v1beta1.BaseAccount".to_owned(),
        value: account.to_bytes().unwrap(),
    };
    assert_eq!(
        write(&QueryAccountResponse { account: Some(account) }),
        json!({ "account": {
            "@type": "/cosmos.auth.v1beta1.BaseAccount",
            "address": "stoa1x",
            "pub_key": { "@type": "/cosmos.crypto.secp256k1.PubKey", "key": "AQID" },
            "account_number": "7",
            "sequence": "0",
        } })
    );
}

#[test]
fn an_account_without_a_key_has_null_in_its_place() {
    let account = write(&BaseAccount { address: "stoa1x".to_owned(), ..Default::default() });
    assert_eq!(account["pub_key"], Json::Null);
}

#[test]
fn the_last_page_has_no_next_key_and_others_have_it_in_base64() {
    let page = |next_key: &[u8]| {
        write(&QueryAllBalancesResponse {
            balances: vec![coin("12")],
            pagination: Some(PageResponse { next_key: next_key.to_vec(), total: 3 }),
        })
    };
    assert_eq!(
        page(&[]),
        json!({
            "balances": [{ "denom": "ustoa", "amount": "12" }],
            "pagination": { "next_key": null, "total": "3" },
        })
    );
    assert_eq!(page(&[0xfb, 0xff])["pagination"]["next_key"], "+/8=");
    let none = write(&QueryAllBalancesResponse::default());
    assert_eq!(none, json!({ "balances": [], "pagination": null }));
}

#[test]
fn a_validator_is_written_with_decimals_and_the_name_of_its_state() {
    let rate = |text: &str| text.to_owned();
    let validator = Validator {
        operator_address: "stoavaloper1x".to_owned(),
        consensus_pubkey: None,
        jailed: false,
        status: 3,
        tokens: "1000000".to_owned(),
        delegator_shares: "1000000000000000000000000".to_owned(),
        description: Some(Description { moniker: "val".to_owned(), ..Default::default() }),
        unbonding_height: 0,
        unbonding_time: Some(Timestamp { seconds: 0, nanos: 0 }),
        commission: Some(Commission {
            commission_rates: Some(CommissionRates {
                rate: rate("100000000000000000"),
                max_rate: rate("1000000000000000000"),
                max_change_rate: rate("10000000000000000"),
            }),
            update_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 120_000_000 }),
        }),
        min_self_delegation: "1".to_owned(),
        unbonding_on_hold_ref_count: 0,
        unbonding_ids: vec![3],
    };
    assert_eq!(
        write(&QueryValidatorResponse { validator: Some(validator) }),
        json!({ "validator": {
            "operator_address": "stoavaloper1x",
            "consensus_pubkey": null,
            "jailed": false,
            "status": "BOND_STATUS_BONDED",
            "tokens": "1000000",
            "delegator_shares": "1000000.000000000000000000",
            "description": {
                "moniker": "val", "identity": "", "website": "", "security_contact": "",
                "details": "",
            },
            "unbonding_height": "0",
            "unbonding_time": "1970-01-01T00:00:00Z",
            "commission": {
                "commission_rates": {
                    "rate": "0.100000000000000000",
                    "max_rate": "1.000000000000000000",
                    "max_change_rate": "0.010000000000000000",
                },
                "update_time": "2023-11-14T22:13:20.120Z",
            },
            "min_self_delegation": "1",
            "unbonding_on_hold_ref_count": "0",
            "unbonding_ids": ["3"],
        } })
    );
}

#[test]
fn decimals_in_bytes_and_in_coins_are_written_alike() {
    let inflation = QueryInflationResponse { inflation: b"130000000000000000".to_vec() };
    assert_eq!(write(&inflation), json!({ "inflation": "0.130000000000000000" }));
    let pool = DecCoin { denom: "ustoa".to_owned(), amount: "1500000000000000000".to_owned() };
    assert_eq!(
        write(&QueryCommunityPoolResponse { pool: vec![pool] }),
        json!({ "pool": [{ "denom": "ustoa", "amount": "1.500000000000000000" }] })
    );
    // What is left out is no zero: a validator's edit without a rate leaves the rate.
    assert_eq!(write(&MsgEditValidator::default())["commission_rate"], Json::Null);
}

#[test]
fn spans_are_seconds() {
    let params = Params {
        unbonding_time: Some(Duration { seconds: 1_814_400, nanos: 0 }),
        max_validators: 100,
        ..Default::default()
    };
    let params = write(&params);
    assert_eq!(params["unbonding_time"], "1814400s");
    assert_eq!(params["max_validators"], 100);
}

#[test]
fn a_transaction_is_written_with_its_messages_and_what_the_rust_type_lacks() {
    let send = MsgSend {
        from_address: "stoa1a".to_owned(),
        to_address: "stoa1b".to_owned(),
        amount: vec![coin("5")],
    };
    let body = TxBody {
        messages: vec![Any {
            type_url: "/cosmos.bank.v1beta1.MsgSend".to_owned(),
            value: send.encode_to_vec(),
        }],
        memo: "hi".to_owned(),
        ..Default::default()
    };
    let auth_info = AuthInfo {
        signer_infos: vec![SignerInfo {
            public_key: Some(key()),
            mode_info: Some(ModeInfo {
                sum: Some(Sum::Single(Single { mode: SignMode::Direct.into() })),
            }),
            sequence: 9,
        }],
        fee: Some(Fee { amount: vec![coin("1")], gas_limit: 200_000, ..Default::default() }),
        ..Default::default()
    };
    let tx = Tx { body: Some(body), auth_info: Some(auth_info), signatures: vec![vec![255]] };
    assert_eq!(
        write(&GetTxResponse { tx: Some(tx), tx_response: None }),
        json!({
            "tx": {
                "body": {
                    "messages": [{
                        "@type": "/cosmos.bank.v1beta1.MsgSend",
                        "from_address": "stoa1a",
                        "to_address": "stoa1b",
                        "amount": [{ "denom": "ustoa", "amount": "5" }],
                    }],
                    "memo": "hi",
                    "timeout_height": "0",
                    "unordered": false,
                    "timeout_timestamp": null,
                    "extension_options": [],
                    "non_critical_extension_options": [],
                },
                "auth_info": {
                    "signer_infos": [{
                        "public_key": { "@type": "/cosmos.crypto.secp256k1.PubKey", "key": "AQID" },
                        "mode_info": { "single": { "mode": "SIGN_MODE_DIRECT" } },
                        "sequence": "9",
                    }],
                    "fee": {
                        "amount": [{ "denom": "ustoa", "amount": "1" }],
                        "gas_limit": "200000", "payer": "", "granter": "",
                    },
                    "tip": null,
                },
                "signatures": ["/w=="],
            },
            "tx_response": null,
        })
    );
}

#[test]
fn what_is_unknown_or_nested_too_deep_stays_base64() {
    let wrap = |inner: &Any| Any {
        type_url: "/google.protobuf.Any".to_owned(),
        value: inner.encode_to_vec(),
    };
    let unknown = Any { type_url: "/other.chain.Msg".to_owned(), value: vec![1] };
    let account = |pub_key: Any| BaseAccount { pub_key: Some(pub_key), ..Default::default() };
    let written = write(&account(unknown.clone()));
    assert_eq!(written["pub_key"], json!({ "@type": "/other.chain.Msg", "value": "AQ==" }));
    let deep = (0..1_000).fold(unknown, |inner, _| wrap(&inner));
    let mut at = &write(&account(deep))["pub_key"];
    let mut depth = 0;
    while at["value"].is_object() {
        (at, depth) = (&at["value"], depth + 1);
    }
    assert_eq!(depth, MAX_ANY_DEPTH);
    assert!(at["value"].is_string());
}

/// A message with a value in every field; of a oneof in the first.
fn filled(of: &MessageDescriptor, depth: u32) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    match of.full_name() {
        "google.protobuf.Any" => {
            message.set_field_by_name("type_url", Value::String(key().type_url));
            message.set_field_by_name("value", Value::Bytes(key().value.into()));
            return message;
        }
        "google.protobuf.Timestamp" | "google.protobuf.Duration" => {
            message.set_field_by_name("seconds", Value::I64(1_700_000_000));
            message.set_field_by_name("nanos", Value::I32(5));
            return message;
        }
        _ => {}
    }
    for field in of.fields() {
        let first = field
            .containing_oneof()
            .is_none_or(|oneof| oneof.fields().next().is_some_and(|first| first == field));
        if first {
            if let Some(value) = value(&field, depth) {
                message.set_field(&field, value);
            }
        }
    }
    message
}

fn value(field: &FieldDescriptor, depth: u32) -> Option<Value> {
    let decimal = field.options().extensions().any(|(option, _)| option.name() == "dec");
    let one = match field.kind() {
        Kind::Message(of) => Value::Message(filled(&of, depth.checked_sub(1)?)),
        Kind::Enum(of) => Value::EnumNumber(of.values().last()?.number()),
        Kind::Bool => Value::Bool(true),
        Kind::String if decimal => Value::String("1230000000000000001".to_owned()),
        Kind::Bytes if decimal => Value::Bytes(b"-7".to_vec().into()),
        Kind::String => Value::String("a \"b\" \\ \u{7} é".to_owned()),
        Kind::Bytes => Value::Bytes(vec![0, 255, 254].into()),
        Kind::Int32 => Value::I32(i32::MIN),
        Kind::Int64 => Value::I64(i64::MIN),
        Kind::Uint32 => Value::U32(u32::MAX),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(u64::MAX),
        Kind::Sfixed64 => Value::I64(i64::MAX),
        other => panic!("{}: {other:?} is not written yet", field.full_name()),
    };
    Some(if field.is_list() { Value::List(vec![one]) } else { one })
}

#[test]
fn every_message_comes_back_as_it_went() {
    let schema = Schema::new().unwrap();
    let ours = |of: &MessageDescriptor| !of.package_name().starts_with("google.");
    let mut seen = 0;
    for of in schema.pool().all_messages().filter(ours) {
        let sent = filled(&of, 3);
        let json: Json = serde_json::from_slice(&schema.write(&sent)).unwrap();
        let back = schema.read(&of, &json).unwrap_or_else(|e| panic!("{}: {e}", of.full_name()));
        assert!(sent == back, "{}: {json}", of.full_name());
        seen += 1;
    }
    assert!(seen > 400, "{seen}");
}

#[test]
fn a_wrong_field_is_named_with_what_is_expected() {
    let schema = Schema::new().unwrap();
    let of = schema.pool().get_message_by_name("cosmos.tx.v1beta1.BroadcastTxRequest").unwrap();
    let refused = |json: Json| schema.read(&of, &json).unwrap_err().to_string();
    assert_eq!(refused(json!({ "tx_bytes": "*" })), "tx_bytes: expected base64");
    assert!(refused(json!({ "mode": "SYNC" })).contains("BROADCAST_MODE_SYNC"));
    assert!(refused(json!({ "moed": 1 })).contains("expected a field of"));
    assert!(refused(json!([])).contains("expected an object"));
    let read = schema.read(&of, &json!({ "txBytes": "_-8", "mode": 2 })).unwrap();
    assert_eq!(read.get_field_by_name("tx_bytes").unwrap().as_bytes().unwrap()[..], [255, 239]);
}
