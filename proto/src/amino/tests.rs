//! Against what CosmJS signs, and the rules that it does not show.

use prost::{Message, Name};
use serde::Deserialize;

use super::*;
use crate::cosmos::authz::v1beta1 as authz;
use crate::cosmos::bank::v1beta1::{MsgMultiSend, MsgSend};
use crate::cosmos::staking::v1beta1 as staking;
use crate::{Any, Timestamp};

/// Made by tests/cosmjs/golden.mjs.
const GOLDEN: &str = include_str!("golden.json");

#[derive(Deserialize)]
struct Golden {
    name: String,
    body: String,
    fee: String,
    account_number: u64,
    sequence: u64,
    signed: String,
}

#[test]
fn what_is_signed_is_what_cosmjs_signs() {
    let cases: Vec<Golden> = serde_json::from_str(GOLDEN).unwrap();
    assert!(cases.len() >= 24);
    for case in cases {
        let body = TxBody::decode(hex::decode(case.body).unwrap().as_slice()).unwrap();
        let fee = Fee::decode(hex::decode(case.fee).unwrap().as_slice()).unwrap();
        let signed = sign_doc(&body, &fee, "stoa-golden", case.account_number, case.sequence);
        assert_eq!(signed.unwrap(), case.signed, "{}", case.name);
    }
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn shown<M: Message + Name>(message: &M) -> String {
    message::of_any(&any(message)).unwrap().to_string()
}

// CosmJS does not know these; the forms are those of the SDK's own tests.
#[test]
fn grants_show_what_they_allow_and_until_when() {
    let list = staking::stake_authorization::Validators { address: vec!["v".to_owned()] };
    let allowed = staking::StakeAuthorization {
        max_tokens: None,
        validators: Some(staking::stake_authorization::Policy::AllowList(list)),
        authorization_type: staking::AuthorizationType::Delegate.into(),
    };
    let grant = authz::MsgGrant {
        granter: "a".to_owned(),
        grantee: "b".to_owned(),
        grant: Some(authz::Grant {
            authorization: Some(any(&allowed)),
            expiration: Some(Timestamp { seconds: 1_800_000_000, nanos: 0 }),
        }),
    };
    let list = r#""Validators":{"type":"cosmos-sdk/StakeAuthorization/AllowList","value":{"allow_list":{"address":["v"]}}}"#;
    let allowed = format!(
        r#"{{"type":"cosmos-sdk/StakeAuthorization","value":{{{list},"authorization_type":1}}}}"#
    );
    let grant_shown =
        format!(r#"{{"authorization":{allowed},"expiration":"2027-01-15T08:00:00Z"}}"#);
    let wanted = format!(
        r#"{{"type":"cosmos-sdk/MsgGrant","value":{{"grant":{grant_shown},"grantee":"b","granter":"a"}}}}"#
    );
    assert_eq!(shown(&grant), wanted);
}

#[test]
fn an_empty_list_that_is_kept_is_null_and_of_coins_empty() {
    let value = r#"{"type":"cosmos-sdk/MsgMultiSend","value":{"inputs":null,"outputs":null}}"#;
    assert_eq!(shown(&MsgMultiSend::default()), value);
    assert_eq!(
        shown(&MsgSend::default()),
        r#"{"type":"cosmos-sdk/MsgSend","value":{"amount":[]}}"#
    );
}

#[test]
fn what_the_json_would_not_show_is_refused() {
    let mut any = any(&MsgSend::default());
    // Field 15, a number.
    any.value.extend([0x78, 0x01]);
    let error = message::of_any(&any).unwrap_err().to_string();
    assert!(error.contains("unknown field"), "{error}");
    let unknown = Any { type_url: "/stoa.market.v1.MsgNone".to_owned(), value: vec![] };
    assert!(message::of_any(&unknown).is_err());
    let nested = (0..20).fold(self::any(&MsgSend::default()), |inner, _| {
        self::any(&authz::MsgExec { grantee: String::new(), msgs: vec![inner] })
    });
    assert!(message::of_any(&nested).is_err());
}
