//! Whole swarms in one process, whose peers behave.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use stoa_swarm::wire::Message;
use stoa_swarm::{Fault, Shape, Store, Wanted, PIECE};
use tokio::io::AsyncReadExt;

use support::liars::{all_fetch, hear, hello, say, LONG};
use support::{content, finished, limits, read_blob, until, whole, Net, DEPLOYMENT};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_peers_get_a_blob_and_the_source_sends_little_more_than_one_copy() {
    let net = Net::default();
    let bytes = content(100 * PIECE as usize + 999);
    let source = net.engine("source", limits());
    source.hold(whole(&bytes));
    let engines = all_fetch(&net, &["a", "b", "c", "d"], &bytes).await;
    let sent = source.swarm.counters().bytes_sent();
    let traded: u64 = engines.iter().map(|engine| engine.swarm.counters().bytes_sent()).sum();
    assert!(sent >= bytes.len() as u64);
    assert!(traded > bytes.len() as u64, "peers sent {traded}, the source {sent}");
    for engine in &engines {
        let all = bytes.len() as u64;
        until("all is counted", || engine.swarm.counters().bytes_received() >= all).await;
        assert_eq!(engine.swarm.counters().bytes_received(), all);
        until("all is from somebody", || support::received(engine) >= all).await;
        let progress = &engine.swarm.progress(DEPLOYMENT)[0];
        assert_eq!(progress.from.values().sum::<u64>(), bytes.len() as u64);
        assert!(progress.finished && progress.from.len() > 1, "{progress:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_is_still_being_uploaded_is_served_as_it_comes() {
    let net = Net::default();
    let bytes = content(40 * PIECE as usize);
    let origin = whole(&bytes);
    let (root, shape) = (origin.root(), origin.shape());
    let dir = tempfile::tempdir().unwrap();
    let uploaded = Store::open(dir.path()).holding(root, shape).unwrap();
    uploaded.set_first_hand();
    let source = net.engine("source", limits());
    source.hold(Arc::clone(&uploaded));
    let to = tempfile::tempdir().unwrap();
    let engine = net.engine("a", limits());
    let (fetch, holding) = engine.fetch(&Store::open(to.path()), root, shape.size());
    for piece in 0..shape.pieces() {
        uploaded.accept(piece, &origin.encode(piece).unwrap()).unwrap();
        source.swarm.offer(DEPLOYMENT, &uploaded);
        // Each is at the peer before the next is at the source.
        let mut gained = holding.watch();
        tokio::time::timeout(LONG, gained.wait_for(|have| *have > piece)).await.unwrap().unwrap();
    }
    finished(fetch).await;
    assert!(read_blob(to.path(), root) == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_comes_later_is_dialled_again() {
    let net = Net::default();
    let bytes = content(3 * PIECE as usize);
    net.listen("source", |_, stream| drop(stream));
    let dir = tempfile::tempdir().unwrap();
    let engine = net.engine("a", limits());
    let store = Store::open(dir.path());
    let (fetch, _) = engine.fetch(&store, blake3::hash(&bytes), bytes.len() as u64);
    while engine.swarm.counters().ended(Fault::Lost) == 0
        && engine.swarm.peers(DEPLOYMENT).is_empty()
    {
        tokio::task::yield_now().await;
    }
    net.engine("source", limits()).hold(whole(&bytes));
    finished(fetch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_after_the_connection_is_not_waited_for_long() {
    let net = Net::default();
    let source =
        net.engine("source", stoa_swarm::Limits { hello: Duration::from_millis(50), ..limits() });
    let mut stream = net.connect("b", "source").unwrap();
    let mut all = vec![];
    tokio::time::timeout(LONG, stream.read_to_end(&mut all)).await.unwrap().unwrap();
    assert!(all.is_empty());
    assert_eq!(source.swarm.counters().ended(Fault::Lost), 1);
}

/// The last sync may be one that a peer's reader waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_ends_whoever_syncs_last() {
    let net = Net::default();
    let source = net.engine("source", limits());
    for pieces in 1..=24 {
        let bytes = content(pieces * PIECE as usize);
        source.hold(whole(&bytes));
        all_fetch(&net, &["a"], &bytes).await;
    }
}

/// News and asks come as quickly as pieces go: that is no flood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_transfer_is_no_flood() {
    let net = Net::default();
    let few = stoa_swarm::Limits { messages: 20, ..limits() };
    let bytes = content(500 * PIECE as usize);
    let (source, a) = (net.engine("source", few.clone()), net.engine("a", few));
    source.hold(whole(&bytes));
    let dir = tempfile::tempdir().unwrap();
    let (fetch, _) = a.fetch(&Store::open(dir.path()), blake3::hash(&bytes), bytes.len() as u64);
    finished(fetch).await;
    assert_eq!(source.swarm.counters().ended(Fault::Flood), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_to_a_peer_later_by_another_way_is_told_to_who_waits() {
    let net = Net::default();
    let bytes = content(5 * PIECE as usize);
    let root = blake3::hash(&bytes);
    let (a, b) = (net.engine("a", limits()), net.engine("b", limits()));
    let dir = tempfile::tempdir().unwrap();
    let (fetch, _) = a.fetch(&Store::open(dir.path()), root, bytes.len() as u64);
    while !a.swarm.peers(DEPLOYMENT).iter().any(|peer| peer.connected) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(fetch.holding().is_none());
    b.hold(whole(&bytes));
    finished(fetch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_ends_where_the_blob_comes_by_another_way_and_is_served_on() {
    let net = Net::default();
    let bytes = content(5 * PIECE as usize);
    let root = blake3::hash(&bytes);
    let (a, b) = (net.engine("a", limits()), net.engine("b", limits()));
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (fetch_a, _) = a.fetch(&Store::open(dirs.0.path()), root, bytes.len() as u64);
    let (fetch_b, _) = b.fetch(&Store::open(dirs.1.path()), root, bytes.len() as u64);
    while !a.swarm.peers(DEPLOYMENT).iter().any(|peer| peer.connected) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    a.swarm.offer(DEPLOYMENT, &whole(&bytes));
    finished(fetch_a).await;
    finished(fetch_b).await;
    assert!(read_blob(dirs.1.path(), root) == bytes);
}

/// Who has all stops dialling; connections that others fetch over go on, and
/// what ends is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_outlive_the_need_of_who_opened_them_and_leave_nothing_behind() {
    let net = Net::default();
    let bytes = content(40 * PIECE as usize);
    let root = blake3::hash(&bytes);
    let source = net.engine("source", limits());
    source.hold(whole(&bytes));
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = net.engine("a", limits());
    let (fetch, _) = engine.fetch(&Store::open(dir.path()), root, bytes.len() as u64);
    finished(fetch).await;
    engine.swarm.set_peers(DEPLOYMENT, []);
    // Over the connection that `a` has opened; nobody dials.
    let second = content(9 * PIECE as usize);
    engine.hold(whole(&second));
    let store = Store::open(other.path());
    let size = second.len() as u64;
    let shape = Shape::new(size).unwrap();
    let holding = store.holding(blake3::hash(&second), shape).unwrap();
    finished(source.swarm.fetch(DEPLOYMENT, Wanted::Blob(holding))).await;
    engine.swarm.leave(DEPLOYMENT);
    while source.swarm.peers(DEPLOYMENT).iter().any(|peer| peer.connected) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Who fetches tells peers all that comes; who is sent a blob by its maker
/// shows each something else, from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_that_the_maker_of_the_blob_joins_in_shows_peers_few_pieces_at_a_time() {
    let net = Net::default();
    let bytes = content(30 * PIECE as usize);
    let origin = whole(&bytes);
    let root = origin.root();
    let dir = tempfile::tempdir().unwrap();
    // It says nothing by itself meanwhile.
    let limits = stoa_swarm::Limits { tick: LONG, ..limits() };
    let source = net.engine("source", limits);
    let (_, uploaded) = source.fetch(&Store::open(dir.path()), root, bytes.len() as u64);
    let mut peer = net.connect("b", "source").unwrap();
    say(&mut peer, &[hello(), Message::Want { root }]).await;
    while !matches!(hear(&mut peer).await.unwrap(), Message::Have { .. }) {}

    uploaded.set_first_hand();
    for piece in 0..20 {
        uploaded.accept(piece, &origin.encode(piece).unwrap()).unwrap();
    }
    source.swarm.offer(DEPLOYMENT, &uploaded);
    let shown = loop {
        match hear(&mut peer).await.unwrap() {
            Message::Got { pieces, .. } => break pieces,
            _ => continue,
        }
    };
    assert_eq!(shown.len(), 8, "{shown:?}");
    assert!(shown.iter().all(|piece| *piece < 20));
}

/// As after a rollback: collected on disk, while the room goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_was_removed_and_is_wanted_again_is_fetched_again() {
    let net = Net::default();
    let bytes = content(6 * PIECE as usize);
    let root = blake3::hash(&bytes);
    net.engine("source", limits()).hold(whole(&bytes));
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let engine = net.engine("a", limits());
    let (fetch, first) = engine.fetch(&store, root, bytes.len() as u64);
    finished(fetch).await;
    // Whoever was told of it, is told that it is gone.
    let mut peer = net.connect("b", "a").unwrap();
    say(&mut peer, &[hello(), Message::Want { root }]).await;
    while !matches!(hear(&mut peer).await.unwrap(), Message::Have { .. }) {}
    store.remove(root).unwrap();
    let (fetch, again) = engine.fetch(&store, root, bytes.len() as u64);
    assert!(!Arc::ptr_eq(&first, &again));
    while hear(&mut peer).await.unwrap() != (Message::Lack { root }) {}
    assert!(Arc::ptr_eq(&finished(fetch).await, &again));
    assert!(read_blob(dir.path(), root) == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_was_removed_and_is_uploaded_again_is_whole_when_all_of_it_came() {
    let net = Net::default();
    let bytes = content(6 * PIECE as usize);
    let origin = whole(&bytes);
    let root = origin.root();
    let source = net.engine("source", limits());
    source.hold(Arc::clone(&origin));
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let engine = net.engine("a", limits());
    finished(engine.fetch(&store, root, bytes.len() as u64).0).await;
    store.remove(root).unwrap();
    let uploaded = store.holding(root, origin.shape()).unwrap();
    uploaded.accept(0, &origin.encode(0).unwrap()).unwrap();
    engine.swarm.offer(DEPLOYMENT, &uploaded);
    let fetch = engine.swarm.fetch(DEPLOYMENT, Wanted::Blob(Arc::clone(&uploaded)));
    // What is gone is not what was fetched.
    assert!(Arc::ptr_eq(&finished(fetch).await, &uploaded));
    assert!(read_blob(dir.path(), root) == bytes);
}
