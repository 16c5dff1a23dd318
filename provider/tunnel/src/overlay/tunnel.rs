//! One tunnel at this end: what it shows and expects now, what has gone
//! through it, and the sessions that end with it.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;

use super::pool::Pool;
use super::relay::Traffic;
use super::status::{Direction, TunnelState, TunnelStatus};
use super::table::{Credential, TunnelId};
use super::tls::{Expected, Facts, Material, Session};
use crate::routes::Transport;
use crate::targets::TargetSet;

/// How long a peer that failed is tried last.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The most of a peer's words that is kept.
const MAX_ERROR: usize = 300;

/// One tunnel.
pub(super) struct Tunnel {
    pub(super) descriptor: String,
    pub(super) direction: Direction,
    /// Whom its sessions must belong to.
    standing: watch::Sender<Standing>,
    current: RwLock<Current>,
    pub(super) traffic: Traffic,
    opened: AtomicU64,
    closed: AtomicU64,
    failures: AtomicU64,
    rtt_micros: AtomicU64,
    peer_not_after: AtomicI64,
    facts: Mutex<Facet>,
    pub(super) pool: Pool,
}

/// What the table says of it.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) id: TunnelId,
    pub(super) credential: Credential,
    /// Or what is wrong with it.
    pub(super) material: Result<Arc<Material>, String>,
    pub(super) way: Way,
}

/// Where it leads.
#[derive(Clone)]
pub(super) enum Way {
    Out { endpoints: Vec<String> },
    In { transport: Transport, targets: Arc<TargetSet> },
}

impl Way {
    fn endpoints(&self) -> &[String] {
        match self {
            Self::Out { endpoints } => endpoints,
            Self::In { .. } => &[],
        }
    }
}

/// Whom a tunnel lets in.
#[derive(Clone)]
enum Standing {
    Open(Arc<Expected>),
    /// Nobody now: what the table says of it cannot be used.
    Unusable,
    /// Nobody ever: it is in the table no more.
    Closed,
}

impl Standing {
    fn of(material: &Result<Arc<Material>, String>) -> Self {
        match material {
            Ok(material) => Self::Open(Arc::clone(&material.expected)),
            Err(_) => Self::Unusable,
        }
    }
}

/// What was met last.
struct Facet {
    state: TunnelState,
    endpoint: Option<String>,
    last_error: Option<String>,
    failed_at: Option<Instant>,
}

impl Tunnel {
    pub(super) fn new(
        direction: Direction,
        id: &TunnelId,
        credential: &Credential,
        way: Way,
    ) -> Arc<Self> {
        let current = Current::read(id, credential, way);
        let standing = Standing::of(&current.material);
        let state = TunnelState::Waiting;
        let facts = Facet { state, endpoint: None, last_error: None, failed_at: None };
        Arc::new(Self {
            descriptor: id.descriptor.clone(),
            direction,
            standing: watch::channel(standing).0,
            current: RwLock::new(current),
            traffic: Traffic::default(),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            rtt_micros: AtomicU64::new(0),
            peer_not_after: AtomicI64::new(0),
            facts: Mutex::new(facts),
            pool: Pool::default(),
        })
    }

    /// Follows the table. Sessions stay, but those whose peer is no longer
    /// vouched for by one of the roots.
    pub(super) fn update(&self, id: &TunnelId, credential: &Credential, way: Way) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.id == *id && current.credential == *credential {
            let moved = current.way.endpoints() != way.endpoints();
            current.way = way;
            drop(current);
            // Sessions that wait are where the peer may be no more.
            if moved {
                self.pool.clear();
            }
            return;
        }
        *current = Current::read(id, credential, way);
        let standing = Standing::of(&current.material);
        drop(current);
        // Sessions that wait shook hands with what is no more.
        self.pool.clear();
        self.standing.send_replace(standing);
    }

    /// Ends every session, for ever.
    pub(super) fn close(&self) {
        self.standing.send_replace(Standing::Closed);
        self.pool.clear();
    }

    /// Whether it is in the table no more.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Closed)
    }

    /// Returns when it is closed.
    pub(super) async fn closed(&self) {
        let closed = |standing: &Standing| matches!(standing, Standing::Closed);
        let _ = self.standing.subscribe().wait_for(closed).await;
    }

    pub(super) fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The instances of one that ends here, as the table has them now.
    pub(super) fn targets(&self) -> Option<Arc<TargetSet>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        match &current.way {
            Way::In { targets, .. } => Some(Arc::clone(targets)),
            Way::Out { .. } => None,
        }
    }

    /// What is shown in a handshake now.
    pub(super) fn material(&self) -> io::Result<Arc<Material>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.material.clone().map_err(io::Error::other)
    }

    /// The tunnel's hold on a session: to be asked before the session is used.
    pub(super) fn admit(&self, session: &Session, peer: String) -> io::Result<Hold> {
        let mut hold = Hold {
            standing: self.standing.subscribe(),
            leaf: session.leaf.clone(),
            since: session.since,
        };
        // The table may have changed during the handshake.
        if !hold.is_good() {
            return Err(io::Error::other("the tunnel is closed"));
        }
        if let Ok(facts) = Facts::read(&session.leaf) {
            self.peer_not_after.store(facts.not_after, Ordering::Relaxed);
        }
        let mut facts = self.facts();
        facts.state = TunnelState::Up;
        facts.endpoint = Some(peer);
        facts.failed_at = None;
        Ok(hold)
    }

    pub(super) fn note_failure(&self, error: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut facts = self.facts();
        facts.last_error = Some(error.chars().take(MAX_ERROR).collect());
        if self.direction == Direction::Outgoing {
            facts.state = TunnelState::Down;
            facts.failed_at = Some(Instant::now());
        }
    }

    pub(super) fn note_rtt(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        self.rtt_micros.store(micros, Ordering::Relaxed);
    }

    /// Whether it failed a moment ago.
    pub(super) fn is_resting(&self) -> bool {
        self.facts().failed_at.is_some_and(|at| at.elapsed() < REST_AFTER_FAILURE)
    }

    /// Whether the last that was tried of it failed.
    pub(super) fn is_down(&self) -> bool {
        self.facts().state == TunnelState::Down
    }

    /// Counted as open until dropped.
    pub(super) fn count(self: &Arc<Self>) -> Open {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    pub(super) fn open(&self) -> u64 {
        let closed = self.closed.load(Ordering::Relaxed);
        self.opened.load(Ordering::Relaxed).saturating_sub(closed)
    }

    pub(super) fn status(&self) -> TunnelStatus {
        let not_zero = |value: u64| Some(value).filter(|value| *value != 0);
        let material = self.material();
        let facts = self.facts();
        let peer_not_after = self.peer_not_after.load(Ordering::Relaxed);
        TunnelStatus {
            descriptor: self.descriptor.clone(),
            direction: self.direction,
            state: if material.is_err() { TunnelState::Down } else { facts.state },
            endpoint: facts.endpoint.clone(),
            bytes_in: self.traffic.from_peer.load(Ordering::Relaxed),
            bytes_out: self.traffic.to_peer.load(Ordering::Relaxed),
            connections_open: self.open(),
            connections_total: self.opened.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            rtt_micros: not_zero(self.rtt_micros.load(Ordering::Relaxed)),
            not_after: material.as_ref().ok().map(|material| material.not_after),
            peer_not_after: Some(peer_not_after).filter(|end| *end != 0),
            last_error: material.err().map(|e| e.to_string()).or(facts.last_error.clone()),
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facet> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn read(id: &TunnelId, credential: &Credential, way: Way) -> Self {
        let material = Expected::of(id)
            .and_then(|expected| Material::read(credential, Arc::new(expected)))
            .map(Arc::new);
        if let Err(error) = &material {
            tracing::warn!(tunnel = %id.descriptor, %error, "a tunnel cannot be used");
        }
        Self { id: id.clone(), credential: credential.clone(), material, way }
    }
}

/// A tunnel's hold on one of its sessions.
pub(super) struct Hold {
    standing: watch::Receiver<Standing>,
    leaf: CertificateDer<'static>,
    since: UnixTime,
}

impl Hold {
    /// Returns when the session must end: the tunnel is closed, or its peer
    /// no longer vouched for. To be polled before what the session is used
    /// for: nothing may begin in a tunnel that is closed already.
    pub(super) async fn ended(&mut self) {
        loop {
            if self.standing.changed().await.is_err() || !self.is_good() {
                return;
            }
        }
    }

    fn is_good(&mut self) -> bool {
        match &*self.standing.borrow_and_update() {
            Standing::Open(expected) => expected.check(&self.leaf, self.since).is_ok(),
            Standing::Unusable | Standing::Closed => false,
        }
    }
}

/// A connection in the tunnel's counts.
pub(super) struct Open(Arc<Tunnel>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Ordering::Relaxed);
    }
}
