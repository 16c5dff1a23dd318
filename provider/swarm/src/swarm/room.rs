//! One deployment: its blobs, and the connections about them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use blake3::Hash;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::blob::{Asked, Blob, Content};
use super::session::{Announce, Session, View};
use super::{Fetch, Wanted};
use crate::bits::Bits;
use crate::store::Holding;
use crate::wire::Message;
use crate::Fault;

/// Pieces of one blob that cannot be read before none of it is served: each
/// is told to all, and what is told is bounded.
const MOST_DAMAGED: u32 = 4;
/// Blobs of one deployment that are fetched or served at a time.
pub(super) const MOST_BLOBS: usize = 256;

/// See the module.
pub(super) struct Room {
    pub(super) deployment: String,
    state: Mutex<State>,
    /// Something is wanted, or a peer is free: dialers look again.
    pub(super) changed: Notify,
}

/// What its lock guards. Nothing waits under it.
pub(super) struct State {
    pub(super) blobs: HashMap<Hash, Blob>,
    pub(super) sessions: HashMap<u64, Session>,
    pub(super) dialers: BTreeMap<String, JoinHandle<()>>,
    /// Peers that are let go, and until when. None: for good.
    pub(super) banned: BTreeMap<String, (Fault, Option<Instant>)>,
    /// Why each peer's last connection ended.
    pub(super) last: BTreeMap<String, Fault>,
    pub(super) left: bool,
}

impl Room {
    pub(super) fn new(deployment: &str) -> Self {
        let state = State {
            blobs: HashMap::new(),
            sessions: HashMap::new(),
            dialers: BTreeMap::new(),
            banned: BTreeMap::new(),
            last: BTreeMap::new(),
            left: false,
        };
        Self { deployment: deployment.into(), state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None: the room was left.
    pub(super) fn fetch(&self, wanted: Wanted) -> Option<Fetch> {
        let mut state = self.state();
        if state.left {
            return None;
        }
        let (root, content) = match wanted {
            Wanted::Blob(holding) => (holding.root(), Blob::sized(holding)),
            Wanted::Unsized { root, most } => (root, Content::Unsized(most)),
        };
        let removed = state.blobs.get(&root).and_then(Blob::holding).is_some_and(|known| {
            let same = matches!(&content, Content::Sized(new) if Arc::ptr_eq(&new.holding, known));
            known.is_abandoned() && !same
        });
        if removed {
            // Of what was here before, nothing is here any more.
            state.forget(&root);
        }
        let blob = state.take_in(root, content, true);
        blob.wanted = true;
        blob.tell();
        let fetch = Fetch { done: blob.done.subscribe() };
        if blob.is_missing() {
            state.sessions.values_mut().for_each(|session| session.say(Message::Want { root }));
        }
        state.announce_to_waiting(root);
        drop(state);
        self.changed.notify_waiters();
        Some(fetch)
    }

    pub(super) fn offer(&self, holding: &Arc<Holding>) {
        let mut state = self.state();
        let root = holding.root();
        let waited_for = state.waited_for().any(|wanted| wanted == root);
        match state.blobs.get(&root).map(|blob| blob.holding().cloned()) {
            Some(Some(known)) if Arc::ptr_eq(&known, holding) => state.came_otherwise(root),
            Some(_) => state.replace(holding),
            None if waited_for && state.blobs.len() < MOST_BLOBS => {
                state.take_in(root, Blob::sized(Arc::clone(holding)), false);
                state.announce_to_waiting(root);
            }
            None => {}
        }
        state.wake();
    }

    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.left = true;
        state.blobs.clear();
        state.sessions.values_mut().for_each(|session| session.close(Fault::Lost));
        let dialers = std::mem::take(&mut state.dialers);
        drop(state);
        dialers.values().for_each(JoinHandle::abort);
        self.changed.notify_waiters();
    }
}

impl State {
    /// Blobs that peers look for and that are not known here.
    pub(super) fn waited_for(&self) -> impl Iterator<Item = Hash> + '_ {
        let views = self.sessions.values().flat_map(|session| &session.views);
        let waiting = views.filter(|(root, view)| view.wants && !self.blobs.contains_key(*root));
        waiting.map(|(root, _)| *root)
    }

    /// A blob that is fetched or served from now on; the known one, where
    /// there is one. What peers have said of it before counts.
    pub(super) fn take_in(&mut self, root: Hash, content: Content, wanted: bool) -> &mut Blob {
        let sessions = &mut self.sessions;
        self.blobs.entry(root).or_insert_with(|| {
            let mut blob = Blob::new(root, content, wanted);
            for view in sessions.values_mut().filter_map(|session| session.views.get_mut(&root)) {
                view.theirs.take_if(|(size, _)| !blob.content.may_have(*size));
                if let (Some((_, theirs)), Some(sized)) = (&view.theirs, blob.as_sized_mut()) {
                    sized.has.add_all(theirs);
                }
            }
            blob
        })
    }

    /// The blob came by another way while it was fetched: nothing is asked
    /// any more, and all are told anew.
    fn replace(&mut self, holding: &Arc<Holding>) {
        let root = holding.root();
        let Some(blob) = self.blobs.get_mut(&root) else { return };
        blob.content = Blob::sized(Arc::clone(holding));
        blob.asks.clear();
        blob.done.send_replace(None);
        blob.tell();
        for session in self.sessions.values_mut() {
            session.cancel_all(root);
            // There may be less of it than there was.
            session.take_back(root, None);
            let Some(view) = session.views.get_mut(&root) else { continue };
            match &view.theirs {
                Some((size, _)) if *size != holding.shape().size() => {
                    view.theirs = None;
                    session.close(Fault::SizeLie);
                }
                Some((_, theirs)) => {
                    if let Some(sized) = blob.as_sized_mut() {
                        sized.has.add_all(theirs);
                    }
                }
                None => {}
            }
        }
        self.announce_to_waiting(root);
    }

    /// A piece cannot be read: who was told that it is here is told what is,
    /// instead. A blob with many such pieces is as good as not here.
    pub(super) fn retract(&mut self, root: Hash, piece: u32) {
        let Some(sized) = self.blobs.get_mut(&root).and_then(Blob::as_sized_mut) else { return };
        if !sized.damaged.set(piece) {
            return;
        }
        if sized.damaged.count() > MOST_DAMAGED {
            sized.damaged = Bits::all(sized.damaged.length());
        }
        for session in self.sessions.values_mut() {
            session.take_back(root, Some(&mut sized.shown));
        }
        self.announce_to_waiting(root);
    }

    /// Some of a blob that is known here came by another way.
    fn came_otherwise(&mut self, root: Hash) {
        let Some(blob) = self.blobs.get_mut(&root) else { return };
        blob.tell();
        let Some(holding) = blob.holding().cloned() else { return };
        let here: Vec<u32> = blob.asks.keys().copied().filter(|p| holding.has(*p)).collect();
        for piece in here {
            let asked = self.blobs.get(&root).and_then(|blob| blob.asks.get(&piece)).cloned();
            for Asked { session, .. } in asked.unwrap_or_default() {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.cancel(root, piece);
                }
                if let Some(blob) = self.blobs.get_mut(&root) {
                    blob.drop_ask(piece, session);
                }
            }
        }
        if !holding.is_first_hand() {
            return;
        }
        // Who was told everything, before it was known that it comes from who
        // made it, is shown some at a time from now on.
        let told_all = |session: &Session| {
            session.views.get(&root).is_some_and(|view| matches!(view.announce, Announce::All(_)))
        };
        let ids: Vec<u64> =
            self.sessions.iter().filter(|(_, s)| told_all(s)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.announce(id, root));
    }

    /// Wakes all writers.
    pub(super) fn wake(&self) {
        self.sessions.values().for_each(|session| session.notify.notify_one());
    }

    /// Whether anything is to be fetched.
    pub(super) fn is_missing(&self) -> bool {
        self.blobs.values().any(Blob::is_missing)
    }

    pub(super) fn is_connected(&self, peer: &str) -> bool {
        self.sessions.values().any(|session| session.peer == peer && session.closing.is_none())
    }

    /// Why a peer is kept out.
    pub(super) fn ban(&self, peer: &str) -> Option<Fault> {
        let (fault, until) = self.banned.get(peer)?;
        until.is_none_or(|until| until > Instant::now()).then_some(*fault)
    }

    pub(super) fn forget(&mut self, root: &Hash) {
        self.blobs.remove(root);
        for session in self.sessions.values_mut() {
            // Answers that are on their way are no breach.
            session.cancel_all(*root);
            session.take_back(*root, None);
            // Peers may look for it on, and tell what they have of it.
            session.views.retain(|of, view| of != root || view.wants || view.theirs.is_some());
        }
    }

    /// Begins to tell those who look for a blob, or have of it, what is here.
    pub(super) fn announce_to_waiting(&mut self, root: Hash) {
        let ids: Vec<u64> = self.sessions.keys().copied().collect();
        for id in ids {
            let waits = self.sessions.get(&id).and_then(|session| session.views.get(&root));
            let is_told = |view: &View| {
                (view.wants || view.theirs.is_some()) && matches!(view.announce, Announce::Nothing)
            };
            if waits.is_some_and(is_told) {
                self.announce(id, root);
            }
        }
    }

    /// Takes a session out: what it was asked for is free again.
    pub(super) fn remove_session(&mut self, id: u64) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        for (root, piece) in session.asked.keys() {
            if let Some(blob) = self.blobs.get_mut(root) {
                blob.drop_ask(*piece, id);
            }
        }
        for (root, view) in &session.views {
            let Some(sized) = self.blobs.get_mut(root).and_then(Blob::as_sized_mut) else {
                continue;
            };
            if let Some((_, theirs)) = &view.theirs {
                sized.has.subtract_all(theirs);
            }
            view.open_pieces().for_each(|piece| sized.shown.subtract(piece));
        }
        self.wake();
        Some(session)
    }
}
