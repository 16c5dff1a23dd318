//! A network of engines in one process: streams are pipes in memory.

#![allow(dead_code, clippy::unwrap_used)]

pub mod liars;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stoa_swarm::{
    Access, Dial, Fetch, Hash, Holding, Limits, Rights, Shape, Store, Stream, Swarm, Wanted,
};
use tokio::io::DuplexStream;

pub const DEPLOYMENT: &str = "stoa1tenant/7";
const PIPE: usize = 96 << 10;

/// Who listens under which name.
type Listener = Arc<dyn Fn(String, DuplexStream) + Send + Sync>;

/// See the module.
#[derive(Clone, Default)]
pub struct Net {
    listeners: Arc<Mutex<BTreeMap<String, Listener>>>,
    /// Who may not fetch any more.
    closed: Arc<Mutex<BTreeSet<String>>>,
}

impl Net {
    /// Listens as a peer that does what it likes with a stream.
    pub fn listen(
        &self,
        name: &str,
        listener: impl Fn(String, DuplexStream) + Send + Sync + 'static,
    ) {
        self.listeners.lock().unwrap().insert(name.into(), Arc::new(listener));
    }

    pub fn unlisten(&self, name: &str) {
        self.listeners.lock().unwrap().remove(name);
    }

    pub fn close_lease(&self, name: &str) {
        self.closed.lock().unwrap().insert(name.into());
    }

    pub fn names(&self) -> Vec<String> {
        self.listeners.lock().unwrap().keys().cloned().collect()
    }

    /// An engine that listens under its name.
    pub fn engine(&self, name: &str, limits: Limits) -> Engine {
        let held = Arc::new(Mutex::new(BTreeMap::new()));
        let access = Arc::new(Leases { net: self.clone(), held: Arc::clone(&held) });
        let dialer = Arc::new(Pipes { net: self.clone(), me: name.into() });
        let swarm = Swarm::new(name, limits, access, dialer);
        let accepting = swarm.clone();
        self.listen(name, move |peer, stream| {
            let swarm = accepting.clone();
            tokio::spawn(async move { swarm.accept(stream, &peer).await });
        });
        Engine { swarm, held, net: self.clone() }
    }

    /// Dials by hand.
    pub fn connect(&self, me: &str, peer: &str) -> io::Result<DuplexStream> {
        let listener = self.listeners.lock().unwrap().get(peer).cloned();
        let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (here, there) = tokio::io::duplex(PIPE);
        listener(me.into(), there);
        Ok(here)
    }
}

/// One provider's.
pub struct Engine {
    pub swarm: Swarm,
    held: Arc<Mutex<BTreeMap<[u8; 32], Arc<Holding>>>>,
    net: Net,
}

impl Engine {
    pub fn hold(&self, holding: Arc<Holding>) {
        self.held.lock().unwrap().insert(*holding.root().as_bytes(), holding);
    }

    /// Fetches into a directory from everybody who listens.
    pub fn fetch(&self, store: &Store, root: Hash, size: u64) -> (Fetch, Arc<Holding>) {
        let holding = store.holding(root, Shape::new(size).unwrap()).unwrap();
        self.hold(Arc::clone(&holding));
        self.swarm.set_peers(DEPLOYMENT, self.net.names());
        (self.swarm.fetch(DEPLOYMENT, Wanted::Blob(Arc::clone(&holding))), holding)
    }
}

struct Leases {
    net: Net,
    held: Arc<Mutex<BTreeMap<[u8; 32], Arc<Holding>>>>,
}

#[async_trait]
impl Access for Leases {
    async fn rights(&self, deployment: &str, peer: &str) -> Option<Rights> {
        let may_fetch = !self.net.closed.lock().unwrap().contains(peer);
        (deployment == DEPLOYMENT && peer != "stranger").then_some(Rights { may_fetch })
    }

    async fn holding(&self, _deployment: &str, root: &Hash) -> Option<Arc<Holding>> {
        self.held.lock().unwrap().get(root.as_bytes()).cloned()
    }
}

struct Pipes {
    net: Net,
    me: String,
}

#[async_trait]
impl Dial for Pipes {
    async fn dial(&self, peer: &str) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.net.connect(&self.me, peer)?))
    }
}

/// Quick enough for tests.
pub fn limits() -> Limits {
    Limits {
        stall: Duration::from_secs(10),
        silence: Duration::from_secs(10),
        hello: Duration::from_secs(5),
        overdue: Duration::from_millis(200),
        backoff: (Duration::from_millis(20), Duration::from_millis(200)),
        tick: Duration::from_millis(50),
        recheck: Duration::from_millis(200),
        ..Limits::default()
    }
}

/// For who waits until a peer has stalled.
pub fn impatient() -> Limits {
    Limits { stall: Duration::from_secs(2), ..limits() }
}

pub fn content(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&size.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub fn whole(bytes: &[u8]) -> Arc<Holding> {
    Arc::new(Holding::of_bytes(bytes.to_vec()).unwrap())
}

/// Waits for the end of a fetch; a minute is more than any takes.
pub async fn finished(mut fetch: Fetch) -> Arc<Holding> {
    let finished = tokio::time::timeout(Duration::from_secs(60), fetch.finished()).await;
    finished.expect("the fetch does not end").expect("the fetch was given up")
}

pub fn read_blob(directory: &Path, root: Hash) -> Vec<u8> {
    std::fs::read(directory.join(format!("{}.blob", root.to_hex()))).unwrap()
}

/// Bytes of an engine's first blob that came from peers.
pub fn received(engine: &Engine) -> u64 {
    engine.swarm.progress(DEPLOYMENT)[0].from.values().sum()
}

/// Waits for what comes a moment after a fetch's end, such as its last sums.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    waited.unwrap_or_else(|_| panic!("never: {what}"));
}
