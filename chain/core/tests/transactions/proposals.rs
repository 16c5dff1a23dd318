//! Proposals: what an honest proposer builds, every honest validator accepts.

use proptest::prelude::*;
use stoa_chain::app;
use stoa_chain::modules::auth::VerifyEach;

use crate::signer::{Chain, Key, Options};

/// A pool of transactions: who sends, how far the sequence is off, what it
/// pays, and whether a byte is damaged.
type Pool = Vec<(u8, u64, u128, bool)>;

fn pool_of(chain: &Chain, pool: &Pool) -> Vec<Vec<u8>> {
    let mut next = [0u64; 3];
    let build = |(who, off, fee, damaged): &(u8, u64, u128, bool)| {
        let who = usize::from(*who % 2);
        let key = Key::secp256k1(u8::try_from(who).unwrap() + 1);
        let sequence = next[who] + off;
        if *off == 0 {
            next[who] += 1;
        }
        let options = Options { sequence: Some(sequence), fee: *fee, ..Options::default() };
        let mut tx = chain.send(&key, &Key::secp256k1(5), 1, options);
        if *damaged {
            let middle = tx.len() / 2;
            tx[middle] ^= 1;
        }
        tx
    };
    pool.iter().map(build).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_prepare_builds_process_accepts_and_finalize_executes(
        pool in prop::collection::vec((0..2u8, prop_oneof![4 => Just(0u64), 1 => 1..3u64], 1..9_000u128, prop::bool::weighted(0.15)), 0..12),
        max_bytes in 0..4_000u64,
    ) {
        let chain = Chain::new();
        let txs = pool_of(&chain, &pool);
        let block = chain.next_block();
        let built = app::prepare_proposal(chain.store(), block.clone().into(), txs, max_bytes, &VerifyEach);
        let size: u64 = built.iter().map(|tx| tx.len() as u64).sum();
        prop_assert!(size <= max_bytes);
        let verdict = app::process_proposal(chain.store(), block.clone().into(), &built, &VerifyEach);
        prop_assert_eq!(verdict, Ok(()));
        let result = app::finalize_block(chain.store(), block.into(), &built, &VerifyEach);
        prop_assert!(result.txs.iter().all(|tx| tx.is_ok()));
    }
}

#[test]
fn a_block_is_filled_by_gas_price_and_an_accounts_transactions_keep_their_order() {
    let chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let tx = |key: &Key, sequence: u64, fee: u128| {
        let options = Options { sequence: Some(sequence), fee, ..Options::default() };
        chain.send(key, &Key::secp256k1(5), 1, options)
    };
    let cheap_then_dear = [tx(&alice, 0, 1_000), tx(&alice, 1, 9_000)];
    let middle = tx(&bob, 0, 5_000);
    let pool = vec![cheap_then_dear[0].clone(), cheap_then_dear[1].clone(), middle.clone()];
    let built =
        app::prepare_proposal(chain.store(), chain.next_block().into(), pool, 100_000, &VerifyEach);
    assert_eq!(built, [middle, cheap_then_dear[0].clone(), cheap_then_dear[1].clone()]);
}

#[test]
fn a_block_that_no_honest_proposer_builds_is_rejected() {
    let chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let good = chain.send(&alice, &bob, 5, Options::default());
    let process = |txs: &[Vec<u8>]| {
        app::process_proposal(chain.store(), chain.next_block().into(), txs, &VerifyEach)
    };
    assert_eq!(process(std::slice::from_ref(&good)), Ok(()));
    let twice = process(&[good.clone(), good]).unwrap_err();
    assert!(twice.contains("transaction 1"), "{twice}");
    let greedy = chain.send(&alice, &bob, 5, Options { gas: u64::MAX, ..Options::default() });
    assert!(process(&[greedy]).unwrap_err().contains("gas"));
    assert!(process(&[b"junk".to_vec()]).is_err());
}

#[test]
fn signatures_that_are_told_beforehand_are_those_that_are_asked_for() {
    struct Known(Vec<stoa_chain::modules::auth::SignatureCheck>);
    impl stoa_chain::modules::auth::Signatures for Known {
        fn verify(&self, check: &stoa_chain::modules::auth::SignatureCheck) -> bool {
            assert!(self.0.contains(check), "a signature that was not foretold");
            check.verify()
        }
    }
    let chain = Chain::new();
    let txs = [
        chain.send(&Key::secp256k1(1), &Key::secp256k1(2), 5, Options::default()),
        chain.send(&Key::ed25519(3), &Key::secp256k1(2), 5, Options::default()),
    ];
    let known = Known(app::signature_checks(chain.store(), chain.next_block(), &txs));
    assert_eq!(known.0.len(), 2);
    let result = app::finalize_block(chain.store(), chain.next_block().into(), &txs, &known);
    assert!(result.txs.iter().all(|tx| tx.is_ok()));
}

#[test]
fn an_account_that_is_drained_earlier_in_a_block_fills_it_no_further() {
    let chain = Chain::new();
    let (alice, bob) = (Key::secp256k1(1), Key::secp256k1(2));
    let drain =
        chain.send(&alice, &bob, crate::signer::FUNDS - crate::signer::FEE, Options::default());
    let free = Options { sequence: Some(1), ..Options::default() };
    let free = chain.send(&alice, &bob, 1, free);
    let block = chain.next_block();
    let pool = vec![drain.clone(), free.clone()];
    let built =
        app::prepare_proposal(chain.store(), block.clone().into(), pool, 100_000, &VerifyEach);
    assert_eq!(built, std::slice::from_ref(&drain));
    let why = app::process_proposal(chain.store(), block.into(), &[drain, free], &VerifyEach);
    assert!(why.unwrap_err().contains("transaction 1"));
}
