//! Whole swarms in one process, with peers that behave and peers that do not.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use stoa_swarm::bits::Bits;
use stoa_swarm::wire::{self, Message, Refusal};
use stoa_swarm::{Fault, Hash, Holding, Shape, Store, Wanted, PIECE};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use support::{content, finished, limits, read_blob, whole, Engine, Net, DEPLOYMENT};

const LONG: Duration = Duration::from_secs(30);

/// Peers with a store each that fetch one blob; all must end with its bytes.
async fn all_fetch(net: &Net, names: &[&str], bytes: &[u8]) -> Vec<Engine> {
    let root = blake3::hash(bytes);
    let mut running = vec![];
    for name in names {
        running.push((net.engine(name, limits()), tempfile::tempdir().unwrap()));
    }
    let fetches: Vec<_> = running
        .iter()
        .map(|(engine, dir)| engine.fetch(&Store::open(dir.path()), root, bytes.len() as u64))
        .collect();
    for ((fetch, _), (_, dir)) in fetches.into_iter().zip(&running) {
        finished(fetch).await;
        assert!(read_blob(dir.path(), root) == bytes);
    }
    running.into_iter().map(|(engine, _)| engine).collect()
}

async fn say(stream: &mut DuplexStream, messages: &[Message]) {
    let mut frames = vec![];
    messages.iter().for_each(|message| message.encode(&mut frames));
    let _ = stream.write_all(&frames).await;
}

async fn hear(stream: &mut DuplexStream) -> Option<Message> {
    wire::read(stream, &mut vec![], LONG, LONG).await.ok()
}

fn hello() -> Message {
    Message::Hello { deployment: DEPLOYMENT.into() }
}

/// A peer that claims to have everything, and answers each ask as it likes.
fn liar(
    net: &Net,
    name: &str,
    source: Arc<Holding>,
    answer: impl Fn(u32, Vec<u8>) -> Option<Message> + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    net.listen(name, move |_, mut stream| {
        let (source, answer) = (Arc::clone(&source), Arc::clone(&answer));
        tokio::spawn(async move {
            let (root, shape) = (source.root(), source.shape());
            let pieces = Bits::all(shape.pieces()).to_bytes();
            let have = Message::Have { root, size: shape.size(), pieces };
            say(&mut stream, &[hello()]).await;
            while let Some(message) = hear(&mut stream).await {
                match message {
                    Message::Want { .. } => say(&mut stream, std::slice::from_ref(&have)).await,
                    Message::Ask { piece, .. } => {
                        match answer(piece, source.encode(piece).unwrap()) {
                            Some(message) => say(&mut stream, &[message]).await,
                            None => return,
                        }
                    }
                    _ => {}
                }
            }
        });
    });
}

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
        assert_eq!(engine.swarm.counters().bytes_received(), bytes.len() as u64);
        let progress = &engine.swarm.progress(DEPLOYMENT)[0];
        assert_eq!(progress.from.values().sum::<u64>(), bytes.len() as u64);
        assert!(progress.finished && progress.from.len() > 1, "{progress:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupting_peer_is_dropped_and_everybody_ends_complete() {
    let net = Net::default();
    let bytes = content(60 * PIECE as usize);
    let good = whole(&bytes);
    net.engine("source", limits()).hold(Arc::clone(&good));
    let root = good.root();
    liar(&net, "bad", good, move |piece, mut encoded| {
        let at = piece as usize * 7919 % encoded.len();
        encoded[at] ^= 0x40;
        Some(Message::Piece { root, piece, encoded })
    });
    for engine in all_fetch(&net, &["a", "b", "c"], &bytes).await {
        let peers = engine.swarm.peers(DEPLOYMENT);
        let bad = peers.iter().find(|peer| peer.peer == "bad").unwrap();
        assert_eq!(bad.dropped, Some(Fault::WrongBytes));
        assert!(engine.swarm.counters().ended(Fault::WrongBytes) >= 1);
        assert!(!engine.swarm.progress(DEPLOYMENT)[0].from.contains_key("bad"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalling_peer_holds_nobody_up() {
    let net = Net::default();
    let bytes = content(60 * PIECE as usize);
    let good = whole(&bytes);
    net.engine("source", limits()).hold(Arc::clone(&good));
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    // Takes all asks and answers with pings alone.
    liar(&net, "bad", good, move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        Some(Message::Ping)
    });
    all_fetch(&net, &["a", "b", "c"], &bytes).await;
    assert!(asked.load(Ordering::Relaxed) >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_the_only_one_and_stalls_is_dropped_for_that() {
    let net = Net::default();
    let bytes = content(4 * PIECE as usize);
    liar(&net, "bad", whole(&bytes), |_, _| Some(Message::Ping));
    wait_for_fault(&net, &bytes, Fault::Stalled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dying_peer_does_not_keep_what_was_asked_of_it() {
    let net = Net::default();
    let bytes = content(60 * PIECE as usize);
    let good = whole(&bytes);
    net.engine("source", limits()).hold(Arc::clone(&good));
    let (root, answered) = (good.root(), AtomicUsize::new(0));
    liar(&net, "dying", good, move |piece, encoded| {
        let alive = answered.fetch_add(1, Ordering::Relaxed) < 5;
        alive.then_some(Message::Piece { root, piece, encoded })
    });
    let engines = all_fetch(&net, &["a", "b", "c"], &bytes).await;
    assert!(engines.iter().any(|e| e.swarm.progress(DEPLOYMENT)[0].from.contains_key("dying")));
}

/// One engine that has only a bad peer: it must drop it for that reason.
async fn wait_for_fault(net: &Net, bytes: &[u8], fault: Fault) {
    let dir = tempfile::tempdir().unwrap();
    let engine = net.engine("a", limits());
    let store = Store::open(dir.path());
    let (_fetch, holding) = engine.fetch(&store, blake3::hash(bytes), bytes.len() as u64);
    let seen = async {
        while engine.swarm.counters().ended(fault) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, seen).await.unwrap_or_else(|_| {
        panic!("not dropped for {fault:?}; {:?}", engine.swarm.peers(DEPLOYMENT))
    });
    assert!(!holding.is_finished());
    let bad = engine.swarm.peers(DEPLOYMENT).into_iter().find(|peer| peer.peer == "bad").unwrap();
    assert_eq!(bad.dropped, fault.ban().map(|_| fault));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_pieces_that_are_not_there_is_found_out() {
    let net = Net::default();
    let bytes = content(4 * PIECE as usize);
    let root = blake3::hash(&bytes);
    liar(&net, "bad", whole(&bytes), move |piece, _| {
        Some(Message::Refuse { root, piece, why: Refusal::NotHere })
    });
    wait_for_fault(&net, &bytes, Fault::FalseClaim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lie_about_the_size_is_found_out() {
    let net = Net::default();
    let bytes = content(4 * PIECE as usize);
    let root = blake3::hash(&bytes);
    net.listen("bad", move |_, mut stream| {
        tokio::spawn(async move {
            let size = Shape::new(5 * PIECE).unwrap();
            let pieces = Bits::all(size.pieces()).to_bytes();
            let have = Message::Have { root, size: size.size(), pieces };
            say(&mut stream, &[hello(), have]).await;
            while hear(&mut stream).await.is_some() {}
        });
    });
    wait_for_fault(&net, &bytes, Fault::SizeLie).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_ends_within_a_message_is_told_from_one_that_ends() {
    let net = Net::default();
    let bytes = content(4 * PIECE as usize);
    net.listen("bad", |_, mut stream| {
        tokio::spawn(async move {
            say(&mut stream, &[hello()]).await;
            let _ = stream.write_all(&[7, 0, 0, 200]).await;
            let _ = hear(&mut stream).await;
        });
    });
    wait_for_fault(&net, &bytes, Fault::Truncated).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_come_one_by_one_are_not_waited_for() {
    let net = Net::default();
    let bytes = content(4 * PIECE as usize);
    net.listen("bad", |_, mut stream| {
        tokio::spawn(async move {
            say(&mut stream, &[hello()]).await;
            let _ = stream.write_all(&[7, 0, 0, 200, 0]).await;
            while stream.write_all(&[0]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    });
    wait_for_fault(&net, &bytes, Fault::Stalled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_that_nobody_asked_for_are_a_breach() {
    let net = Net::default();
    let bytes = content(4 * PIECE as usize);
    let source = whole(&bytes);
    let root = source.root();
    net.listen("bad", move |_, mut stream| {
        let encoded = source.encode(0).unwrap();
        tokio::spawn(async move {
            say(&mut stream, &[hello(), Message::Piece { root, piece: 0, encoded }]).await;
            while hear(&mut stream).await.is_some() {}
        });
    });
    wait_for_fault(&net, &bytes, Fault::Protocol).await;
}

/// What a source says to a peer that speaks by hand.
async fn by_hand(messages: Vec<Message>) -> (Engine, DuplexStream, Hash) {
    let net = Net::default();
    let bytes = content(8 * PIECE as usize);
    let source = net.engine("source", limits());
    let held = whole(&bytes);
    source.hold(Arc::clone(&held));
    let mut stream = net.connect("b", "source").unwrap();
    say(&mut stream, &[hello(), Message::Want { root: held.root() }]).await;
    assert_eq!(hear(&mut stream).await, Some(hello()));
    say(&mut stream, &messages).await;
    (source, stream, held.root())
}

async fn until_ended(source: &Engine, fault: Fault) {
    let ended = async {
        while source.swarm.counters().ended(fault) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, ended).await.unwrap_or_else(|_| panic!("no {fault:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_asks_ends_the_connection_and_keeps_the_peer_out() {
    let root = blake3::hash(&content(8 * PIECE as usize));
    let asks = [Message::Ask { root, piece: 1 }, Message::Ask { root, piece: 1 }];
    let (source, mut stream, _) = by_hand([&asks[..], &asks[..], &asks[..]].concat()).await;
    until_ended(&source, Fault::Flood).await;
    while hear(&mut stream).await.is_some() {}
    assert_eq!(source.swarm.peers(DEPLOYMENT)[0].dropped, Some(Fault::Flood));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_small_messages_ends_the_connection() {
    let (source, _stream, _) = by_hand(vec![Message::Ping; 3000]).await;
    until_ended(&source, Fault::Flood).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_beyond_its_bound_ends_the_connection() {
    let (source, mut stream, _) = by_hand(vec![]).await;
    stream.write_all(&[3, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
    until_ended(&source, Fault::Protocol).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_and_does_not_read_is_let_go() {
    let root = blake3::hash(&content(8 * PIECE as usize));
    let asks = (0..8).map(|piece| Message::Ask { root, piece }).collect();
    let (source, _stream, _) = by_hand(asks).await;
    until_ended(&source, Fault::Stalled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_nothing_and_a_closed_lease_gives_only() {
    let net = Net::default();
    let bytes = content(3 * PIECE as usize);
    let source = net.engine("source", limits());
    let held = whole(&bytes);
    source.hold(Arc::clone(&held));
    let mut stranger = net.connect("stranger", "source").unwrap();
    say(&mut stranger, &[hello()]).await;
    assert_eq!(hear(&mut stranger).await, Some(Message::Bye(wire::Bye::NotAllowed)));

    net.close_lease("closed");
    let root = held.root();
    let mut closed = net.connect("closed", "source").unwrap();
    say(&mut closed, &[hello(), Message::Want { root }, Message::Ask { root, piece: 0 }]).await;
    assert_eq!(hear(&mut closed).await, Some(hello()));
    assert_eq!(hear(&mut closed).await, Some(Message::Lack { root }));
    let why = Refusal::NotAllowed;
    assert_eq!(hear(&mut closed).await, Some(Message::Refuse { root, piece: 0, why }));

    // It still serves a successor.
    let keeper = net.engine("closed", limits());
    keeper.hold(whole(&bytes));
    net.unlisten("source");
    all_fetch(&net, &["successor"], &bytes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_blob_of_unknown_size_comes_from_peers_though_one_lies_about_it() {
    let net = Net::default();
    let bytes = content(3 * PIECE as usize + 17);
    let root = blake3::hash(&bytes);
    net.listen("bad", move |_, mut stream| {
        tokio::spawn(async move {
            let have = Message::Have { root, size: PIECE, pieces: vec![1] };
            say(&mut stream, &[hello()]).await;
            while let Some(message) = hear(&mut stream).await {
                match message {
                    Message::Want { .. } => say(&mut stream, std::slice::from_ref(&have)).await,
                    Message::Ask { piece, .. } => {
                        let encoded = vec![7; PIECE as usize];
                        say(&mut stream, &[Message::Piece { root, piece, encoded }]).await;
                    }
                    _ => {}
                }
            }
        });
    });
    net.engine("source", limits()).hold(whole(&bytes));
    let engine = net.engine("a", limits());
    engine.swarm.set_peers(DEPLOYMENT, net.names());
    let fetch = engine.swarm.fetch(DEPLOYMENT, Wanted::Unsized { root, most: 1 << 20 });
    assert_eq!(finished(fetch).await.to_bytes().unwrap(), bytes);
    // What it fetched it serves.
    net.unlisten("source");
    net.unlisten("bad");
    let other = net.engine("b", limits());
    other.swarm.set_peers(DEPLOYMENT, net.names());
    let fetch = other.swarm.fetch(DEPLOYMENT, Wanted::Unsized { root, most: 1 << 20 });
    assert_eq!(finished(fetch).await.to_bytes().unwrap(), bytes);
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
