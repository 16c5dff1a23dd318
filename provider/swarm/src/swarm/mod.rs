//! The engine: rooms (one for each deployment), sessions (one for each
//! connection) and what each does next.

mod blob;
mod dial;
mod hear;
mod keep;
mod room;
mod run;
mod say;
mod session;
mod status;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blake3::Hash;
use tokio::sync::watch;

pub use status::{Counters, PeerStatus, Progress};

use crate::access::{Access, Dial, Stream};
use crate::store::Holding;
use crate::{Fault, Limits};
use room::Room;

/// Something to fetch.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A blob of known size, and where its pieces go.
    Blob(Arc<Holding>),
    /// A small blob whose size is not known, of at most so many bytes. It is
    /// kept in memory.
    Unsized { root: Hash, most: u64 },
}

/// A fetch that is under way.
#[derive(Debug, Clone)]
pub struct Fetch {
    done: watch::Receiver<Option<Arc<Holding>>>,
}

impl Fetch {
    /// Waits until it is whole and durable. None: it was given up.
    pub async fn finished(&mut self) -> Option<Arc<Holding>> {
        let done = self.done.wait_for(Option::is_some).await.ok()?;
        done.clone()
    }

    /// What is whole already.
    pub fn holding(&self) -> Option<Arc<Holding>> {
        self.done.borrow().clone()
    }
}

/// The engine. Clones are the same one.
#[derive(Clone)]
pub struct Swarm {
    inner: Arc<Inner>,
}

struct Inner {
    /// This side's name among peers.
    me: String,
    limits: Limits,
    access: Arc<dyn Access>,
    dial: Arc<dyn Dial>,
    rooms: Mutex<HashMap<String, Arc<Room>>>,
    counters: Counters,
    sessions: AtomicU64,
}

impl Swarm {
    pub fn new(me: &str, limits: Limits, access: Arc<dyn Access>, dial: Arc<dyn Dial>) -> Self {
        let inner = Inner {
            me: me.into(),
            limits,
            access,
            dial,
            rooms: Mutex::default(),
            counters: Counters::default(),
            sessions: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Who may be asked for a deployment's blobs, this side left out. They
    /// are dialled while something is wanted.
    pub fn set_peers(&self, deployment: &str, peers: impl IntoIterator<Item = String>) {
        let room = self.inner.room(deployment);
        let peers = peers.into_iter().filter(|peer| *peer != self.inner.me).collect();
        dial::set_peers(&self.inner, &room, peers);
    }

    /// Fetches a blob from the deployment's peers. Asked again, it is the
    /// same fetch.
    pub fn fetch(&self, deployment: &str, wanted: Wanted) -> Fetch {
        loop {
            // A room may end, empty, between here and there.
            if let Some(fetch) = self.inner.room(deployment).fetch(wanted.clone()) {
                return fetch;
            }
        }
    }

    /// Gives up what is fetched of a blob, and tells peers that it is not
    /// here. One of them that looks for it is served again what
    /// [`Access::holding`] still has.
    pub fn forget(&self, deployment: &str, root: &Hash) {
        if let Some(room) = self.inner.known_room(deployment) {
            room.state().forget(root);
        }
    }

    /// Tells peers that of a blob something, or all, came from elsewhere than
    /// from them, and ends its fetch where there is one and it is whole.
    pub fn offer(&self, deployment: &str, holding: &Arc<Holding>) {
        if let Some(room) = self.inner.known_room(deployment) {
            room.offer(holding);
        }
    }

    /// Ends all connections of a deployment and gives up its fetches.
    pub fn leave(&self, deployment: &str) {
        let room = self.inner.rooms().remove(deployment);
        if let Some(room) = room {
            room.leave();
        }
    }

    /// Serves, and uses, a connection that a peer has opened. The peer's name
    /// is what its certificate says.
    pub async fn accept(&self, stream: impl Stream, peer: &str) -> Fault {
        run::accept(&self.inner, Box::new(stream), peer).await
    }

    /// How far a deployment's blobs are.
    pub fn progress(&self, deployment: &str) -> Vec<Progress> {
        let room = self.inner.known_room(deployment);
        room.map(|room| room.state().progress()).unwrap_or_default()
    }

    /// A deployment's peers, as far as they are known here.
    pub fn peers(&self, deployment: &str) -> Vec<PeerStatus> {
        let room = self.inner.known_room(deployment);
        room.map(|room| room.state().peer_statuses()).unwrap_or_default()
    }

    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }
}

impl Inner {
    /// A deployment's room, made where there is none.
    fn room(self: &Arc<Self>, deployment: &str) -> Arc<Room> {
        let mut rooms = self.rooms();
        if let Some(room) = rooms.get(deployment) {
            return Arc::clone(room);
        }
        let room = Arc::new(Room::new(deployment));
        keep::start(self, &room);
        rooms.insert(deployment.into(), Arc::clone(&room));
        room
    }

    fn known_room(&self, deployment: &str) -> Option<Arc<Room>> {
        self.rooms().get(deployment).cloned()
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<String, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }
}
