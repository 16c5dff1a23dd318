//! One node's snapshots in another node's hands, honest and not.

use std::path::Path;

use stoa_chain::types::Address;
use tendermint_proto::v0_38::abci::{
    response_apply_snapshot_chunk::Result as Applied, response_offer_snapshot::Result as Offered,
    RequestApplySnapshotChunk, RequestInfo, RequestLoadSnapshotChunk, RequestOfferSnapshot,
    ResponseApplySnapshotChunk, Snapshot,
};

use super::{
    format::{self, compress, content_hash, open_chunk, push_record, records, MAX_CONTENT},
    maker::make_chunks,
    Keeper, Manifest, Schedule, Shelf,
};
use crate::{
    abci::Application,
    app::{
        testing::{genesis, open, Consensus, Wallet, CHAIN},
        App, StateSync,
    },
};

const NEVER: Schedule = Schedule { interval: 0, keep: 2 };

fn with_snapshots(dir: &Path, schedule: Schedule) -> App {
    let shelf = Shelf::new(dir.join("snapshots"));
    let keeper = Keeper::start(shelf.clone(), schedule).unwrap();
    open(&dir.join("db")).with_state_sync(StateSync::new(shelf, keeper))
}

/// A chain with some sends, and a snapshot of its last height in small chunks.
struct Giver {
    dir: tempfile::TempDir,
    chain: Consensus,
    wallet: Wallet,
    app_hash: Vec<u8>,
}

fn giver() -> Giver {
    let dir = tempfile::tempdir().unwrap();
    let mut wallet = Wallet::new(CHAIN, 1);
    let mut chain = Consensus::connect(with_snapshots(dir.path(), NEVER));
    chain.begin(genesis(&[&wallet]));
    let mut app_hash = Vec::new();
    for n in 0..6 {
        let txs: Vec<_> = (0..4).map(|k| wallet.send(Address::new([n * 4 + k; 20]), 7)).collect();
        app_hash = chain.block(&txs).1;
    }
    let view = chain.app.queries().machine().latest();
    let shelf = Shelf::new(dir.path().join("snapshots"));
    make_chunks(&view, &shelf.partial_path(6), 400).unwrap();
    shelf.finish(6).unwrap();
    Giver { dir, chain, wallet, app_hash }
}

impl Giver {
    fn snapshot(&self) -> Snapshot {
        let listed = self.chain.app.list_snapshots().snapshots;
        assert_eq!(listed.len(), 1);
        listed.into_iter().next().unwrap()
    }

    fn chunk(&self, index: u32) -> Vec<u8> {
        let request = RequestLoadSnapshotChunk { height: 6, format: 1, chunk: index };
        self.chain.app.load_snapshot_chunk(request).chunk.to_vec()
    }
}

fn offer(app: &App, snapshot: Snapshot, app_hash: &[u8]) -> Offered {
    let request =
        RequestOfferSnapshot { snapshot: Some(snapshot), app_hash: app_hash.to_vec().into() };
    Offered::try_from(app.offer_snapshot(request).result).unwrap()
}

fn apply(app: &App, index: u32, chunk: Vec<u8>) -> ResponseApplySnapshotChunk {
    let request =
        RequestApplySnapshotChunk { index, chunk: chunk.into(), sender: format!("peer{index}") };
    app.apply_snapshot_chunk(request)
}

fn apply_all(app: &App, giver: &Giver) -> Vec<i32> {
    (0..giver.snapshot().chunks).map(|n| apply(app, n, giver.chunk(n)).result).collect()
}

#[test]
fn a_node_joins_from_a_snapshot_and_goes_on_with_the_same_hashes() {
    let mut giver = giver();
    let snapshot = giver.snapshot();
    assert!(snapshot.chunks > 3, "{} chunks", snapshot.chunks);
    let dir = tempfile::tempdir().unwrap();
    let app = with_snapshots(dir.path(), NEVER);
    assert_eq!(offer(&app, snapshot, &giver.app_hash), Offered::Accept);
    let results = apply_all(&app, &giver);
    assert!(results.iter().all(|result| *result == i32::from(Applied::Accept)), "{results:?}");
    let info = app.info(RequestInfo::default());
    assert_eq!((info.last_block_height, info.last_block_app_hash.to_vec()), (6, giver.app_hash));
    let indexes = |app: &App| -> Vec<_> {
        let view = app.queries().machine().latest();
        view.try_range(&[0x80], &[0xff]).map(Result::unwrap).collect()
    };
    assert_eq!(indexes(&app), indexes(&giver.chain.app), "the indexes are made anew");

    let mut joined = Consensus::connect(app);
    for n in 0..3 {
        let tx = giver.wallet.send(Address::new([200 + n; 20]), 1);
        assert_eq!(joined.block(std::slice::from_ref(&tx)), giver.chain.block(&[tx]));
    }
    drop(joined);
    let again = Consensus::connect(open(&dir.path().join("db")));
    assert_eq!(again.height, 9);
    assert_eq!(again.balance(Address::new([202; 20])), "1");
}

#[test]
fn a_wrong_chunk_is_fetched_again_from_another_peer() {
    let giver = giver();
    let dir = tempfile::tempdir().unwrap();
    let app = with_snapshots(dir.path(), NEVER);
    assert_eq!(offer(&app, giver.snapshot(), &giver.app_hash), Offered::Accept);
    apply(&app, 0, giver.chunk(0));
    let mut cut = giver.chunk(1);
    cut.pop();
    for bad in [giver.chunk(0), cut, b"junk".to_vec(), Vec::new()] {
        let answer = apply(&app, 1, bad);
        assert_eq!(answer.result, i32::from(Applied::Retry));
        assert_eq!((answer.refetch_chunks, answer.reject_senders), (vec![1], vec!["peer1".into()]));
    }
    // CometBFT gives a chunk twice where it fetched again: that changes nothing.
    for n in [0, 1, 1].into_iter().chain(2..giver.snapshot().chunks) {
        assert_eq!(apply(&app, n, giver.chunk(n)).result, i32::from(Applied::Accept));
    }
    assert_eq!(app.info(RequestInfo::default()).last_block_app_hash, giver.app_hash);
}

#[test]
fn a_snapshot_that_is_not_the_chains_is_rejected_whole_and_another_is_taken() {
    let giver = giver();
    let dir = tempfile::tempdir().unwrap();
    let app = with_snapshots(dir.path(), NEVER);
    // What the light client vouches for is another state: the peer lied.
    assert_eq!(offer(&app, giver.snapshot(), &[7; 32]), Offered::Accept);
    let last = apply_all(&app, &giver).pop();
    assert_eq!(last, Some(i32::from(Applied::RejectSnapshot)));
    assert_eq!(app.info(RequestInfo::default()).last_block_height, 0);
    assert!(app.queries().machine().latest().try_range(&[], &[0xff]).next().is_none());
    assert_eq!(offer(&app, giver.snapshot(), &giver.app_hash), Offered::Accept);
    apply_all(&app, &giver);
    assert_eq!(app.info(RequestInfo::default()).last_block_height, 6);
}

#[test]
fn offers_that_can_be_no_snapshot_are_refused() {
    let giver = giver();
    let dir = tempfile::tempdir().unwrap();
    let app = with_snapshots(dir.path(), NEVER);
    let good = giver.snapshot();
    let hash = &giver.app_hash;
    let other_format = Snapshot { format: 2, ..good.clone() };
    assert_eq!(offer(&app, other_format, hash), Offered::RejectFormat);
    let wrong = [
        Snapshot { height: 7, ..good.clone() },
        Snapshot { chunks: 1, ..good.clone() },
        Snapshot { hash: vec![0; 32].into(), ..good.clone() },
        Snapshot { metadata: b"junk".to_vec().into(), ..good.clone() },
        Snapshot { metadata: vec![0; 5 << 20].into(), ..good.clone() },
    ];
    for snapshot in wrong {
        assert_eq!(offer(&app, snapshot, hash), Offered::Reject);
    }
    assert_eq!(apply(&app, 0, giver.chunk(0)).result, i32::from(Applied::Abort), "none begun");
    // A node with blocks of its own loses nothing.
    assert_eq!(offer(&giver.chain.app, good, hash), Offered::Abort);
    assert_eq!(giver.chain.app.info(RequestInfo::default()).last_block_height, 6);
    let missing = RequestLoadSnapshotChunk { height: 5, format: 1, chunk: 0 };
    assert!(app.load_snapshot_chunk(missing).chunk.is_empty());
}

#[test]
fn the_keeper_makes_snapshots_on_time_and_keeps_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let wallet = Wallet::new(CHAIN, 1);
    let app = with_snapshots(dir.path(), Schedule { interval: 2, keep: 2 });
    let mut chain = Consensus::connect(app);
    chain.begin(genesis(&[&wallet]));
    let shelf = Shelf::new(dir.path().join("snapshots"));
    let begun = std::time::Instant::now();
    for height in 1..=9 {
        chain.block(&[]);
        // The keeper works beside the chain: wait for each, so that none is left out.
        while height % 2 == 0 && shelf.find(height).is_err() {
            assert!(begun.elapsed().as_secs() < 60, "no snapshot of height {height}");
            std::thread::yield_now();
        }
    }
    // A snapshot is found before the oldest goes: a crash between the two leaves one too many.
    let heights = || {
        let listed = chain.app.list_snapshots().snapshots;
        listed.iter().map(|snapshot| snapshot.height).collect::<Vec<_>>()
    };
    while heights() != [8, 6] {
        assert!(begun.elapsed().as_secs() < 60, "kept: {:?}", heights());
        std::thread::yield_now();
    }
}

#[test]
fn the_same_state_gives_the_same_snapshot() {
    let giver = giver();
    let again = giver.dir.path().join("again");
    let view = giver.chain.app.queries().machine().latest();
    let manifest = make_chunks(&view, &again, 400).unwrap();
    assert_eq!(manifest.hash().to_vec(), giver.snapshot().hash);
    assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
    assert!(manifest.records > 20 && manifest.bytes > 1_000, "{manifest:?}");
}

#[test]
fn chunks_are_checked_before_and_after_they_are_unpacked() {
    let mut content = Vec::new();
    push_record(&mut content, b"a", b"1").unwrap();
    push_record(&mut content, b"b", b"2").unwrap();
    let entries = vec![(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())];
    assert_eq!(records(&content, Vec::new()).unwrap(), entries);
    assert!(records(&content, b"a".to_vec()).is_err(), "keys ascend over chunks");
    for cut in 1..content.len() {
        let cut = records(&content[..cut], Vec::new());
        assert!(cut.is_err() || cut.unwrap().len() == 1);
    }
    let hash = content_hash(&content);
    assert_eq!(open_chunk(&compress(&content).unwrap(), &hash).unwrap(), content);
    assert!(open_chunk(&compress(b"other").unwrap(), &hash).is_err());
    // Little that unpacks to much is not unpacked.
    let bomb = vec![0; MAX_CONTENT + 1];
    let packed = compress(&bomb).unwrap();
    assert!(packed.len() < 10_000);
    assert!(open_chunk(&packed, &content_hash(&bomb)).is_err());
    assert!(push_record(&mut Vec::new(), b"k", &vec![0; format::MAX_VALUE_LEN + 1]).is_err());
}
