//! Bad transactions: each gets its own clear error and changes nothing.

use cosmos_sdk_proto::cosmos::tx::v1beta1::TxRaw;
use cosmos_sdk_proto::Any;
use prost::Message;
use stoa_chain::app;
use stoa_chain::modules::auth::{self, VerifyEach};
use stoa_chain::tx::MAX_TX_BYTES;
use stoa_chain::types::Rate;

use crate::signer::{send_message, ustoa, Chain, Key, Options, FUNDS};

/// What refuses the transaction; nothing may change but what a block without
/// it changes.
fn refusal(chain: &Chain, tx: &[u8]) -> (String, u32, String) {
    let finalize = |txs: &[&[u8]]| {
        app::finalize_block(chain.store(), chain.next_block().into(), txs, &VerifyEach)
    };
    let result = finalize(&[tx]);
    assert_eq!(result.changes, finalize(&[]).changes);
    let tx = result.txs.into_iter().next().unwrap();
    (tx.codespace, tx.code, tx.log)
}

fn assert_refused(chain: &Chain, tx: &[u8], code: u32, words: &str) {
    let (codespace, found, log) = refusal(chain, tx);
    assert_eq!((codespace.as_str(), found), ("sdk", code), "{log}");
    assert!(log.contains(words), "{log:?} lacks {words:?}");
}

fn with(options: Options) -> (Chain, Vec<u8>) {
    let chain = Chain::new();
    let tx = chain.send(&Key::secp256k1(1), &Key::secp256k1(2), 5, options);
    (chain, tx)
}

#[test]
fn malformed_bytes_are_refused() {
    let (chain, tx) = with(Options::default());
    assert_refused(&chain, b"", 18, "no fee");
    assert_refused(&chain, b"\xff\xff\xff", 2, "TxRaw");
    assert_refused(&chain, &tx[..tx.len() - 1], 2, "TxRaw");
}

#[test]
fn an_oversized_transaction_is_refused_before_it_is_read() {
    let chain = Chain::new();
    assert_refused(&chain, &vec![0; MAX_TX_BYTES + 1], 21, "262144");
}

#[test]
fn an_unknown_field_at_any_depth_is_refused() {
    let (chain, _) = with(Options::default());
    let alice = Key::secp256k1(1);
    let message = send_message(&alice, &Key::secp256k1(2), 5);
    // Field 15, a varint: in the transaction, in its body, in a message.
    let unknown = [0x78, 0x01];
    let raw = chain.raw(&[&alice], vec![message.clone()], Options::default());
    assert_refused(&chain, &[raw.encode_to_vec(), unknown.to_vec()].concat(), 2, "TxRaw");
    let mut in_body: TxRaw = raw.clone();
    in_body.body_bytes.extend(unknown);
    in_body.signatures = vec![alice.sign(&chain.sign_bytes(&in_body, &alice, "stoa-test"))];
    assert_refused(&chain, &in_body.encode_to_vec(), 2, "TxBody");
    let value = [message.value, unknown.to_vec()].concat();
    let in_message = Any { type_url: message.type_url, value };
    let tx = chain.sign(&[&alice], vec![in_message], Options::default());
    assert_refused(&chain, &tx, 2, "MsgSend");
}

#[test]
fn a_wrong_signature_names_what_must_be_signed() {
    let (chain, tx) = with(Options { chain_id: "other-chain".to_owned(), ..Options::default() });
    assert_refused(&chain, &tx, 4, "chain-id (stoa-test)");
    let alice = Key::secp256k1(1);
    let message = send_message(&alice, &Key::secp256k1(2), 5);
    let mut raw = chain.raw(&[&alice], vec![message], Options::default());
    raw.signatures[0][10] ^= 1;
    assert_refused(&chain, &raw.encode_to_vec(), 4, "signature verification failed");
    raw.signatures[0].pop();
    assert_refused(&chain, &raw.encode_to_vec(), 4, "64 bytes");
    raw.signatures.clear();
    assert_refused(&chain, &raw.encode_to_vec(), 4, "wrong number of signatures");
}

#[test]
fn a_high_s_signature_is_refused() {
    let chain = Chain::new();
    let alice = Key::secp256k1(1);
    let message = send_message(&alice, &Key::secp256k1(2), 5);
    let mut raw = chain.raw(&[&alice], vec![message], Options::default());
    // The order of secp256k1 less s gives the other valid form.
    let order = ethnum::U256::from_str_hex(
        "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
    )
    .unwrap();
    let s = ethnum::U256::from_be_bytes(raw.signatures[0][32..].try_into().unwrap());
    raw.signatures[0][32..].copy_from_slice(&(order - s).to_be_bytes());
    assert_refused(&chain, &raw.encode_to_vec(), 4, "signature verification failed");
}

#[test]
fn a_wrong_sequence_names_the_expected_one() {
    let (chain, tx) = with(Options { sequence: Some(7), ..Options::default() });
    assert_refused(&chain, &tx, 32, "expected 0, got 7");
}

#[test]
fn a_transaction_cannot_be_replayed() {
    let (mut chain, tx) = with(Options::default());
    assert!(chain.deliver(&tx).is_ok());
    assert_refused(&chain, &tx, 32, "expected 1, got 0");
}

#[test]
fn the_first_transaction_brings_the_key_and_no_other_key_follows() {
    let (chain, tx) = with(Options { no_keys: true, ..Options::default() });
    assert_refused(&chain, &tx, 8, "not shown one yet");
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let tx = chain.sign(&[&bob], vec![send_message(&alice, &bob, 5)], Options::default());
    assert_refused(&chain, &tx, 8, "not of");
}

#[test]
fn an_unknown_account_cannot_sign() {
    let chain = Chain::new();
    let tx = chain.send(&Key::secp256k1(9), &Key::secp256k1(2), 5, Options::default());
    assert_refused(&chain, &tx, 9, "does not exist");
}

#[test]
fn what_is_not_supported_is_said_plainly() {
    let (chain, tx) = with(Options { mode: 2, ..Options::default() });
    assert_refused(&chain, &tx, 37, "SIGN_MODE_DIRECT");
}

#[test]
fn fee_gas_memo_and_timeout_have_their_own_refusals() {
    let (chain, tx) = with(Options { fee: FUNDS + 1, ..Options::default() });
    assert_refused(&chain, &tx, 5, "smaller than");
    let (chain, tx) = with(Options { gas: 1_000, ..Options::default() });
    assert_refused(&chain, &tx, 11, "limit of 1000");
    let (chain, tx) = with(Options { memo: "x".repeat(257), ..Options::default() });
    assert_refused(&chain, &tx, 12, "256");
    let (mut chain, _) = with(Options::default());
    chain.height = 9;
    let tx = chain.send(
        &Key::secp256k1(1),
        &Key::secp256k1(2),
        5,
        Options { timeout_height: 9, ..Options::default() },
    );
    assert_refused(&chain, &tx, 30, "timeout height 9");
}

#[test]
fn a_memo_is_refused_with_the_bound_that_the_parameter_sets() {
    let params = auth::Params { max_memo_bytes: 9, ..auth::Params::default() };
    let chain = Chain::with_params(params);
    let options = Options { memo: "x".repeat(10), ..Options::default() };
    let tx = chain.send(&Key::secp256k1(1), &Key::secp256k1(2), 5, options);
    assert_refused(&chain, &tx, 12, "the memo has 10 bytes; at most 9 are allowed");
}

#[test]
fn messages_are_known_and_some_but_not_too_many() {
    let chain = Chain::new();
    let alice = Key::secp256k1(1);
    let tx = chain.sign(&[], vec![], Options::default());
    assert_refused(&chain, &tx, 18, "0 messages");
    let message = send_message(&alice, &Key::secp256k1(2), 5);
    let tx = chain.sign(&[&alice], vec![message; 257], Options::default());
    assert_refused(&chain, &tx, 18, "257 messages");
    let other = Any { type_url: "/stoa.market.v1.MsgNone".to_owned(), value: vec![] };
    assert_refused(&chain, &chain.sign(&[&alice], vec![other], Options::default()), 6, "MsgNone");
}

#[test]
fn a_node_asks_for_its_least_gas_price_in_the_pool_alone() {
    let (chain, tx) = with(Options::default());
    let check = |price: u128| {
        let mut ctx = stoa_chain::ctx::Ctx::new(chain.store(), chain.next_block());
        let prices = [(ustoa(), Rate::from_raw(price))];
        app::check_tx(&mut ctx, &tx, &prices, &VerifyEach)
    };
    // 5,000 for 200,000 gas are 0.025 each.
    assert!(check(25_000_000_000_000_000).is_ok());
    let failure = check(25_000_000_000_000_001).unwrap_err();
    assert_eq!((failure.codespace, failure.code), ("sdk", 13));
    assert!(failure.message.contains("5001ustoa"), "{failure}");
}
