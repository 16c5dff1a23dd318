//! A mock consensus drives the application: blocks, replays, restarts and refusals.

use cosmos_sdk_proto::{
    cosmos::{
        bank::v1beta1::{QueryBalanceRequest, QueryDenomOwnersRequest},
        tx::v1beta1::{SimulateRequest, SimulateResponse, TxRaw},
    },
    traits::Message,
};
use stoa_chain::types::Address;
use tendermint_proto::v0_38::abci::RequestInfo;

use super::testing::{genesis, open, Consensus, Wallet, CHAIN};
use crate::{abci::Application, query::SIMULATE_PATH};

#[test]
fn a_send_goes_from_the_pool_into_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut wallet = Wallet::new(CHAIN, 1);
    let to = Address::new([9; 20]);
    let mut chain = Consensus::connect(open(dir.path()));
    let first_hash = chain.begin(genesis(&[&wallet]));
    assert_eq!(first_hash.len(), 32);
    let empty = chain.app.info(RequestInfo::default());
    assert_eq!((empty.last_block_height, empty.last_block_app_hash.len()), (0, 0));

    let (tx, next) = (wallet.send(to, 70), wallet.send(to, 7));
    assert_eq!(chain.check(&tx), (0, String::new()));
    assert_eq!(chain.check(&next).0, 0, "an account's transactions follow one another");
    let (code, log) = chain.check(&tx);
    assert_eq!(code, 32, "{log}");
    assert!(log.contains("expected 2, got 0"), "{log}");

    let (results, hash) = chain.block(&[tx.clone(), next.clone()]);
    assert!(results.iter().all(|result| result.code == 0), "{results:?}");
    assert!(results[0].events.iter().any(|event| event.r#type == "message"));
    assert_ne!(hash, first_hash);
    assert_eq!(chain.balance(to), "77");
    let info = chain.app.info(RequestInfo::default());
    assert_eq!((info.last_block_height, info.last_block_app_hash.to_vec()), (1, hash));
    assert_eq!(chain.check(&tx).0, 32, "the pool is checked on the committed state");
}

#[test]
fn proposals_hold_only_what_can_be_admitted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rich, mut poor) = (Wallet::new(CHAIN, 1), Wallet::new(CHAIN, 2));
    let chain = Consensus::connect(open(dir.path()));
    chain.begin(genesis(&[&rich]));
    let to = Address::new([9; 20]);
    let good = rich.send(to, 1);
    let bad = [b"junk".to_vec(), poor.send(to, 1), good[..good.len() - 1].to_vec()];
    let mut offered = bad.to_vec();
    offered.push(good.clone());
    offered.push(good.clone());
    assert_eq!(chain.propose(&offered), std::slice::from_ref(&good));
    for bad in bad {
        assert!(!chain.accepts(std::slice::from_ref(&bad)));
        assert_ne!(chain.check(&bad).0, 0);
    }
    assert!(!chain.accepts(&[good.clone(), good.clone()]), "a sequence is used once");
    // Consensus may still decide a block with a refused transaction; it changes nothing.
    let (results, _) = chain.execute(&[good, b"junk".to_vec()]);
    assert_eq!((results[0].code, results[1].code), (0, 2));
}

#[test]
fn a_restart_at_any_point_gives_the_same_hashes() {
    let (steady_dir, restarted_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut wallet = Wallet::new(CHAIN, 1);
    let state = genesis(&[&wallet]);
    let mut steady = Consensus::connect(open(steady_dir.path()));
    let restarted = Consensus::connect(open(restarted_dir.path()));
    assert_eq!(steady.begin(state.clone()), restarted.begin(state.clone()));
    // Killed before the first commit: CometBFT begins the chain again.
    let first = wallet.send(Address::new([9; 20]), 5);
    restarted.execute(std::slice::from_ref(&first));
    drop(restarted);
    let mut restarted = Consensus::connect(open(restarted_dir.path()));
    assert_eq!(restarted.height, 0);
    restarted.begin(state);

    assert_eq!(steady.block(std::slice::from_ref(&first)), restarted.block(&[first]));
    for n in 0..6 {
        let txs: Vec<_> = (0..n).map(|_| wallet.send(Address::new([n; 20]), 10)).collect();
        let (expected, hash) = steady.block(&txs);
        if n % 2 == 0 {
            // Killed between FinalizeBlock and Commit: CometBFT replays the block.
            assert_eq!(restarted.execute(&txs).1, hash);
        }
        if n % 3 == 0 {
            drop(restarted);
            restarted = Consensus::connect(open(restarted_dir.path()));
            assert_eq!(restarted.height, steady.height - 1);
        }
        assert_eq!(restarted.block(&txs), (expected, hash));
    }
}

#[test]
fn queries_name_the_height_that_they_saw() {
    let dir = tempfile::tempdir().unwrap();
    let mut wallet = Wallet::new(CHAIN, 1);
    let mut chain = Consensus::connect(open(dir.path()));
    let before = chain.query("/no.Such/Path", vec![], 0, false);
    assert_eq!((before.code, before.height), (6, 1), "never 0: {}", before.log);
    chain.begin(genesis(&[&wallet]));
    assert_eq!(chain.balance(wallet.address()), "1000000", "genesis can be queried at once");
    chain.block(&[]);
    chain.block(&[wallet.send(Address::new([9; 20]), 1)]);
    let path = "/cosmos.auth.v1beta1.Query/Params";
    for asked in [0, 2] {
        let response = chain.query(path, vec![], asked, false);
        assert_eq!((response.code, response.height), (0, 2), "{}", response.log);
    }
    let future = chain.query(path, vec![], 3, false);
    assert!(future.code != 0 && future.log.contains("not committed yet"), "{}", future.log);
    let negative = chain.query(path, vec![], -1, false);
    assert!(negative.code != 0 && negative.log.contains("negative"), "{}", negative.log);
    let garbage = chain.query("/cosmos.bank.v1beta1.Query/Balance", vec![0xff], 0, false);
    assert_eq!(garbage.code, 18, "{}", garbage.log);
}

#[test]
fn typed_queries_are_answered_at_a_past_height_as_they_were_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut wallet = Wallet::new(CHAIN, 1);
    let mut chain = Consensus::connect(open(dir.path()));
    chain.begin(genesis(&[&wallet]));
    let to = Address::new([9; 20]);
    let (mut then, pages) = (Vec::new(), "/cosmos.bank.v1beta1.Query/DenomOwners");
    let balance = QueryBalanceRequest { address: to.to_string(), denom: "ustoa".to_owned() };
    let balance = balance.encode_to_vec();
    let owners = QueryDenomOwnersRequest { denom: "ustoa".to_owned(), pagination: None };
    let owners = owners.encode_to_vec();
    let ask = |chain: &Consensus, height| {
        let one = chain.query("/cosmos.bank.v1beta1.Query/Balance", balance.clone(), height, false);
        let all = chain.query(pages, owners.clone(), height, false);
        assert_eq!((one.code, all.code), (0, 0), "{} {}", one.log, all.log);
        (one.height, one.value, all.value)
    };
    for height in 1..=4 {
        chain.block(&[wallet.send(to, 5)]);
        let seen = ask(&chain, 0);
        assert_eq!(seen.0, height);
        then.push(seen);
    }
    assert_ne!(then[0].1, then[1].1);
    // In any order, and again: what was read stays as it was.
    for height in [4, 1, 3, 2, 1, 4, 2] {
        assert_eq!(ask(&chain, height), then[usize::try_from(height).unwrap() - 1]);
    }
    let simulated = chain.query(SIMULATE_PATH, Vec::new(), 2, false);
    assert!(simulated.code != 0 && simulated.log.contains("last height"), "{}", simulated.log);
}

#[test]
fn raw_keys_come_with_proofs_of_the_height_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut wallet = Wallet::new(CHAIN, 1);
    let mut chain = Consensus::connect(open(dir.path()));
    chain.begin(genesis(&[&wallet]));
    let mut hashes = vec![];
    for _ in 0..3 {
        hashes.push(chain.block(&[wallet.send(Address::new([9; 20]), 1)]).1);
    }
    let (base, _) = chain.app.machine.view();
    let entries: Vec<_> = stoa_chain::store::Store::range(&base, &[], &[0x80]).collect();
    let (key, last) = entries.into_iter().next().unwrap();
    for (height, root) in (1..).zip(&hashes) {
        let response = chain.query("/store/key", key.clone(), height, true);
        assert_eq!((response.code, response.height), (0, height), "{}", response.log);
        let op = &response.proof_ops.unwrap().ops[0];
        let proof = ics23::CommitmentProof::decode(op.data.as_slice()).unwrap();
        let spec = crate::store::proof_spec();
        assert!(ics23::verify_membership::<ics23::HostFunctionsManager>(
            &proof,
            &spec,
            root,
            &key,
            &response.value
        ));
    }
    assert_eq!(chain.query("/store/bank/key", key.clone(), 0, false).value, last);
    let future = chain.query("/store/key", key, 9, true);
    assert!(future.code != 0 && future.log.contains("not committed yet"), "{}", future.log);
}

#[test]
fn simulation_needs_no_signature_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut wallet = Wallet::new(CHAIN, 1);
    let mut chain = Consensus::connect(open(dir.path()));
    chain.begin(genesis(&[&wallet]));
    chain.block(&[]);
    let mut raw = TxRaw::decode(wallet.send(Address::new([9; 20]), 5).as_slice()).unwrap();
    raw.signatures = vec![vec![]];
    let simulate = |tx_bytes: Vec<u8>| {
        #[allow(deprecated)]
        let request = SimulateRequest { tx: None, tx_bytes }.encode_to_vec();
        chain.query(SIMULATE_PATH, request, 0, false)
    };
    let response = simulate(raw.encode_to_vec());
    assert_eq!(response.code, 0, "{}", response.log);
    let response = SimulateResponse::decode(response.value.as_ref()).unwrap();
    assert!(response.gas_info.unwrap().gas_used > 0);
    assert_eq!(response.result.unwrap().msg_responses.len(), 1);
    assert_eq!(chain.balance(Address::new([9; 20])), "0");
    let failed = simulate(wallet.send(Address::new([9; 20]), 99_000_000));
    assert!(failed.code != 0, "what would fail says so");
}
