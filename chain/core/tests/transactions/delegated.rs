//! Messages that one account sends in another's name.

use cosmos_sdk_proto::cosmos::authz::v1beta1::{
    GenericAuthorization, Grant, MsgExec, MsgExecResponse, MsgGrant,
};
use cosmos_sdk_proto::cosmos::bank::v1beta1::{MsgSend, MsgSendResponse};
use cosmos_sdk_proto::cosmos::base::abci::v1beta1::TxMsgData;
use cosmos_sdk_proto::Any;
use prost::{Message, Name};

use super::signer::{send_message, Chain, Key, Options, FEE, FUNDS};

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn exec(grantee: &Key, msgs: Vec<Any>) -> Any {
    any(&MsgExec { grantee: grantee.address().to_string(), msgs })
}

/// A chain on which bob lets alice send his coins.
fn chain_with_grant() -> (Chain, Key, Key) {
    let mut chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let authorization = any(&GenericAuthorization { msg: MsgSend::type_url() });
    let grant = MsgGrant {
        granter: bob.address().to_string(),
        grantee: alice.address().to_string(),
        grant: Some(Grant { authorization: Some(authorization), expiration: None }),
    };
    let result = chain.deliver(&chain.sign(&[&bob], vec![any(&grant)], Options::default()));
    assert!(result.is_ok(), "{}", result.log);
    (chain, alice, bob)
}

#[test]
fn the_grantee_alone_signs_and_pays_and_events_name_both_messages() {
    let (mut chain, alice, bob) = chain_with_grant();
    let eve = Key::ed25519(3);
    let inner = vec![send_message(&bob, &eve, 5), send_message(&alice, &eve, 6)];
    let messages = vec![send_message(&alice, &eve, 1), exec(&alice, inner)];
    let result = chain.deliver(&chain.sign(&[&alice], messages, Options::default()));
    assert!(result.is_ok(), "{}", result.log);
    assert_eq!(chain.balance(&eve), FUNDS + 12);
    assert_eq!(chain.balance(&alice), FUNDS - 7 - FEE);
    let last = result.events.iter().rfind(|event| event.kind == "transfer").unwrap();
    let index = |name: &str| (name.to_owned(), "1".to_owned());
    assert!(last.attributes.contains(&index("authz_msg_index")), "{last:?}");
    assert!(last.attributes.contains(&index("msg_index")), "{last:?}");
    let data = TxMsgData::decode(result.data.as_slice()).unwrap();
    let response = MsgExecResponse::decode(data.msg_responses[1].value.as_slice()).unwrap();
    assert_eq!(response.results, vec![MsgSendResponse {}.encode_to_vec(); 2]);
    assert_eq!(chain.broken(), Vec::<String>::new());
}

#[test]
fn a_message_within_that_fails_undoes_all_but_the_fee() {
    let (mut chain, alice, bob) = chain_with_grant();
    let inner = vec![send_message(&bob, &alice, 5), send_message(&bob, &alice, FUNDS)];
    let messages = vec![exec(&alice, inner)];
    let result = chain.deliver(&chain.sign(&[&alice], messages, Options::default()));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 5));
    assert!(result.log.contains("message index: 0: failed to execute message 1"), "{}", result.log);
    assert_eq!(chain.balance(&alice), FUNDS - FEE);
}

#[test]
fn messages_within_others_count_towards_the_transactions_bound() {
    let (mut chain, alice, bob) = chain_with_grant();
    let many = |chain: &Chain, outer: usize, inner: usize| {
        let mut messages = vec![send_message(&alice, &bob, 1); outer];
        messages.push(exec(&alice, vec![send_message(&bob, &alice, 1); inner]));
        chain.sign(&[&alice], messages, Options { gas: 50_000_000, ..Options::default() })
    };
    let result = chain.deliver(&many(&chain, 157, 100));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 18), "{}", result.log);
    let result = chain.deliver(&many(&chain, 156, 100));
    assert!(result.is_ok(), "{}", result.log);
}

#[test]
fn messages_within_others_use_the_gas_of_the_transaction() {
    let (mut chain, alice, bob) = chain_with_grant();
    let messages = |number| vec![exec(&alice, vec![send_message(&bob, &alice, 1); number])];
    let unsigned = || Options { unsigned: true, gas: 0, ..Options::default() };
    let gas = |chain: &Chain, number| {
        let found = chain.simulate(&chain.sign(&[&alice], messages(number), unsigned()));
        assert!(found.is_ok(), "{}", found.log);
        found.gas_used
    };
    let (one, ten) = (gas(&chain, 1), gas(&chain, 10));
    assert!(ten > one + 9 * 4_000, "{one} {ten}");
    let short = Options { gas: ten - 10_000, ..Options::default() };
    let result = chain.deliver(&chain.sign(&[&alice], messages(10), short));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 11), "{}", result.log);
    assert_eq!(chain.balance(&bob), FUNDS - FEE);
    // Alice's account holds her key by now.
    let enough = Options { gas: gas(&chain, 10), ..Options::default() };
    let result = chain.deliver(&chain.sign(&[&alice], messages(10), enough));
    assert!(result.is_ok(), "{}", result.log);
}

#[test]
fn one_within_another_is_refused_before_it_enters_the_pool() {
    let (mut chain, alice, _) = chain_with_grant();
    let mut message = send_message(&alice, &alice, 1);
    for _ in 0..50 {
        message = exec(&alice, vec![message]);
    }
    let result = chain.deliver(&chain.sign(&[&alice], vec![message], Options::default()));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 18), "{}", result.log);
    assert_eq!(chain.balance(&alice), FUNDS);
}
