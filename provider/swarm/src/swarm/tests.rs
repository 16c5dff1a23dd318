//! A room's state under whatever peers say, message by message.

use std::io;
use std::sync::LazyLock;

use async_trait::async_trait;
use proptest::prelude::*;

use super::blob::Blob;
use super::hear::hear;
use super::session::{Announce, Session};
use super::*;
use crate::access::Rights;
use crate::bits::Bits;
use crate::shape::{Shape, PIECE};
use crate::wire::{Message, Refusal};

const PIECES: u32 = 5;
const PEERS: u64 = 3;

struct Nobody;

#[async_trait]
impl Access for Nobody {
    async fn rights(&self, _: &str, _: &str) -> Option<Rights> {
        None
    }

    async fn holding(&self, _: &str, _: &Hash) -> Option<Arc<Holding>> {
        None
    }
}

#[async_trait]
impl Dial for Nobody {
    async fn dial(&self, _: &str) -> io::Result<Box<dyn Stream>> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

/// A room with peers, a blob that it fetches, and one that it serves.
struct Scene {
    inner: Arc<Inner>,
    room: Room,
    source: Arc<Holding>,
    served: Arc<Holding>,
}

/// Nothing changes them: all scenes share them.
static HOLDINGS: LazyLock<[Arc<Holding>; 2]> =
    LazyLock::new(|| [0, 1].map(|first| Arc::new(Holding::of_bytes(content(first)).unwrap())));

fn content(first: u8) -> Vec<u8> {
    (0..u64::from(PIECES) * PIECE).map(|at| first.wrapping_add((at % 251) as u8)).collect()
}

impl Scene {
    fn set() -> Self {
        let (access, dial) = (Arc::new(Nobody), Arc::new(Nobody));
        let inner = Swarm::new("me", Limits::default(), access, dial).inner;
        let [source, served] = HOLDINGS.clone();
        let scene = Self { inner, room: Room::new("d/1"), source, served };
        (0..PEERS).for_each(|id| scene.enter(id));
        scene
    }

    fn enter(&self, id: u64) {
        let rights = Rights { may_fetch: true };
        let session = Session::new(&format!("p{id}"), true, rights, &self.inner.limits);
        self.room.state().sessions.entry(id).or_insert(session);
    }

    /// The blob's root: the fetched one's, or the served one's.
    fn root(&self, fetched: bool) -> Hash {
        match fetched {
            true => self.source.root(),
            false => self.served.root(),
        }
    }

    fn fetch(&self) {
        let part = Holding::in_memory(self.source.root(), self.source.shape()).unwrap();
        self.room.fetch(Wanted::Blob(Arc::new(part))).unwrap();
    }

    fn do_one(&self, act: &Act) {
        match act {
            Act::Hear(id, message) => {
                let heard = hear(&self.inner, &self.room, *id, message.of(self));
                if heard.is_err() {
                    self.room.state().remove_session(*id);
                }
            }
            Act::Write(id) => {
                say::next(&self.inner, &self.room, *id, 2);
            }
            Act::Leave(id) => {
                self.room.state().remove_session(*id);
            }
            Act::Enter(id) => self.enter(*id),
            Act::Fetch => self.fetch(),
            Act::Serve => {
                let served = Blob::sized(Arc::clone(&self.served));
                self.room.state().take_in(self.served.root(), served, false);
            }
            Act::Forget(fetched) => self.room.state().forget(&self.root(*fetched)),
            Act::Gain(piece) => {
                let root = self.source.root();
                let known = self.room.state().blobs.get(&root).and_then(Blob::holding).cloned();
                if let Some(holding) = known {
                    holding.accept(*piece, &self.source.encode(*piece).unwrap()).unwrap();
                    self.room.offer(&holding);
                }
            }
            Act::Damage(fetched, piece) => self.room.state().retract(self.root(*fetched), *piece),
        }
    }

    /// What is counted is what the views and asks say.
    fn check(&self) {
        let state = self.room.state();
        for (root, blob) in &state.blobs {
            let Some(sized) = blob.as_sized() else { continue };
            let views = || state.sessions.values().filter_map(|s| s.views.get(root));
            for piece in 0..PIECES {
                let theirs = |v: &&session::View| {
                    v.theirs.as_ref().is_some_and(|(_, theirs)| theirs.get(piece))
                };
                let has = views().filter(theirs).count();
                assert_eq!(sized.has.get(piece) as usize, has, "who has {piece}");
                let shown = views().filter(|v| v.open_pieces().any(|open| open == piece)).count();
                assert_eq!(sized.shown.get(piece) as usize, shown, "to whom {piece} is shown");
                let asked =
                    state.sessions.values().filter(|s| s.asked.contains_key(&(*root, piece)));
                let asks = blob.asks.get(&piece).map_or(0, Vec::len);
                assert_eq!(asks, asked.count(), "of whom {piece} is asked");
                assert_eq!(sized.asked.get(piece), asks > 0);
            }
        }
        for session in state.sessions.values() {
            let known = |root: &Hash| state.blobs.contains_key(root);
            assert!(
                session.asked.keys().all(|(root, _)| known(root)),
                "an ask for what is forgotten"
            );
            assert!(session.uploads.iter().all(|(root, _)| known(root)), "nobody will answer");
            for (root, view) in &session.views {
                assert!(known(root) || matches!(view.announce, Announce::Nothing));
                if matches!(view.announce, Announce::Shown(_)) {
                    assert_eq!(view.open as usize, view.open_pieces().count());
                }
                for (_, piece) in session.asked.keys().filter(|(of, _)| of == root) {
                    let theirs = view.theirs.as_ref();
                    assert!(theirs.is_some_and(|(_, theirs)| theirs.get(*piece)), "asked in vain");
                }
            }
        }
    }
}

/// What a peer may say of a blob: the fetched one, or the served one.
#[derive(Debug, Clone)]
enum Word {
    Want(bool),
    Lack(bool),
    Have(bool, Vec<u32>),
    Got(bool, Vec<u32>),
    Ask(bool, u32),
    Cancel(bool, u32),
    NotHere(bool, u32),
}

impl Word {
    fn of(&self, scene: &Scene) -> Message {
        let root = |fetched: &bool| scene.root(*fetched);
        match self {
            Self::Want(of) => Message::Want { root: root(of) },
            Self::Lack(of) => Message::Lack { root: root(of) },
            Self::Have(of, pieces) => {
                let shape = Shape::new(u64::from(PIECES) * PIECE).unwrap();
                let mut bits = Bits::none(shape.pieces());
                pieces.iter().for_each(|piece| {
                    bits.set(*piece);
                });
                Message::Have { root: root(of), size: shape.size(), pieces: bits.to_bytes() }
            }
            Self::Got(of, pieces) => Message::Got { root: root(of), pieces: pieces.clone() },
            Self::Ask(of, piece) => Message::Ask { root: root(of), piece: *piece },
            Self::Cancel(of, piece) => Message::Cancel { root: root(of), piece: *piece },
            Self::NotHere(of, piece) => {
                Message::Refuse { root: root(of), piece: *piece, why: Refusal::NotHere }
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Act {
    Hear(u64, Word),
    Write(u64),
    Leave(u64),
    Enter(u64),
    Fetch,
    Serve,
    Forget(bool),
    Gain(u32),
    Damage(bool, u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let piece = || 0..PIECES;
    let pieces = || proptest::collection::vec(0..PIECES, 0..4);
    let word = prop_oneof![
        any::<bool>().prop_map(Word::Want),
        any::<bool>().prop_map(Word::Lack),
        (any::<bool>(), pieces()).prop_map(|(of, pieces)| Word::Have(of, pieces)),
        (any::<bool>(), pieces()).prop_map(|(of, pieces)| Word::Got(of, pieces)),
        (any::<bool>(), piece()).prop_map(|(of, piece)| Word::Ask(of, piece)),
        (any::<bool>(), piece()).prop_map(|(of, piece)| Word::Cancel(of, piece)),
        (any::<bool>(), piece()).prop_map(|(of, piece)| Word::NotHere(of, piece)),
    ];
    let act = prop_oneof![
        8 => (0..PEERS, word).prop_map(|(id, word)| Act::Hear(id, word)),
        4 => (0..PEERS).prop_map(Act::Write),
        1 => (0..PEERS).prop_map(Act::Leave),
        2 => (0..PEERS).prop_map(Act::Enter),
        2 => Just(Act::Fetch),
        2 => Just(Act::Serve),
        1 => any::<bool>().prop_map(Act::Forget),
        1 => piece().prop_map(Act::Gain),
        1 => (any::<bool>(), piece()).prop_map(|(of, piece)| Act::Damage(of, piece)),
    ];
    proptest::collection::vec(act, 0..60)
}

proptest! {
    #[test]
    fn whatever_peers_say_and_this_side_forgets_the_counts_are_what_is_known_of_each(acts in acts()) {
        let scene = Scene::set();
        for act in &acts {
            scene.do_one(act);
            scene.check();
        }
    }
}

/// Takes what a session is to say next.
fn said(scene: &Scene, id: u64) -> Vec<Message> {
    say::next(&scene.inner, &scene.room, id, 0).messages
}

#[test]
fn a_room_that_is_left_refuses_nothing_that_it_announced() {
    let scene = Scene::set();
    scene.do_one(&Act::Serve);
    scene.do_one(&Act::Hear(0, Word::Want(false)));
    assert!(matches!(said(&scene, 0)[..], [Message::Have { .. }, ..]));
    scene.room.leave();
    scene.do_one(&Act::Hear(0, Word::Ask(false, 1)));
    let last = said(&scene, 0);
    assert!(last.is_empty(), "it ends the connection, and says nothing else: {last:?}");
}

#[test]
fn asks_that_are_refused_are_bounded() {
    let scene = Scene::set();
    let root = Hash::from_bytes([7; 32]);
    let ask = || hear(&scene.inner, &scene.room, 0, Message::Ask { root, piece: 1 });
    let most = scene.inner.limits.messages as usize;
    assert!((0..=most * 4).any(|_| matches!(ask(), Err(Fault::Flood))));
}
