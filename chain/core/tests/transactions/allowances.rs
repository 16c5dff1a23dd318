//! Fees that another account pays by an allowance.

use cosmos_sdk_proto::cosmos::base::v1beta1::Coin;
use cosmos_sdk_proto::cosmos::feegrant::v1beta1::{BasicAllowance, MsgGrantAllowance};
use cosmos_sdk_proto::Any;
use prost::{Message, Name};
use stoa_chain::app;
use stoa_chain::ctx::Ctx;
use stoa_chain::modules::auth::VerifyEach;

use super::signer::{send_message, Chain, Key, Options, FEE, FUNDS};

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// A chain on which bob pays so much of alice's fees.
fn chain_with_allowance(limit: u128) -> (Chain, Key, Key) {
    let mut chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let spend_limit = vec![Coin { denom: "ustoa".to_owned(), amount: limit.to_string() }];
    let grant = MsgGrantAllowance {
        granter: bob.address().to_string(),
        grantee: alice.address().to_string(),
        allowance: Some(any(&BasicAllowance { spend_limit, expiration: None })),
    };
    let result = chain.deliver(&chain.sign(&[&bob], vec![any(&grant)], Options::default()));
    assert!(result.is_ok(), "{}", result.log);
    (chain, alice, bob)
}

fn granted_by(key: &Key) -> Options {
    Options { granter: key.address().to_string(), ..Options::default() }
}

#[test]
fn a_granter_pays_the_fee_and_the_sender_nothing() {
    let (mut chain, alice, bob) = chain_with_allowance(FEE * 2);
    let result = chain.deliver(&chain.send(&alice, &Key::ed25519(3), 500, granted_by(&bob)));
    assert!(result.is_ok(), "{}", result.log);
    assert_eq!(chain.balance(&alice), FUNDS - 500);
    assert_eq!(chain.balance(&bob), FUNDS - 2 * FEE);
    let payer = result.events.iter().find(|event| event.kind == "tx").unwrap();
    let paid_by = ("fee_payer".to_owned(), bob.address().to_string());
    assert!(payer.attributes.contains(&paid_by), "{payer:?}");
    assert_eq!(chain.broken(), Vec::<String>::new());
}

#[test]
fn an_account_without_coins_acts_by_an_allowance() {
    let mut chain = Chain::new();
    let (bob, new) = (Key::secp256k1(2), Key::secp256k1(9));
    let grant = MsgGrantAllowance {
        granter: bob.address().to_string(),
        grantee: new.address().to_string(),
        allowance: Some(any(&BasicAllowance::default())),
    };
    chain.deliver(&chain.sign(&[&bob], vec![any(&grant)], Options::default()));
    let back = MsgGrantAllowance {
        granter: new.address().to_string(),
        grantee: bob.address().to_string(),
        allowance: Some(any(&BasicAllowance::default())),
    };
    let result = chain.deliver(&chain.sign(&[&new], vec![any(&back)], granted_by(&bob)));
    assert!(result.is_ok(), "{}", result.log);
    assert_eq!(chain.balance(&bob), FUNDS - 2 * FEE);
}

#[test]
fn a_failed_message_still_uses_the_allowance() {
    let (mut chain, alice, bob) = chain_with_allowance(FEE);
    let result = chain.deliver(&chain.send(&alice, &bob, FUNDS * 2, granted_by(&bob)));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 5));
    assert_eq!(chain.balance(&bob), FUNDS - 2 * FEE);
    let result = chain.deliver(&chain.send(&alice, &bob, 1, granted_by(&bob)));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 38), "{}", result.log);
    assert_eq!(chain.balance(&alice), FUNDS);
}

#[test]
fn the_pool_proposals_and_blocks_agree_on_what_an_allowance_pays_for() {
    // It pays for one of the three transactions alone.
    let (chain, alice, bob) = chain_with_allowance(FEE + 1);
    let numbered = |sequence| {
        let options = Options { sequence: Some(sequence), ..granted_by(&bob) };
        chain.sign(&[&alice], vec![send_message(&alice, &bob, 1)], options)
    };
    let (first, second) = (numbered(0), numbered(1));
    let mut pool = Ctx::new(chain.store(), chain.next_block());
    app::check_tx(&mut pool, &first, &[], &VerifyEach).unwrap();
    let refused = app::check_tx(&mut pool, &second, &[], &VerifyEach).unwrap_err();
    assert_eq!((refused.codespace, refused.code), ("feegrant", 2), "{refused}");

    let input = || chain.next_block().into();
    let both = vec![first.clone(), second.clone()];
    let proposed =
        app::prepare_proposal(chain.store(), input(), both.clone(), 1 << 20, &VerifyEach);
    assert_eq!(proposed, vec![first.clone()]);
    app::process_proposal(chain.store(), input(), &proposed, &VerifyEach).unwrap();
    let refused = app::process_proposal(chain.store(), input(), &both, &VerifyEach).unwrap_err();
    assert!(refused.contains("does not allow to pay fees"), "{refused}");
    let block = app::finalize_block(chain.store(), input(), &both, &VerifyEach);
    let codes: Vec<u32> = block.txs.iter().map(|tx| tx.code).collect();
    assert_eq!(codes, [0, 2]);
}

#[test]
fn a_granter_without_an_allowance_or_without_coins_pays_nothing() {
    let (chain, alice, bob) = chain_with_allowance(FUNDS * 2);
    let mut pool = Ctx::new(chain.store(), chain.next_block());
    let tx = chain.send(&bob, &alice, 1, granted_by(&alice));
    let refused = app::check_tx(&mut pool, &tx, &[], &VerifyEach).unwrap_err();
    assert_eq!((refused.codespace, refused.code), ("sdk", 38), "{refused}");
    let tx = chain.send(&alice, &bob, 1, Options { fee: FUNDS, ..granted_by(&bob) });
    let refused = app::check_tx(&mut pool, &tx, &[], &VerifyEach).unwrap_err();
    assert_eq!((refused.codespace, refused.code), ("sdk", 5), "{refused}");
}

#[test]
fn a_simulation_with_a_granter_finds_gas_that_suffices_and_misses_no_allowance() {
    let (mut chain, alice, bob) = chain_with_allowance(FEE * 2);
    let unsigned = Options { unsigned: true, gas: 0, ..granted_by(&bob) };
    let found = chain.simulate(&chain.send(&alice, &bob, 500, unsigned));
    assert!(found.is_ok(), "{}", found.log);
    let options = Options { gas: found.gas_used, ..granted_by(&bob) };
    let result = chain.deliver(&chain.send(&alice, &bob, 500, options));
    assert!(result.is_ok(), "{}", result.log);
    let unsigned = Options { unsigned: true, gas: 0, ..granted_by(&alice) };
    assert_eq!(chain.simulate(&chain.send(&bob, &alice, 1, unsigned)).code, 38);
}
