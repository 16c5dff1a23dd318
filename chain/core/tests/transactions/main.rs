//! Transactions as bytes, from the pool to a block's result.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

mod allowances;
mod delegated;
mod proposals;
mod refusals;
mod signer;
mod thresholds;
mod unordered;

use signer::{Chain, Key, Options};

use stoa_chain::types::Amount;

#[test]
fn a_signed_send_moves_coins_takes_its_fee_and_raises_the_sequence() {
    let mut chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let before = chain.balance(&bob);
    let result = chain.deliver(&chain.send(&alice, &bob, 500, Options::default()));
    assert!(result.is_ok(), "{}", result.log);
    assert_eq!(chain.balance(&bob), before + 500);
    assert_eq!(chain.balance(&alice), signer::FUNDS - 500 - signer::FEE);
    assert_eq!(chain.account(&alice).sequence, 1);
    assert_eq!(chain.account(&alice).public_key.map(|key| key.address()), Some(alice.address()));
    assert!(result.gas_used > 0 && result.gas_used < result.gas_wanted);
    assert_eq!(chain.broken(), Vec::<String>::new());
}

#[test]
fn ed25519_accounts_sign_too() {
    let mut chain = Chain::new();
    let (eve, bob) = (Key::ed25519(3), Key::secp256k1(2));
    let result = chain.deliver(&chain.send(&eve, &bob, 500, Options::default()));
    assert!(result.is_ok(), "{}", result.log);
}

#[test]
fn the_messages_of_a_transaction_are_all_done_or_none_but_the_fee_stays() {
    let mut chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let messages = vec![
        signer::send_message(&alice, &bob, 500),
        signer::send_message(&alice, &bob, signer::FUNDS),
    ];
    let result = chain.deliver(&chain.sign(&[&alice], messages, Options::default()));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 5));
    assert!(result.log.starts_with("message index: 1: "), "{}", result.log);
    assert_eq!(chain.balance(&bob), signer::FUNDS);
    assert_eq!(chain.balance(&alice), signer::FUNDS - signer::FEE);
    assert_eq!(chain.account(&alice).sequence, 1);
}

#[test]
fn several_signers_each_sign_once() {
    let mut chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let messages =
        vec![signer::send_message(&alice, &bob, 500), signer::send_message(&bob, &alice, 300)];
    let result = chain.deliver(&chain.sign(&[&alice, &bob], messages, Options::default()));
    assert!(result.is_ok(), "{}", result.log);
    assert_eq!(chain.balance(&bob), signer::FUNDS + 200);
}

#[test]
fn another_may_pay_the_fee_by_signing() {
    let mut chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let options = Options { payer: Some(bob.address().to_string()), ..Options::default() };
    let messages = vec![signer::send_message(&alice, &bob, 500)];
    let result = chain.deliver(&chain.sign(&[&alice, &bob], messages, options));
    assert!(result.is_ok(), "{}", result.log);
    assert_eq!(chain.balance(&alice), signer::FUNDS - 500);
    assert_eq!(chain.balance(&bob), signer::FUNDS + 500 - signer::FEE);
}

#[test]
fn simulation_needs_neither_key_nor_signature_nor_fee_and_changes_nothing() {
    let chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let options = Options { unsigned: true, fee: 0, gas: 0, ..Options::default() };
    let result = chain.simulate(&chain.send(&alice, &bob, 500, options));
    assert!(result.is_ok(), "{}", result.log);
    assert_eq!(chain.balance(&bob), signer::FUNDS);
}

#[test]
fn a_simulation_uses_no_more_gas_than_a_block_has() {
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let options = || Options { unsigned: true, gas: 0, ..Options::default() };
    let many = |chain: &Chain| {
        let messages = (0..250).map(|_| signer::send_message(&alice, &bob, 1)).collect();
        chain.simulate(&chain.sign(&[&alice], messages, options()))
    };
    let whole = many(&Chain::new());
    assert!(whole.is_ok(), "{}", whole.log);
    let cut = many(&Chain::with_block_gas(whole.gas_used / 4 * 3));
    assert_eq!((cut.codespace.as_str(), cut.code), ("sdk", 11), "{}", cut.log);
    assert!(cut.gas_used < whole.gas_used / 6 * 5);
}

#[test]
fn the_gas_that_a_simulation_finds_suffices() {
    let mut chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    for receiver in [&bob, &Key::secp256k1(9), &Key::secp256k1(9)] {
        let found = chain.simulate(&chain.send(
            &alice,
            receiver,
            500,
            Options { unsigned: true, gas: 0, ..Options::default() },
        ));
        let options = Options { gas: found.gas_used, ..Options::default() };
        let result = chain.deliver(&chain.send(&alice, receiver, 500, options));
        assert!(result.is_ok(), "{}", result.log);
        assert!(found.gas_used < result.gas_used * 3 / 2, "{found:?} {result:?}");
    }
}

#[test]
fn an_account_begins_with_the_first_coins_sent_to_it() {
    let mut chain = Chain::new();
    let (alice, new) = (Key::secp256k1(1), Key::secp256k1(9));
    chain.deliver(&chain.send(&alice, &new, 50_000, Options::default()));
    assert_eq!(chain.account(&new).balances.of(&signer::ustoa()), Amount::from_raw(50_000));
    let result = chain.deliver(&chain.send(&new, &alice, 1, Options::default()));
    assert!(result.is_ok(), "{}", result.log);
}

#[test]
fn json_is_signed_as_well_as_protobuf() {
    let mut chain = Chain::new();
    let (alice, bob, eve) = (Key::secp256k1(1), Key::secp256k1(2), Key::ed25519(3));
    let options = || Options { mode: 127, memo: "a < b".to_owned(), ..Options::default() };
    for _ in 0..2 {
        let messages =
            vec![signer::send_message(&alice, &bob, 5), signer::send_message(&eve, &bob, 7)];
        let result = chain.deliver(&chain.sign(&[&alice, &eve], messages, options()));
        assert!(result.is_ok(), "{}", result.log);
    }
    assert_eq!(chain.balance(&bob), signer::FUNDS + 24);
    // Under the other mode's name it is another signature.
    let direct = chain.raw(&[&alice], vec![signer::send_message(&alice, &bob, 5)], options());
    let mut json = direct.clone();
    json.auth_info_bytes = chain
        .raw(&[&alice], vec![signer::send_message(&alice, &bob, 5)], Options::default())
        .auth_info_bytes;
    let result = chain.deliver(&prost::Message::encode_to_vec(&json));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 4));
}

#[test]
fn a_simulation_may_come_without_fee_mode_and_key() {
    use cosmos_sdk_proto::cosmos::tx::v1beta1::{AuthInfo, SignerInfo};
    let chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let mut raw =
        chain.raw(&[&alice], vec![signer::send_message(&alice, &bob, 5)], Options::default());
    let auth_info = AuthInfo { signer_infos: vec![SignerInfo::default()], ..Default::default() };
    raw.auth_info_bytes = prost::Message::encode_to_vec(&auth_info);
    raw.signatures.clear();
    let result = chain.simulate(&prost::Message::encode_to_vec(&raw));
    assert!(result.is_ok(), "{}", result.log);
}
