//! Peers that do not behave: each is found out and let go, and nobody is held
//! up.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stoa_swarm::bits::Bits;
use stoa_swarm::wire::{self, Message, Refusal};
use stoa_swarm::{Fault, Hash, Holding, Limits, Shape, Store, Wanted, PIECE};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;

use support::liars::{all_fetch, answers, hear, hello, liar, say, Answer, LONG};
use support::{
    content, finished, impatient, limits, read_blob, until, whole, Engine, Net, DEPLOYMENT,
};

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
    let engine = net.engine("a", if fault == Fault::Stalled { impatient() } else { limits() });
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
async fn by_hand(limits: Limits, messages: Vec<Message>) -> (Engine, DuplexStream, Hash) {
    let net = Net::default();
    let bytes = content(8 * PIECE as usize);
    let source = net.engine("source", limits);
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
    let (source, mut stream, _) =
        by_hand(limits(), [&asks[..], &asks[..], &asks[..]].concat()).await;
    until_ended(&source, Fault::Flood).await;
    while hear(&mut stream).await.is_some() {}
    assert_eq!(source.swarm.peers(DEPLOYMENT)[0].dropped, Some(Fault::Flood));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_small_messages_ends_the_connection() {
    let (source, _stream, _) = by_hand(limits(), vec![Message::Ping; 3000]).await;
    until_ended(&source, Fault::Flood).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_beyond_its_bound_ends_the_connection() {
    let (source, mut stream, _) = by_hand(limits(), vec![]).await;
    stream.write_all(&[3, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
    until_ended(&source, Fault::Protocol).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_and_does_not_read_is_let_go() {
    let root = blake3::hash(&content(8 * PIECE as usize));
    let asks = (0..8).map(|piece| Message::Ask { root, piece }).collect();
    let (source, _stream, _) = by_hand(impatient(), asks).await;
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

/// All at one time, before the source has anything: nobody else can be asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_several_bad_peers_everybody_ends_complete_and_each_is_dropped_for_what_it_did() {
    let net = Net::default();
    let bytes = content(60 * PIECE as usize + 11);
    let origin = whole(&bytes);
    let (root, shape) = (origin.root(), origin.shape());
    let uploads = tempfile::tempdir().unwrap();
    let uploaded = Store::open(uploads.path()).holding(root, shape).unwrap();
    let source = net.engine("source", limits());
    source.hold(Arc::clone(&uploaded));
    liar(&net, "corrupts", Arc::clone(&origin), move |piece, mut encoded| {
        let middle = encoded.len() / 2;
        encoded[middle] ^= 1;
        Some(Message::Piece { root, piece, encoded })
    });
    liar(&net, "stalls", Arc::clone(&origin), |_, _| Some(Message::Ping));
    liar(&net, "claims", Arc::clone(&origin), move |piece, _| {
        Some(Message::Refuse { root, piece, why: Refusal::NotHere })
    });
    dies_half_way(&net, "dies", &origin);

    let mut honest = vec![];
    // Longer than a busy machine halts: who is honest may not be taken for one that stalls.
    let limits = || Limits { stall: Duration::from_secs(6), ..limits() };
    for name in ["a", "b", "c"] {
        honest.push((net.engine(name, limits()), tempfile::tempdir().unwrap()));
    }
    let fetches: Vec<_> = honest
        .iter()
        .map(|(engine, dir)| engine.fetch(&Store::open(dir.path()), root, shape.size()))
        .collect();
    let faults = [Fault::WrongBytes, Fault::Stalled, Fault::FalseClaim, Fault::Truncated];
    for (engine, _) in &honest {
        for fault in faults {
            until_ended(engine, fault).await;
        }
    }
    for piece in 0..shape.pieces() {
        uploaded.accept(piece, &origin.encode(piece).unwrap()).unwrap();
        source.swarm.offer(DEPLOYMENT, &uploaded);
    }
    for ((fetch, _), (engine, dir)) in fetches.into_iter().zip(&honest) {
        finished(fetch).await;
        assert!(read_blob(dir.path(), root) == bytes);
        let peers = engine.swarm.peers(DEPLOYMENT);
        let of = |name: &str| peers.iter().find(|peer| peer.peer == name).unwrap();
        assert_eq!(of("corrupts").dropped, Some(Fault::WrongBytes));
        assert_eq!(of("stalls").dropped, Some(Fault::Stalled));
        assert_eq!(of("claims").dropped, Some(Fault::FalseClaim));
        assert_eq!((of("dies").dropped, of("dies").last), (None, Some(Fault::Truncated)));
        until("all is from somebody", || support::received(engine) >= shape.size()).await;
        assert_eq!(support::received(engine), shape.size());
        let from = &engine.swarm.progress(DEPLOYMENT)[0].from;
        assert!(["corrupts", "stalls", "claims"].iter().all(|bad| !from.contains_key(*bad)));
        assert!(from["dies"] > 0, "what it sent before was right: {from:?}");
    }
}

/// A peer that ends within its third piece, for everybody, and comes back no
/// more.
fn dies_half_way(net: &Net, name: &str, source: &Arc<stoa_swarm::Holding>) {
    let dead = Arc::new(Mutex::new(BTreeSet::new()));
    let root = source.root();
    let source = Arc::clone(source);
    net.listen(name, move |peer, stream| {
        if !dead.lock().unwrap().insert(peer) {
            return;
        }
        let answered = AtomicUsize::new(0);
        let answer = move |piece, encoded| {
            let message = Message::Piece { root, piece, encoded };
            match answered.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Answer::Say(message),
                _ => Answer::EndWithin(message),
            }
        };
        tokio::spawn(answers(stream, Arc::clone(&source), answer));
    });
}

/// A peer of which an update has made a blob pointless: it takes back what it
/// announced, answers what was asked before, and goes on with another blob.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_gives_a_blob_up_is_kept_and_what_was_asked_of_it_comes_from_others() {
    let net = Net::default();
    let (bytes, next) = (content(20 * PIECE as usize), content(3 * PIECE as usize));
    let (origin, other) = (whole(&bytes), whole(&next));
    let (root, shape) = (origin.root(), origin.shape());
    let gave_up = Arc::new(Notify::new());
    let telling = Arc::clone(&gave_up);
    net.listen("updated", move |_, mut stream| {
        let (other, telling) = (Arc::clone(&other), Arc::clone(&telling));
        tokio::spawn(async move {
            let all = |shape: Shape| Bits::all(shape.pieces()).to_bytes();
            let have = Message::Have { root, size: shape.size(), pieces: all(shape) };
            say(&mut stream, &[hello(), have]).await;
            let mut lacks = false;
            while let Some(message) = hear(&mut stream).await {
                match message {
                    Message::Ask { root: of, piece } if of == root => {
                        if !lacks {
                            say(&mut stream, &[Message::Lack { root }]).await;
                            telling.notify_one();
                        }
                        lacks = true;
                        let why = Refusal::NotHere;
                        say(&mut stream, &[Message::Refuse { root, piece, why }]).await;
                    }
                    Message::Want { root: of } if of == other.root() => {
                        let (root, shape) = (of, other.shape());
                        let have = Message::Have { root, size: shape.size(), pieces: all(shape) };
                        say(&mut stream, &[have]).await;
                    }
                    Message::Ask { root, piece } => {
                        let encoded = other.encode(piece).unwrap();
                        say(&mut stream, &[Message::Piece { root, piece, encoded }]).await;
                    }
                    _ => {}
                }
            }
        });
    });
    let dir = tempfile::tempdir().unwrap();
    let engine = net.engine("a", limits());
    let (fetch, _) = engine.fetch(&Store::open(dir.path()), root, shape.size());
    tokio::time::timeout(LONG, gave_up.notified()).await.unwrap();
    net.engine("source", limits()).hold(origin);
    engine.swarm.set_peers(DEPLOYMENT, net.names());
    finished(fetch).await;
    assert!(read_blob(dir.path(), root) == bytes);

    let to = tempfile::tempdir().unwrap();
    let (fetch, _) = engine.fetch(&Store::open(to.path()), blake3::hash(&next), next.len() as u64);
    finished(fetch).await;
    let peers = engine.swarm.peers(DEPLOYMENT);
    let updated = peers.iter().find(|peer| peer.peer == "updated").unwrap();
    assert_eq!((updated.connected, updated.dropped, updated.last), (true, None, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_blob_that_is_given_up_while_its_last_piece_is_under_way_bans_nobody() {
    let net = Net::default();
    let bytes = content(2 * PIECE as usize + 5);
    let source = whole(&bytes);
    let root = source.root();
    net.listen("updated", move |_, mut stream| {
        let source = Arc::clone(&source);
        tokio::spawn(async move {
            let (size, pieces) = (source.shape().size(), Bits::all(3).to_bytes());
            let have = Message::Have { root, size, pieces };
            say(&mut stream, &[hello(), have.clone()]).await;
            let mut asked = 0;
            while let Some(message) = hear(&mut stream).await {
                let Message::Ask { piece, .. } = message else { continue };
                asked += 1;
                let encoded = source.encode(piece).unwrap();
                let answer = Message::Piece { root, piece, encoded };
                match asked {
                    // It was on its way already; later it has the blob again.
                    1 => say(&mut stream, &[Message::Lack { root }, answer, have.clone()]).await,
                    _ => say(&mut stream, &[answer]).await,
                }
            }
        });
    });
    let engine = net.engine("a", limits());
    engine.swarm.set_peers(DEPLOYMENT, net.names());
    let fetch = engine.swarm.fetch(DEPLOYMENT, Wanted::Unsized { root, most: 1 << 20 });
    assert_eq!(finished(fetch).await.to_bytes().unwrap(), bytes);
    assert_eq!(engine.swarm.counters().ended(Fault::Protocol), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_a_blob_up_says_so_to_all_who_were_told_of_it() {
    let net = Net::default();
    let bytes = content(8 * PIECE as usize);
    let origin = whole(&bytes);
    let root = origin.root();
    let source = net.engine("source", limits());
    let part = Holding::in_memory(root, origin.shape()).unwrap();
    part.accept(3, &origin.encode(3).unwrap()).unwrap();
    source.swarm.set_peers(DEPLOYMENT, []);
    source.swarm.fetch(DEPLOYMENT, Wanted::Blob(Arc::new(part)));
    let mut peer = net.connect("b", "source").unwrap();
    say(&mut peer, &[hello(), Message::Want { root }]).await;
    while !matches!(hear(&mut peer).await.unwrap(), Message::Have { .. }) {}
    source.swarm.forget(DEPLOYMENT, &root);
    while hear(&mut peer).await.unwrap() != (Message::Lack { root }) {}
    // What comes to it later, it tells: the peer looks for it still.
    source.hold(Arc::clone(&origin));
    loop {
        match hear(&mut peer).await.unwrap() {
            Message::Have { root: of, .. } if of == root => break,
            _ => continue,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_of_a_blob_that_was_given_up_is_no_flood() {
    let net = Net::default();
    let bytes = content(300 * PIECE as usize);
    let root = blake3::hash(&bytes);
    let few = Limits { messages: 20, ..limits() };
    let source = net.engine("source", few);
    let shape = Shape::new(bytes.len() as u64).unwrap();
    let part = Arc::new(Holding::in_memory(root, shape).unwrap());
    source.swarm.set_peers(DEPLOYMENT, []);
    source.swarm.fetch(DEPLOYMENT, Wanted::Blob(part));
    let mut peer = net.connect("b", "source").unwrap();
    let pieces = Bits::none(shape.pieces()).to_bytes();
    let have = Message::Have { root, size: shape.size(), pieces };
    say(&mut peer, &[hello(), have]).await;
    while !matches!(hear(&mut peer).await.unwrap(), Message::Have { .. }) {}
    source.swarm.forget(DEPLOYMENT, &root);
    while hear(&mut peer).await.unwrap() != (Message::Lack { root }) {}
    let news = |piece| Message::Got { root, pieces: vec![piece] };
    say(&mut peer, &(0..shape.pieces()).map(news).collect::<Vec<_>>()).await;
    let unknown = blake3::hash(b"another");
    say(&mut peer, &[Message::Want { root: unknown }]).await;
    while hear(&mut peer).await.expect("it goes on") != (Message::Lack { root: unknown }) {}
    assert_eq!(source.swarm.counters().ended(Fault::Flood), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_piece_costs_its_holder_nothing_but_that_piece() {
    let net = Net::default();
    let (bytes, second) = (content(12 * PIECE as usize), content(5 * PIECE as usize));
    let (good, other) = (whole(&bytes), whole(&second));
    let root = good.root();
    let stored = tempfile::tempdir().unwrap();
    let path = stored.path().join(format!("{}.blob", root.to_hex()));
    std::fs::write(&path, &bytes).unwrap();
    // Its hashes are made while it is whole.
    let damaged = Store::open(stored.path()).find(root).unwrap().unwrap();
    let mut content = bytes.clone();
    content[7 * PIECE as usize + 9] ^= 1;
    std::fs::write(&path, &content).unwrap();
    let holder = net.engine("holder", limits());
    holder.hold(damaged);
    holder.hold(other);

    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = net.engine("a", limits());
    let (fetch, holding) = engine.fetch(&Store::open(dir.path()), root, bytes.len() as u64);
    let mut gained = holding.watch();
    let most = tokio::time::timeout(LONG, gained.wait_for(|have| *have >= 11)).await;
    most.unwrap().unwrap();
    assert!(!holding.has(7));
    let next = blake3::hash(&second);
    finished(engine.fetch(&Store::open(to.path()), next, second.len() as u64).0).await;
    net.engine("whole", limits()).hold(good);
    engine.swarm.set_peers(DEPLOYMENT, net.names());
    finished(fetch).await;
    assert!(read_blob(dir.path(), root) == bytes);
    assert_eq!(engine.swarm.counters().ended(Fault::FalseClaim), 0);
    let peers = engine.swarm.peers(DEPLOYMENT);
    let holder = peers.iter().find(|peer| peer.peer == "holder").unwrap();
    assert_eq!((holder.connected, holder.dropped, holder.last), (true, None, None));
}

#[test]
fn a_claim_that_may_have_been_honest_keeps_a_peer_out_for_minutes_only() {
    assert!(Fault::FalseClaim.ban().unwrap() <= Duration::from_secs(600));
    assert_eq!(Fault::WrongBytes.ban(), Some(Duration::MAX));
}
