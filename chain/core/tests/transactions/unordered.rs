//! Transactions without a place in a sequence.

use stoa_chain::app;
use stoa_chain::ctx::{Block, Ctx};
use stoa_chain::modules::auth::VerifyEach;

use super::signer::{send_message, Chain, Key, Options, FEE, FUNDS};

/// Unix seconds of height 0; each block is a second later.
const BEGIN: u64 = 1_800_000_000;

fn until(seconds: u64, nanos: u32) -> Options {
    Options { unordered: Some((BEGIN + seconds, nanos)), ..Options::default() }
}

fn send(chain: &Chain, options: Options) -> Vec<u8> {
    chain.send(&Key::secp256k1(1), &Key::secp256k1(2), 1, options)
}

fn assert_refused(chain: &Chain, tx: &[u8], code: u32, words: &str) {
    let result = app::finalize_block(chain.store(), chain.next_block().into(), &[tx], &VerifyEach);
    let result = &result.txs[0];
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", code), "{}", result.log);
    assert!(result.log.contains(words), "{}", result.log);
    let verdict =
        app::process_proposal(chain.store(), chain.next_block().into(), &[tx], &VerifyEach);
    assert!(verdict.unwrap_err().contains(words));
    let built = app::prepare_proposal(
        chain.store(),
        chain.next_block().into(),
        vec![tx.to_vec()],
        100_000,
        &VerifyEach,
    );
    assert!(built.is_empty());
    let mut pool = Ctx::new(chain.store(), chain.next_block());
    let refused = app::check_tx(&mut pool, tx, &[], &VerifyEach).unwrap_err();
    assert_eq!((refused.codespace, refused.code), ("sdk", code), "{refused}");
}

#[test]
fn fifty_at_once_are_executed_in_any_order_and_the_sequence_stays() {
    let mut chain = Chain::new();
    let mut txs: Vec<_> = (0..50).map(|nanos| send(&chain, until(60, nanos))).collect();
    txs.reverse();
    txs.rotate_left(17);
    let mut pool = Ctx::new(chain.store(), chain.next_block());
    for tx in &txs {
        app::check_tx(&mut pool, tx, &[], &VerifyEach).unwrap();
        let again = app::check_tx(&mut pool, tx, &[], &VerifyEach).unwrap_err();
        assert!(again.message.contains("already"), "{again}");
    }
    drop(pool);
    let block = chain.next_block();
    let built =
        app::prepare_proposal(chain.store(), block.into(), txs.clone(), 1 << 20, &VerifyEach);
    assert_eq!(built.len(), 50);
    let block = chain.next_block();
    assert_eq!(app::process_proposal(chain.store(), block.into(), &built, &VerifyEach), Ok(()));
    let results = chain.deliver_all(&built);
    assert!(results.iter().all(|result| result.is_ok()));
    assert_eq!(chain.balance(&Key::secp256k1(2)), FUNDS + 50);
    assert_eq!(chain.account(&Key::secp256k1(1)).sequence, 0);
    // An ordered one goes on where the sequence is.
    assert!(chain.deliver(&send(&chain, Options::default())).is_ok());
    assert_eq!(chain.broken(), Vec::<String>::new());
}

#[test]
fn none_is_executed_twice_within_its_time_nor_after_it() {
    let mut chain = Chain::new();
    let tx = send(&chain, until(3, 5));
    assert!(chain.deliver(&tx).is_ok());
    assert_refused(&chain, &tx, 18, "already");
    // The same time says nothing to another signer.
    let other = chain.send(&Key::secp256k1(2), &Key::secp256k1(1), 1, until(3, 5));
    assert!(chain.deliver(&other).is_ok());
    // The last second of its time is still within it.
    assert_refused(&chain, &tx, 18, "already");
    chain.deliver_all(&[]);
    assert_refused(&chain, &tx, 30, "timeout_timestamp");
}

#[test]
fn a_failed_one_has_used_its_time_too() {
    let mut chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let tx = chain.send(&alice, &bob, FUNDS, until(60, 0));
    assert_eq!(chain.deliver(&tx).code, 5);
    assert_eq!(chain.balance(&alice), FUNDS - FEE);
    assert_refused(&chain, &tx, 18, "already");
}

#[test]
fn a_time_is_needed_and_lies_at_most_ten_minutes_ahead() {
    let chain = Chain::new();
    // The next block is at second 1.
    assert_refused(&chain, &send(&chain, until(601, 1)), 18, "600 seconds");
    let mut last = Chain::new();
    assert!(last.deliver(&send(&last, until(601, 0))).is_ok());
    let mut untimed = chain.raw(
        &[&Key::secp256k1(1)],
        vec![send_message(&Key::secp256k1(1), &Key::secp256k1(2), 1)],
        Options::default(),
    );
    // Field 4, true: unordered, and no time behind it.
    untimed.body_bytes.extend([0x20, 0x01]);
    let bytes = chain.sign_bytes(&untimed, &Key::secp256k1(1), "stoa-test");
    untimed.signatures = vec![Key::secp256k1(1).sign(&bytes)];
    assert_refused(&chain, &prost::Message::encode_to_vec(&untimed), 18, "needs a timeout");
    let sequenced = Options { sequence: Some(1), ..until(60, 0) };
    assert_refused(&chain, &send(&chain, sequenced), 18, "it is 0");
}

#[test]
fn json_does_not_sign_what_makes_it_unordered() {
    let chain = Chain::new();
    let mut raw = chain.raw(
        &[&Key::secp256k1(1)],
        vec![send_message(&Key::secp256k1(1), &Key::secp256k1(2), 1)],
        Options { mode: 127, ..Options::default() },
    );
    // Somebody else makes it unordered on its way.
    raw.body_bytes.extend([0x20, 0x01, 0x2a, 0x06, 0x08]);
    prost::encoding::encode_varint(BEGIN + 60, &mut raw.body_bytes);
    assert_refused(&chain, &prost::Message::encode_to_vec(&raw), 37, "LEGACY_AMINO_JSON");
}

#[test]
fn an_ordered_transaction_may_have_a_time_of_timeout_too() {
    let mut chain = Chain::new();
    let alice = Key::secp256k1(1);
    let timed = |chain: &Chain| {
        let message = send_message(&alice, &Key::secp256k1(2), 1);
        let mut raw = chain.raw(&[&alice], vec![message], Options::default());
        raw.body_bytes.extend([0x2a, 0x06, 0x08]);
        prost::encoding::encode_varint(BEGIN + 2, &mut raw.body_bytes);
        raw.signatures = vec![alice.sign(&chain.sign_bytes(&raw, &alice, "stoa-test"))];
        prost::Message::encode_to_vec(&raw)
    };
    for _ in 0..2 {
        assert!(chain.deliver(&timed(&chain)).is_ok());
    }
    assert_eq!(chain.account(&alice).sequence, 2);
    assert_refused(&chain, &timed(&chain), 30, "timeout_timestamp");
}

#[test]
fn an_export_carries_the_times_in_use_and_a_twin_decides_alike() {
    let mut chain = Chain::new();
    let tx = send(&chain, until(30, 7));
    assert!(chain.deliver(&tx).is_ok());
    let mut twin = chain.reborn();
    assert_refused(&twin, &tx, 18, "already");
    let txs: Vec<_> = (0..4).map(|nanos| send(&chain, until(30, nanos))).collect();
    let results = chain.deliver_all(&txs);
    assert_eq!(twin.deliver_all(&txs), results);
    assert!(chain.store().entries() == twin.store().entries());
}

#[test]
fn what_is_over_is_forgotten_a_bounded_number_a_block() {
    let mut chain = Chain::new();
    let txs: Vec<_> = (0..20).map(|nanos| send(&chain, until(2, nanos))).collect();
    chain.deliver_all(&txs);
    let used = |chain: &Chain| {
        let block = Block { height: chain.height, ..chain.next_block() };
        app::export(chain.store(), block).auth.unordered.len()
    };
    assert_eq!(used(&chain), 20);
    chain.deliver_all(&[]);
    assert_eq!(used(&chain), 20);
    chain.deliver_all(&[]);
    assert_eq!(used(&chain), 0);
}
